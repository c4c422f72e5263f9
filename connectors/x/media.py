"""Pictures and films to X: https://docs.x.com/x-api/media/quickstart/media-upload-chunked.

tweepy uploads through API 1.1, which X has closed; these are the requests of version 2.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence

from connectors.base import Attachment, Refused, RetryLater
from connectors.x.client import Client

MAX_IMAGES = 4
_MAX_IMAGE_BYTES = 5 * 1024 * 1024
_MAX_GIF_BYTES = 15 * 1024 * 1024
_MAX_FILM_BYTES = 512 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
_MAX_DESCRIPTION = 1000
_PROCESSING_SECONDS = 60.0

_IMAGES = frozenset({"image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff", "image/pjpeg"})
_FILMS = frozenset({"video/mp4", "video/quicktime", "video/webm", "video/mp2t"})


def upload(client: Client, attachments: Sequence[Attachment], *, privately: bool) -> list[str]:
    """The ids of these for a reply: up to four pictures, or one GIF or film; one thing in a direct message.

    Nobody sees what is uploaded before a post names it, so that a second try does no harm.
    Raises: Refused (X takes no such thing), RetryLater, AuthExpired.
    """
    kinds = [_kind(attachment) for attachment in attachments]
    if privately and len(attachments) > 1:
        raise Refused("X takes one picture or film in a direct message.")
    if len(attachments) > MAX_IMAGES or (len(attachments) > 1 and set(kinds) != {"image"}):
        raise Refused(f"X takes up to {MAX_IMAGES} pictures, or one GIF or film, with a post.")
    prefix = "dm" if privately else "tweet"
    return [
        _upload(client, attachment, kind, f"{prefix}_{kind}")
        for attachment, kind in zip(attachments, kinds, strict=True)
    ]


def _kind(attachment: Attachment) -> str:
    kind, limit = (
        ("image", _MAX_IMAGE_BYTES)
        if attachment.content_type in _IMAGES
        else ("gif", _MAX_GIF_BYTES)
        if attachment.content_type == "image/gif"
        else ("video", _MAX_FILM_BYTES)
        if attachment.content_type in _FILMS
        else ("", 0)
    )
    if not kind:
        raise Refused(f"X takes no {attachment.content_type} with a reply; send pictures or films.")
    if attachment.content is None:
        raise Refused(f"The content of {attachment.name} is not here to be sent.")
    if len(attachment.content) > limit:
        raise Refused(f"{attachment.name} is larger than the {limit // 1024 // 1024} MiB that X takes.")
    return kind


def _upload(client: Client, attachment: Attachment, kind: str, category: str) -> str:
    content = attachment.content or b""
    if kind == "image":
        answer = client.post_json(
            "/2/media/upload",
            {
                "media": base64.b64encode(content).decode(),
                "media_category": category,
                "media_type": attachment.content_type,
            },
        )
        media_id = _id(answer)
    else:
        media_id = _in_parts(client, content, attachment.content_type, category)
    if attachment.description:
        described = {"alt_text": {"text": attachment.description[:_MAX_DESCRIPTION]}}
        client.post_json("/2/media/metadata", {"id": media_id, "metadata": described})
    return media_id


def _in_parts(client: Client, content: bytes, content_type: str, category: str) -> str:
    media_id = _id(
        client.post_json(
            "/2/media/upload/initialize",
            {"media_category": category, "media_type": content_type, "total_bytes": len(content)},
        )
    )
    for number, start in enumerate(range(0, len(content), _CHUNK_BYTES)):
        part = base64.b64encode(content[start : start + _CHUNK_BYTES]).decode()
        client.post_json(f"/2/media/upload/{media_id}/append", {"media": part, "segment_index": number})
    answer = client.post_json(f"/2/media/upload/{media_id}/finalize", None)
    waited = 0.0
    while isinstance(info := answer.get("processing_info"), dict) and info.get("state") != "succeeded":
        if info.get("state") == "failed":
            raise Refused("X cannot read this film.")
        pause = min(max(float(info.get("check_after_secs") or 0), 0.0), 30.0)
        waited += max(pause, 1.0)
        if waited > _PROCESSING_SECONDS:
            raise RetryLater("X is still at work on the film.", after_seconds=pause)
        time.sleep(pause)
        params = {"media_id": media_id, "command": "STATUS"}
        answer = client.get_as_account("/2/media/upload", params)
    return media_id


def _id(answer: object) -> str:
    found = answer.get("id") if isinstance(answer, dict) else None
    if not isinstance(found, str) or not found.isdecimal():
        raise RetryLater("X does not say under which id it keeps the picture.")
    return found
