"""The parts of a mail (MIME): its words, and everything else as attachments."""

from __future__ import annotations

import html as html_entities
import re
from collections.abc import Sequence
from email.message import Message
from typing import NamedTuple

import nh3

from connectors.base import Attachment
from connectors.fields import BadRecord
from connectors.mime_headers import decode, decoded
from connectors.tnef import files_in

_MAX_TAGS = 20_000  # within each other they cost nh3 about a second; twice as many, four
_MAX_NAME = 200
_BREAK = re.compile(r"<br[^>]*>|<li>|</(?:p|div|tr|li|h[1-6]|blockquote|pre|table|ul|ol)>")
_TAG = re.compile(r"<[^>]*>")
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_BLOCKS = {"p", "div", "br", "tr", "li", "ul", "ol", "table", "blockquote", "pre", *_HEADINGS}
_UNSEEN = {"script", "style", "title", "head", "template", "noscript"}
_TNEF = ("application/ms-tnef", "application/vnd.ms-tnef")
_SMIME = ("application/pkcs7-mime", "application/x-pkcs7-mime")
_FOLD = re.compile(r"\r?\n[ \t]")
_CALENDAR_LINE = re.compile(r"(SUMMARY|DTSTART|LOCATION|METHOD)(;[^:\n]*)?:(.*)", re.IGNORECASE)
_CALENDAR_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d*(Z?))?")
_METHODS = {"REQUEST": "Invitation", "CANCEL": "Cancelled", "REPLY": "Answer to an invitation"}

PGP_NOTE = "[This mail is encrypted with OpenPGP. What it says is in its attachment.]"
SMIME_NOTE = "[This mail is encrypted or sealed with S/MIME. What it says is in its attachment.]"


class Content(NamedTuple):
    """What a part says. `notes` are for people, to be shown where nothing else can be read."""

    text: str
    html: str | None
    notes: tuple[str, ...] = ()


