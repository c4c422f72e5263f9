"""One mail (RFC 5322, MIME) to one `InboundMessage`. Shared by every connector that meets mail.

Mail is hostile and broken, so the work is bounded before it starts: headers are cut, a mail may have
`_MAX_LINES` lines, `_MAX_PARTS` parts and `_MAX_DEPTH` levels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime
from email.errors import CloseBoundaryNotFoundDefect, StartBoundaryNotFoundDefect
from email.message import Message
from email.parser import BytesParser
from typing import Any

from connectors.base import Attachment, InboundMessage, Rejected
from connectors.fields import MAX_BODY_BYTES, BadRecord, body, clean, content_id, known_id
from connectors.mime_headers import (
    CutHeaders,
    Headers,
    author_of,
    first,
    headers_of,
    message_id_of,
    nature_of,
    parents_of,
    sent_at,
    split_head,
    subject_of,
)
from connectors.mime_parts import content_of

_MAX_LINES = 1_000_000
_MAX_PARTS = 1_000
_MAX_DEPTH = 20


def parse_mail(
    raw: bytes,
    *,
    where: str,
    now: datetime,
    max_body_bytes: int = MAX_BODY_BYTES,
    max_attachment_bytes: int = 0,
    whole: bool = False,
    own_lists: Collection[str] = (),
) -> InboundMessage | Rejected:
    """Read a mail whatever its state: what a person can read comes out as a message, the rest as `Rejected`.

    The text is the plain part, else the HTML made readable, else a note in brackets of what the mail is (an
    invitation, something encrypted). HTML is as it came. Ids are those of the headers without their angle
    brackets; a mail without Message-ID is known by the hash of `raw`. A Date that is missing or unreadable
    gives `sent_at` None. Attachments up to `max_attachment_bytes` come with their content, larger ones are
    described. Where the source knows that this is the `whole` mail, one that lacks its last boundary was
    written so and is read; else it is taken as cut. `own_lists` are ids of lists that are the brand's own.

    Reasons: missing_author, missing_text, nul_bytes, body_too_large, truncated_mime, too_complex,
    unreadable_mail.
    """
    try:
        mail = structure(raw)
        # Only the root tells: an inner part may lack its end in a mail that is whole.
        cut = any(
            isinstance(d, CloseBoundaryNotFoundDefect | StartBoundaryNotFoundDefect) for d in mail.defects
        )
        if cut and not whole:
            raise BadRecord("truncated_mime", "The mail ends before its last part does.")
        return _message(raw, mail, now, max_body_bytes, max_attachment_bytes, own_lists)
    except BadRecord as bad:
        return Rejected(raw, bad.reason, bad.detail, where)
    except Exception as error:
        # The standard library's parser raises a dozen unrelated errors on malformed mail (IndexError,
        # AttributeError, RecursionError, binascii.Error, ...); one mail must not stop the rest.
        detail = f"The mail's structure cannot be read ({type(error).__name__})."
        return Rejected(raw, "unreadable_mail", detail, where)


def structure(raw: bytes) -> Message:
    """The parts of a mail. Raises: BadRecord too_complex, and whatever the standard library's parser does."""
    if max(raw.count(b"\n"), raw.count(b"\r")) > _MAX_LINES:
        raise BadRecord("too_complex", f"The mail has more than {_MAX_LINES:,} lines.")
    return BytesParser(_class=_Part, policy=CutHeaders()).parsebytes(raw)


class _Part(Message):
    """A part that knows how deep it sits and how many there are, so that parsing stops in time."""

    depth = 0
    count: list[int]

    def __init__(self, policy: Any = None) -> None:
        super().__init__(policy)
        self.count = [1]

    def attach(self, payload: Any) -> None:
        payload.depth = self.depth + 1
        payload.count = self.count
        self.count[0] += 1
        if payload.depth > _MAX_DEPTH:
            raise BadRecord("too_complex", f"The mail's parts are nested more than {_MAX_DEPTH} levels deep.")
        if self.count[0] > _MAX_PARTS:
            raise BadRecord("too_complex", f"The mail has more than {_MAX_PARTS} parts.")
        super().attach(payload)


def _message(
    raw: bytes,
    mail: Message,
    now: datetime,
    max_body_bytes: int,
    max_attachment_bytes: int,
    own_lists: Collection[str],
) -> InboundMessage:
    headers = headers_of(mail)
    author = author_of(headers)
    attachments: list[Attachment] = []
    text, html, notes = content_of(mail, attachments, max_attachment_bytes)
    if not text.strip():
        text = "\n".join(dict.fromkeys(notes))
    subject = subject_of(headers)
    if html is not None and len(html.encode()) > max_body_bytes:
        html = None
    if text.strip() or not (subject or attachments):
        text = body(text, max_body_bytes)
    nature = nature_of(headers, report_type(mail), own_lists)
    message_id = message_id_of(headers)
    return InboundMessage(
        external_id=known_id(message_id) if message_id else content_id(raw),
        text=text,
        author=author,
        sent_at=sent_at(headers, now),
        subject=subject,
        html=clean(html, "HTML") if html is not None else None,
        in_reply_to=parents_of(headers),
        automatic=nature is not None,
        nature=nature,
        attachments=tuple(attachments),
        fingerprint=_fingerprint(raw, headers),
    )


def report_type(mail: Message) -> str | None:
    """What a multipart/report (RFC 6522) reports, empty where it does not say; None for any other mail."""
    if mail.get_content_type() != "multipart/report":
        return None
    return str(mail.get_param("report-type", "")).lower()


def _fingerprint(raw: bytes, headers: Headers) -> str:
    """A hash of what its author wrote: not of what servers add on the way, nor of how we read it."""
    words = [first(headers, name).encode() for name in ("from", "date", "subject")]
    content = split_head(raw)[1].replace(b"\r\n", b"\n").strip()
    return hashlib.sha256(b"\n".join([*words, b"", content])).hexdigest()[:32]
