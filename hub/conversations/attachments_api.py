"""Attachments for programs, and how a file is handed out to whoever asks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from pydantic import Base64Bytes, BaseModel, Field

from connectors import base
from hub.clock import utcnow
from hub.conversations.attachments import clean_name, fetch_again, find_attachment, is_safe_image
from hub.conversations.models import Attachment
from hub.files import FileStore
from hub.http import ApiUser, HubDep, RowId, SessionDep

router = APIRouter(tags=["conversations"])


class AttachmentOut(BaseModel):
    """What came or goes with a message.

    Where `kept`, `GET /attachments/{id}` has its content; else it was too large or only described, and `url`
    is where it can be had, if anywhere. What is `fetchable` the hub can have from there, and tries to at
    `fetch_at`; `fetch_error` is why the last try failed.
    """

    id: int
    name: str
    content_type: str
    size_bytes: int
    kept: bool
    content_id: str | None
    description: str | None
    url: str | None
    fetchable: bool
    fetch_at: datetime | None
    fetch_error: str | None

    @classmethod
    def of(cls, row: Attachment) -> AttachmentOut:
        """As the API shows it."""
        return cls(
            id=row.id,
            name=row.name,
            content_type=row.content_type,
            size_bytes=row.size_bytes,
            kept=row.sha256 is not None,
            content_id=row.content_id,
            description=row.description,
            url=row.url,
            fetchable=row.fetchable,
            fetch_at=row.fetch_at,
            fetch_error=row.fetch_error,
        )


class AttachmentIn(BaseModel):
    """A file that goes with a reply; `content` in base64, `description` for those who cannot see it."""

    name: Annotated[str, Field(min_length=1, max_length=300)]
    content_type: Annotated[str, Field(max_length=200)] = "application/octet-stream"
    content: Base64Bytes
    description: Annotated[str | None, Field(max_length=5000)] = None

    def outgoing(self) -> base.Attachment:
        """As a reply takes it."""
        return outgoing(self.name, self.content_type, self.content, self.description)


@router.get(
    "/attachments/{attachment_id}",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def get_attachment(user: ApiUser, session: SessionDep, hub: HubDep, attachment_id: RowId) -> Response:
    """The whole content, byte for byte."""
    return hand_out(hub.files, find_attachment(session, attachment_id))


@router.post("/attachments/{attachment_id}/fetch", status_code=202)
def post_fetch(user: ApiUser, session: SessionDep, attachment_id: RowId) -> AttachmentOut:
    """Have a file fetched that was given up, or that was only overheard and nobody wanted yet."""
    return AttachmentOut.of(fetch_again(session, attachment_id, utcnow()))


def outgoing(name: str, content_type: str, content: bytes, description: str | None = None) -> base.Attachment:
    """A file as a reply takes it."""
    return base.Attachment(clean_name(name), content_type, len(content), content, description=description)


def hand_out(files: FileStore, row: Attachment, *, inline: bool = False) -> Response:
    """The content as a file to be saved: no browser shall take what a stranger sent for a page of ours.

    With `inline`, pictures of kinds that are nothing else are shown.
    """
    assert row.sha256 is not None
    picture = is_safe_image(row)
    return FileResponse(
        files.path(row.sha256),
        media_type=row.content_type if picture else "application/octet-stream",
        filename=row.name,
        content_disposition_type="inline" if inline and picture else "attachment",
        headers={
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, max-age=600",
        },
    )
