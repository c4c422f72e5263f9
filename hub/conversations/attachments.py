"""Attachments: what is kept of them, what may be shown of them, and what is no longer needed."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from connectors import base
from hub.channels.models import Channel
from hub.channels.service import open_connector
from hub.conversations.models import Attachment, Message
from hub.database import nudge
from hub.errors import Conflict, Invalid, NotFound
from hub.files import FileStore, files_of
from hub.runtime import Hub

# What browsers show as a picture and as nothing else; SVG can carry scripts.
SAFE_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif")
MOST_FILES = 20
LONGEST_URL = 2000
_LONGEST_NAME = 200
# No transaction is open for so long: what nobody names by then, nobody will.
UNNAMED_SECONDS = 3600.0
_NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069/\\]")


def to_rows(
    session: Session, attachments: Sequence[base.Attachment], fetch_at: datetime | None = None
) -> list[Attachment]:
    """Rows for what came with a message; contents that are not too large are put among the hub's files.

    What can be fetched is from `fetch_at` on, if anybody wants it.
    """
    rows = []
    for each in attachments:
        url = web_address(each.url)
        fetchable = each.fetchable and each.content is None and url is not None
        rows.append(
            Attachment(
                name=clean_name(each.name),
                content_type=content_type(each.content_type),
                size_bytes=len(each.content) if each.content is not None else max(0, each.size_bytes),
                sha256=_kept(session, each.content),
                content_id=each.content_id[:998] if each.content_id else None,
                url=url,
                description=each.description,
                fetchable=fetchable,
                fetch_at=fetch_at if fetchable else None,
            )
        )
    if any(row.fetch_at for row in rows):
        nudge(session, "media")
    return rows


def want_files(session: Session, conversation_id: int, now: datetime) -> None:
    """Have what can be fetched of a conversation that was only overheard, now that somebody cares."""
    messages = select(Message.id).where(Message.conversation_id == conversation_id)
    wanted = session.execute(
        update(Attachment)
        .where(
            Attachment.message_id.in_(messages),
            Attachment.fetchable,
            Attachment.sha256.is_(None),
            Attachment.fetch_at.is_(None),
            Attachment.fetch_error.is_(None),
        )
        .values(fetch_at=now)
        .returning(Attachment.id)
        .execution_options(synchronize_session=False)
    )
    if wanted.first() is not None:
        nudge(session, "media")


def fetch_again(session: Session, attachment_id: int, now: datetime) -> Attachment:
    """Have a file fetched that was given up, or that nobody wanted before. Raises: NotFound, Conflict."""
    row = session.get(Attachment, attachment_id)
    if row is None:
        raise NotFound(f"no attachment {attachment_id}")
    if row.sha256 is not None or not row.fetchable:
        raise Conflict("this file is kept already" if row.sha256 else "the hub cannot fetch this file")
    row.fetch_at, row.fetch_tries, row.fetch_error = now, 0, None
    nudge(session, "media")
    return row


def content_type(told: str) -> str:
    """A content type without its parameters, as the column holds it."""
    return told.partition(";")[0].strip().lower()[:200]


def takes_files(channel: Channel) -> bool:
    """Whether replies on this channel may carry files."""
    try:
        return open_connector(channel).sends_files
    except Invalid:
        # Settings that cannot be used are told where it is sent, and on the page of channels.
        return False


def check_outgoing(session: Session, channel: Channel, attachments: Sequence[base.Attachment]) -> None:
    """Refuse files that are too many or too large for one reply, or that its channel sends none of.

    Raises: Invalid.
    """
    if not attachments:
        return
    if not takes_files(channel):
        raise Invalid("replies on this channel carry no files", field="attachments")
    if len(attachments) > MOST_FILES:
        raise Invalid(f"a reply carries {MOST_FILES} files at most", field="attachments")
    limit = files_of(session).max_bytes
    if sum(len(each.content or b"") for each in attachments) > limit:
        raise Invalid(f"the files of a reply may have {limit / 1_000_000:g} MB together", field="attachments")


def with_content(files: FileStore, row: Attachment) -> base.Attachment:
    """An attachment as connectors take it. Raises: OSError where its content is not there."""
    content = files.read(row.sha256) if row.sha256 else None
    return base.Attachment(
        name=row.name,
        content_type=row.content_type,
        size_bytes=row.size_bytes,
        content=content,
        content_id=row.content_id,
        url=row.url,
        description=row.description,
    )


def find_attachment(session: Session, attachment_id: int) -> Attachment:
    """One whose content is kept. Raises: NotFound."""
    row = session.get(Attachment, attachment_id)
    if row is None or row.sha256 is None or not files_of(session).path(row.sha256).is_file():
        raise NotFound(f"no attachment {attachment_id}")
    return row


def is_safe_image(row: Attachment) -> bool:
    """Whether it is kept and may be shown in a page."""
    return row.sha256 is not None and row.content_type in SAFE_IMAGES


def clean_files(hub: Hub) -> int:
    """Remove the files that no attachment names any more. Returns 0: one run sees everything there is."""

    def named(digests: Collection[str]) -> Collection[str]:
        with hub.database.reading() as session:
            found = session.scalars(select(Attachment.sha256).where(Attachment.sha256.in_(digests)))
            return [each for each in found if each is not None]

    hub.files.sweep(named, UNNAMED_SECONDS)
    return 0


def web_address(url: str | None) -> str | None:
    """The same address where a page may link to it: on the web, and no longer than addresses are."""
    if not url or len(url) > LONGEST_URL or not url.isprintable():
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None


def clean_name(name: str) -> str:
    """A file's name without folders and without characters that would mislead whoever reads it."""
    shown = _NO_NAME.sub("_", name).strip(" .") or "attachment"
    if len(shown) <= _LONGEST_NAME:
        return shown
    stem, dot, ending = shown.rpartition(".")
    if dot and len(ending) <= 10:
        return f"{stem[: _LONGEST_NAME - len(ending) - 1]}.{ending}"
    return shown[:_LONGEST_NAME]


def _kept(session: Session, content: bytes | None) -> str | None:
    if content is None:
        return None
    files = files_of(session)
    return files.put(content) if len(content) <= files.max_bytes else None
