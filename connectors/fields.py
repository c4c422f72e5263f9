"""Values that every source has, read the same way everywhere: people, times, texts, ids.

Each function takes what a source says and gives our value, or raises `BadRecord` with the reason a person
sees.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any

from connectors.base import Identity

MAX_BODY_BYTES = 1_000_000
"""The longest text taken by default: what is longer is a log gone astray, not the words of a customer."""

MAX_FOLLOWERS = 2_000_000_000
"""More than any network has members who could follow; it fits a 32-bit column."""

FUTURE_TOLERANCE = timedelta(days=1)
MAX_ID_LENGTH = 200
_MAX_TIME_LENGTH = 100

_EMAIL = re.compile(r"[^\s@<>(),;:\"\\]{1,64}@[^\s@<>(),;:\"\\]{1,253}")
_PHONE = re.compile(r"\+[\d\s().\-/]{5,30}")
_EPOCH = re.compile(r"\d{9,16}(\.\d+)?")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class BadRecord(Exception):
    """A record cannot become a message. `reason` and `detail` are those of `Rejected`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def clean(value: str, name: str) -> str:
    """The same string, if a database can hold it. Raises: BadRecord nul_bytes, bad_encoding."""
    if "\x00" in value:
        raise BadRecord("nul_bytes", f"The {name} contains a NUL character.")
    if _SURROGATE.search(value):
        raise BadRecord(
            "bad_encoding", f"The {name} contains half of a surrogate pair, which no encoding can store."
        )
    return value


def body(value: str, max_bytes: int) -> str:
    """A message's text, neither blank nor too long.

    Raises: BadRecord missing_text, body_too_large, nul_bytes, bad_encoding.
    """
    if not value.strip():
        raise BadRecord("missing_text", "The message has no text.")
    size = len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    if size > max_bytes:
        raise BadRecord("body_too_large", f"The text has {size:,} bytes; at most {max_bytes:,} are taken.")
    return clean(value, "text")


def identity(value: str, network: str) -> Identity:
    """Where an author can be met: a mail address, a phone number in international form, else a handle.

    Addresses come out in lower case, phone numbers as + and digits, handles without a leading @.
    """
    value = value.strip()
    if _EMAIL.fullmatch(value):
        return Identity("email", value.lower())
    if _PHONE.fullmatch(value):
        return Identity("phone", "+" + re.sub(r"\D", "", value))
    return Identity("handle", value.removeprefix("@"), network)


def moment(value: Any, zone: tzinfo, now: datetime) -> datetime:
    """A time in UTC from ISO 8601, RFC 5322, Twitter's form, or seconds or milliseconds since 1970.

    A time without an offset is taken to be in `zone`. Raises: BadRecord bad_date (unreadable, or before
    1970), future_date (more than `FUTURE_TOLERANCE` after `now`).
    """
    unreadable = BadRecord("bad_date", f"{str(value)[:60]!r} is not a time that can be read.")
    text = str(value).strip()
    if isinstance(value, bool) or len(text) > _MAX_TIME_LENGTH:
        raise unreadable
    try:
        if _EPOCH.fullmatch(text):
            seconds = float(text)
            read = datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
        else:
            read = _written(text)
            read = (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError, OSError, IndexError, TypeError):
        raise unreadable from None
    if read.year < 1970:
        raise unreadable
    if read > now + FUTURE_TOLERANCE:
        raise BadRecord("future_date", f"{text[:60]!r} lies in the future.")
    return read


def _written(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return parsedate_to_datetime(text)


def content_id(raw: bytes, occurrence: int = 1) -> str:
    """The id of something that has none: the same content has the same id, its second occurrence another."""
    digest = hashlib.sha256(raw).hexdigest()[:40]
    return f"sha256:{digest}" if occurrence == 1 else f"sha256:{digest}#{occurrence}"


def known_id(value: str) -> str:
    """A vendor's id, or its hash where it is longer than an index should hold."""
    value = clean(value.strip(), "id")
    return value if len(value) <= MAX_ID_LENGTH else content_id(value.encode())