def readable(html: str) -> str:
    """The text of an HTML document with its line breaks. Raises: BadRecord too_complex."""
    if html.count("<") > _MAX_TAGS:
        raise BadRecord("too_complex", f"The HTML has more than {_MAX_TAGS:,} tags.")
    flat = re.sub(r"\s+", " ", nh3.clean(html, tags=_BLOCKS, attributes={}, clean_content_tags=_UNSEEN))
    text = html_entities.unescape(_TAG.sub("", _BREAK.sub("\n", flat))).replace("\xa0", " ")
    lines = [line.strip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def content_of(part: Message, attachments: list[Attachment], max_attachment_bytes: int) -> Content:
    """The text and HTML of a part and those below it; everything else goes to `attachments`."""
    # A part that claims parts and has none is read as what it looks like.
    if part.get_content_maintype() != "multipart":
        kind = part.get_content_type()
    elif part.is_multipart():
        return _joined(part, [content_of(c, attachments, max_attachment_bytes) for c in children(part)])
    else:
        kind = "text/plain"
    if kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment":
        text = text_of(part)
        return Content(text, None) if kind == "text/plain" else Content(readable(text), text)
    attachments.append(_attachment(part, kind, max_attachment_bytes))
    if kind in _TNEF:
        attachments.extend(
            _carried(name, guess, content, None, max_attachment_bytes)
            for name, guess, content in files_in(bytes_of(part))
        )
    elif kind == "text/calendar":
        return Content("", None, _invitation(text_of(part)))
    elif kind in _SMIME and str(part.get_param("smime-type", "")).lower() != "certs-only":
        return Content("", None, (SMIME_NOTE,))
    return Content("", None)


def _joined(part: Message, below: Sequence[Content]) -> Content:
    htmls = [each.html for each in below if each.html]
    notes = tuple(note for each in below for note in each.notes)
    texts = [each.text for each in below if each.text.strip()]
    if part.get_content_subtype() == "alternative":
        plain = [each.text for each in below if each.text.strip() and each.html is None]
        return Content((plain or texts or [""])[0], htmls[-1] if htmls else None, notes)
    if part.get_content_subtype() == "encrypted":
        notes = (*notes, PGP_NOTE)
    return Content("\n\n".join(text.strip("\r\n") for text in texts), "\n".join(htmls) or None, notes)


def children(part: Message) -> list[Message]:
    """The parts directly below a part."""
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []


def bytes_of(part: Message) -> bytes:
    """What a part without parts holds, its transfer encoding undone."""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def text_of(part: Message) -> str:
    """The same as text, its lines ended by a line feed."""
    text = decode(bytes_of(part), part.get_content_charset() or "utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _attachment(part: Message, kind: str, max_attachment_bytes: int) -> Attachment:
    content = _whole(part) if part.is_multipart() else bytes_of(part)
    named = str(part.get_content_disposition() or "") == "inline" or part.get_content_maintype() == "image"
    mark = str(part.get("content-id") or "").strip().strip("<>").strip() if named else ""
    name = decoded(str(part.get_filename() or "")) or _name_of(part, kind)
    return _carried(name, kind, content, mark or None, max_attachment_bytes)


def _carried(name: str, kind: str, content: bytes, mark: str | None, max_bytes: int) -> Attachment:
    return Attachment(
        _storable(name)[:_MAX_NAME],
        _storable(kind)[:100],
        len(content),
        content=content if len(content) <= max_bytes else None,
        content_id=_storable(mark)[:_MAX_NAME] if mark else None,
    )


def _storable(text: str) -> str:
    return text.replace("\x00", "").encode(errors="replace").decode()


def _name_of(part: Message, kind: str) -> str:
    if kind == "message/rfc822" and children(part):
        subject = decoded(str(children(part)[0].get("subject") or ""), "Subject").strip()
        return f"{subject or 'message'}.eml"
    return kind.replace("/", ".")


def _whole(part: Message) -> bytes:
    """A part that holds parts, as a file: a mail within a mail is one of its own."""
    try:
        inner = children(part)
        if part.get_content_type() == "message/rfc822" and len(inner) == 1:
            return inner[0].as_bytes()
        return b"\n".join(each.as_bytes() for each in inner)
    except Exception:  # the generator raises unrelated errors on what the parser let pass
        sizes = (str(each.get_payload()) for each in part.walk() if not each.is_multipart())
        return "\n".join(sizes).encode(errors="replace")


def _invitation(calendar: str) -> tuple[str, ...]:
    """One line that says what a calendar entry (RFC 5545) is about; times as they are written there."""
    told: dict[str, str] = {}
    for match in _CALENDAR_LINE.finditer(_FOLD.sub("", calendar[:100_000])):
        value = re.sub(r"\\([,;\\])", r"\1", match[3].replace("\\n", " ").replace("\\N", " ")).strip()
        zone = re.search(r"TZID=\"?([^;:\"]+)", match[2] or "", re.IGNORECASE)
        # Only of a zone's own definition does a second DTSTART come before the entry's.
        if match[1].upper() == "DTSTART" or match[1].upper() not in told:
            told[match[1].upper()] = _moment_of(value, zone[1] if zone else "")[:_MAX_NAME]
    if not ("SUMMARY" in told or "DTSTART" in told):
        return ()
    parts = [told[name] for name in ("SUMMARY", "DTSTART", "LOCATION") if told.get(name)]
    return (f"[{_METHODS.get(told.get('METHOD', ''), 'Calendar entry')}: {', '.join(parts)}]",)


def _moment_of(value: str, zone: str) -> str:
    match = _CALENDAR_TIME.fullmatch(value)
    if match is None:
        return value
    time = f" {match[4]}:{match[5]}" if match[4] else ""
    return f"{match[1]}-{match[2]}-{match[3]}{time}{' UTC' if match[6] else f' {zone}' if zone else ''}"
