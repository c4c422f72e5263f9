"""One mail (RFC 5322, MIME) to one `InboundMessage`. Shared by every connector that meets mail.

Mail is hostile and broken, so the work is bounded before it starts: headers are cut at `_MAX_HEADER`
characters, a mail may have `_MAX_LINES` lines, `_MAX_PARTS` parts and `_MAX_DEPTH` levels.
"""

from __future__ import annotations

import html as html_entities
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.errors import CloseBoundaryNotFoundDefect, StartBoundaryNotFoundDefect
from email.headerregistry import Address
from email.message import Message
from email.parser import BytesParser
from email.policy import Compat32
from email.policy import default as modern
from email.utils import parseaddr
from typing import Any

import nh3

from connectors.base import Attachment, Author, Identity, InboundMessage, Rejected
from connectors.fields import (
    MAX_BODY_BYTES,
    MAX_ID_LENGTH,
    BadRecord,
    body,
    clean,
    content_id,
    known_id,
    moment,
)

_MAX_HEADER = 4_000
_MAX_LINES = 1_000_000
_MAX_PARTS = 1_000
_MAX_DEPTH = 20
_MAX_TAGS = 20_000  # within each other they cost nh3 about a second; twice as many, four
_MAX_REFERENCES = 30
_MAX_ADDRESS = 254  # RFC 5321, 4.5.3.1.3

_MESSAGE_ID = re.compile(r"<\s*([^<>\s]+)\s*>")
_ADDRESS = re.compile(r"[^\s@<>(),;:\"\\]+@[^\s@<>(),;:\"\\]+")
_BREAK = re.compile(r"<br[^>]*>|<li>|</(?:p|div|tr|li|h[1-6]|blockquote|pre|table|ul|ol)>")
_TAG = re.compile(r"<[^>]*>")
_BLOCKS = {
    "p",
    "div",
    "br",
    "tr",
    "li",
    "ul",
    "ol",
    "table",
    "blockquote",
    "pre",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
}
_UNSEEN = {"script", "style", "title", "head", "template", "noscript"}
_READ = {
    "from",
    "reply-to",
    "sender",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "auto-submitted",
    "precedence",
}
_BULK = {"bulk", "junk", "list", "auto_reply"}


def parse_mail(
    raw: bytes, *, where: str, now: datetime, max_body_bytes: int = MAX_BODY_BYTES
) -> InboundMessage | Rejected:
    """Read a mail whatever its state: what a person can read comes out as a message, the rest as `Rejected`.

    The text is the plain part, else the HTML made readable. Ids are those of the headers without their
    angle brackets; a mail without Message-ID is known by the hash of `raw`. A Date that is missing or
    unreadable gives `sent_at` None. Reasons: missing_author, missing_text, nul_bytes, body_too_large,
    truncated_mime, too_complex, unreadable_mail.
    """
    try:
        return _message(raw, now, max_body_bytes)
    except BadRecord as bad:
        return Rejected(raw, bad.reason, bad.detail, where)
    except Exception as error:
        # The standard library's parser raises a dozen unrelated errors on malformed mail (IndexError,
        # AttributeError, RecursionError, binascii.Error, ...); one mail must not stop the rest.
        detail = f"The mail's structure cannot be read ({type(error).__name__})."
        return Rejected(raw, "unreadable_mail", detail, where)


