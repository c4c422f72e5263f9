"""Reports of mail that did not arrive (RFC 3464), and what servers write in their place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message

from connectors.mime import report_type, structure
from connectors.mime_headers import first, headers_of, message_id_of, read_headers
from connectors.mime_parts import children, text_of

_MAX_TEXT = 200_000
_MAX_DETAIL = 500
_QUOTED_ID = re.compile(r"^[> \t|]*Message-ID:\s*<\s*([^<>\s]+)\s*>", re.IGNORECASE | re.MULTILINE)
_RETURNED = ("message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers")


@dataclass(frozen=True, slots=True)
class Failure:
    """What did not arrive: the Message-IDs of the mails that the report names, and why, in one line."""

    message_ids: tuple[str, ...]
    detail: str


def failure_in(raw: bytes) -> Failure | None:
    """What a report says has failed for good; None for reports of delay or success, and other mail."""
    try:
        mail = structure(raw)
        headers = headers_of(mail)
        if report_type(mail) == "delivery-status":
            return _by_the_standard(mail)
        if headers.get("x-failed-recipients") or first(headers, "return-path") == "<>":
            return _by_its_text(mail, first(headers, "x-failed-recipients") or first(headers, "subject"))
    except Exception:  # as in `parse_mail`, which says of this mail what is wrong with it
        return None
    return None


def _by_the_standard(mail: Message) -> Failure | None:
    details: list[str] = []
    ids: list[str] = []
    for part in mail.walk():
        kind = part.get_content_type()
        if kind in ("message/delivery-status", "message/global-delivery-status"):
            fields = [
                block for block in children(part) if str(block.get("action", "")).lower().strip() == "failed"
            ]
            details += [_detail(block) for block in fields]
        elif kind in _RETURNED:
            ids += _returned(part)
    return Failure(tuple(dict.fromkeys(ids)), "; ".join(details)[:_MAX_DETAIL]) if details else None


def _detail(block: Message) -> str:
    whom = str(block.get("final-recipient") or block.get("original-recipient") or "").rpartition(";")[2]
    why = str(block.get("diagnostic-code") or block.get("status") or "").partition(";")
    return " ".join(f"{whom.strip()}: {(why[2] or why[0]).strip()}".split())


def _returned(part: Message) -> list[str]:
    inner = children(part)
    if inner:
        found = message_id_of(headers_of(inner[0]))
    else:
        found = message_id_of(read_headers(text_of(part).lstrip().encode()))
    return [found] if found else []


def _by_its_text(mail: Message, detail: str) -> Failure | None:
    ids: list[str] = []
    for part in mail.walk():
        if part.get_content_type() in _RETURNED:
            ids += _returned(part)
        elif part.get_content_maintype() == "text":
            ids += _QUOTED_ID.findall(text_of(part)[:_MAX_TEXT])
    return Failure(tuple(dict.fromkeys(ids)), detail[:_MAX_DETAIL]) if ids else None