def readable(html: str) -> str:
    """The text of an HTML document with its line breaks. Raises: BadRecord too_complex."""
    if html.count("<") > _MAX_TAGS:
        raise BadRecord("too_complex", f"The HTML has more than {_MAX_TAGS:,} tags.")
    flat = re.sub(r"\s+", " ", nh3.clean(html, tags=_BLOCKS, attributes={}, clean_content_tags=_UNSEEN))
    text = html_entities.unescape(_TAG.sub("", _BREAK.sub("\n", flat))).replace("\xa0", " ")
    lines = [line.strip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _CutHeaders(Compat32):
    """Reads structure with plain patterns (the newer policies take quadratic time) and no endless headers."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_MAX_HEADER]


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


def _message(raw: bytes, now: datetime, max_body_bytes: int) -> InboundMessage:
    if max(raw.count(b"\n"), raw.count(b"\r")) > _MAX_LINES:
        raise BadRecord("too_complex", f"The mail has more than {_MAX_LINES:,} lines.")
    mail = BytesParser(_class=_Part, policy=_CutHeaders()).parsebytes(raw)
    # Only the root tells: an inner part may lack its end in a mail that is whole.
    if any(isinstance(d, CloseBoundaryNotFoundDefect | StartBoundaryNotFoundDefect) for d in mail.defects):
        raise BadRecord("truncated_mime", "The mail ends before its last part does.")
    headers = _headers(mail)
    author = _author(headers)
    attachments: list[Attachment] = []
    text, html = _content(mail, attachments)
    subject = clean(_decoded(headers.get("subject", ""), "Subject"), "subject") or None
    if html is not None and len(html.encode()) > max_body_bytes:
        html = None
    if text.strip() or not (subject or attachments):
        text = body(text, max_body_bytes)
    message_id = _ids(headers, "message-id") or headers.get("message-id", "").split()
    return InboundMessage(
        external_id=known_id(message_id[0]) if message_id else content_id(raw),
        text=text,
        author=author,
        sent_at=_sent_at(headers, now),
        subject=subject,
        html=clean(html, "HTML") if html is not None else None,
        in_reply_to=_parents(headers),
        automatic=_automatic(headers) or mail.get_content_type() == "multipart/report",
        attachments=tuple(attachments),
    )


def _headers(mail: Message) -> dict[str, str]:
    """The headers we read by their lower-case names, as they came but on one line; of several the first."""
    found: dict[str, str] = {}
    for name, value in mail.raw_items():
        key = name.lower()
        if key in _READ and key not in found:
            source = str(value).encode("utf-8", "surrogateescape")
            found[key] = " ".join(_decode(source, "utf-8").split())
    return found


def _decoded(value: str, name: str) -> str:
    try:
        value = str(modern.header_factory(name if name == "Subject" else "X-Text", value))
    except Exception:  # as in parse_mail: an undecodable header is shown as it came
        return value
    return value.encode("utf-8", "replace").decode()


def _author(headers: Mapping[str, str]) -> Author:
    for header in ("from", "reply-to", "sender"):
        for name, address in _addresses(headers.get(header, "")):
            if _ADDRESS.fullmatch(address):
                shown = clean(" ".join(_decoded(name, "X-Text").split()), "author's name")[:MAX_ID_LENGTH]
                who = Identity("email", clean(address.lower(), "author's address")[:_MAX_ADDRESS])
                return Author((who,), shown or None)
    raise BadRecord("missing_author", "The mail does not say from whom it is.")


def _addresses(value: str) -> list[tuple[str, str]]:
    """Names and addresses, as three readers of falling strictness see them."""
    try:
        parsed: tuple[Address, ...] = modern.header_factory("From", value).addresses
        found = [*((address.display_name, address.addr_spec) for address in parsed), parseaddr(value)]
    except Exception:  # as in parse_mail
        found = []
    bare = _ADDRESS.search(value)
    return [*found, *([("", bare[0])] if bare else [])]


def _ids(headers: Mapping[str, str], name: str) -> list[str]:
    return _MESSAGE_ID.findall(headers.get(name, ""))


def _parents(headers: Mapping[str, str]) -> tuple[str, ...]:
    ids = [*_ids(headers, "in-reply-to"), *reversed(_ids(headers, "references"))]
    return tuple(known_id(i) for i in list(dict.fromkeys(ids))[:_MAX_REFERENCES])


def _sent_at(headers: Mapping[str, str], now: datetime) -> datetime | None:
    # A wrong clock at the sender's is common and says nothing against the words.
    try:
        return moment(headers.get("date", ""), UTC, now)
    except BadRecord:
        return None


def _automatic(headers: Mapping[str, str]) -> bool:
    """RFC 3834, and the older Precedence."""
    submitted = headers.get("auto-submitted", "no").split(";")[0].strip().lower()
    return submitted != "no" or headers.get("precedence", "").lower() in _BULK


def _content(part: Message, attachments: list[Attachment]) -> tuple[str, str | None]:
    """The text and HTML of a part and those below it; everything else is described in `attachments`."""
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        below = [_content(child, attachments) for child in _children(part)]
        htmls = [html for _, html in below if html]
        if part.get_content_subtype() == "alternative":
            plain = [text for text, html in below if text.strip() and html is None]
            return (plain or [text for text, _ in below if text.strip()] or [""])[0], htmls[
                -1
            ] if htmls else None
        texts = [text.strip("\r\n") for text, _ in below if text.strip()]
        return "\n\n".join(texts), "\n".join(htmls) or None
    # A part that claims parts and has none is read as what it looks like.
    kind = part.get_content_type() if part.get_content_maintype() != "multipart" else "text/plain"
    if kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment":
        text = _text(part)
        return (text, None) if kind == "text/plain" else (readable(text), text)
    attachments.append(_attachment(part, kind))
    return "", None


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    source = payload if isinstance(payload, bytes) else b""
    charset = part.get_content_charset()
    return _decode(source, charset or "utf-8").replace("\r\n", "\n").replace("\r", "\n")


def _decode(source: bytes, charset: str) -> str:
    """As it says; else UTF-8; else Windows-1252, in which most mislabelled mail is written."""
    for name in (charset, "utf-8"):
        if name in ("idna", "punycode"):  # quadratic, and no charset of mail
            continue
        try:
            return source.decode(name).encode("utf-8", "replace").decode()
        except (LookupError, ValueError):
            continue
    return source.decode("cp1252", "replace")


def _attachment(part: Message, kind: str) -> Attachment:
    if part.is_multipart():
        size = sum(len(p.get_payload()) for p in part.walk() if isinstance(p.get_payload(), str))
    else:
        payload = part.get_payload(decode=True)
        size = len(payload) if isinstance(payload, bytes) else 0
    name = _decoded(str(part.get_filename() or ""), "X-Text") or kind.replace("/", ".")
    return Attachment(name.replace("\x00", "")[:200], kind.replace("\x00", "")[:100], size)
