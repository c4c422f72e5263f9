"""The headers of a mail (RFC 5322), however broken: who, when, which mail it answers, and what kind it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import Message
from email.parser import BytesParser
from email.policy import Compat32
from email.policy import default as modern
from email.utils import parseaddr

from connectors.base import Author, Identity, Nature
from connectors.fields import MAX_ID_LENGTH, BadRecord, clean, known_id, moment

Headers = Mapping[str, tuple[str, ...]]
"""The headers that somebody here reads: lower-case names, each with its values as they came, on one line."""

MAX_HEADER = 4_000
_MAX_VALUES = 50
_MAX_REFERENCES = 30
_MAX_ADDRESS = 254  # RFC 5321, 4.5.3.1.3

_MESSAGE_ID = re.compile(r"<\s*([^<>\s]+)\s*>")
_ADDRESS = re.compile(r"[^\s@<>(),;:\"\\]+@[^\s@<>(),;:\"\\]+")
_SEPARATORS = re.compile(r"[\s<>(),;:\"]+")
_HEAD_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_AUTO_REPLY_MARKS = ("x-autoreply", "x-autorespond", "x-auto-reply-from", "x-autoresponder")
# As [MS-OXCMAIL] has them; the others only keep receipts away, which people's mail programs may do too.
_NO_AUTO_REPLY = {"all", "oof", "autoreply"}
_LIST_MARKS = ("list-id", "list-post", "x-mailing-list")
_READ = {
    "from",
    "reply-to",
    "sender",
    "to",
    "cc",
    "delivered-to",
    "x-original-to",
    "envelope-to",
    "return-path",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "content-type",
    "auto-submitted",
    "precedence",
    "x-auto-response-suppress",
    "x-failed-recipients",
    "x-hub-reply-token",
    "x-loop",
    *_AUTO_REPLY_MARKS,
    *_LIST_MARKS,
}


class CutHeaders(Compat32):
    """Reads structure with plain patterns (the newer policies take quadratic time) and no endless headers."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:MAX_HEADER]


def split_head(raw: bytes) -> tuple[bytes, bytes]:
    """What stands before the first blank line, and what after it."""
    end = _HEAD_END.search(raw)
    return (raw[: end.start()], raw[end.end() :]) if end else (raw, b"")


def read_headers(raw: bytes) -> Headers:
    """The headers at the beginning of these bytes; nothing below the first blank line is looked at."""
    return headers_of(BytesParser(policy=CutHeaders()).parsebytes(split_head(raw)[0], headersonly=True))


def headers_of(mail: Message) -> Headers:
    """The headers of a part that is parsed already."""
    found: dict[str, list[str]] = {}
    for name, value in mail.raw_items():
        values = found.setdefault(name.lower(), []) if name.lower() in _READ else None
        if values is not None and len(values) < _MAX_VALUES:
            source = str(value).encode("utf-8", "surrogateescape")
            values.append(" ".join(decode(source, "utf-8").split()))
    return {name: tuple(values) for name, values in found.items()}


def first(headers: Headers, name: str) -> str:
    """The first value of a header, empty where there is none."""
    return headers.get(name, ("",))[0]


def decode(source: bytes, charset: str) -> str:
    """As it says; else UTF-8; else Windows-1252, in which most mislabelled mail is written."""
    for name in (charset, "utf-8"):
        if name in ("idna", "punycode"):  # quadratic, and no charset of mail
            continue
        try:
            return source.decode(name).encode("utf-8", "replace").decode()
        except (LookupError, ValueError):
            continue
    return source.decode("cp1252", "replace")


def decoded(value: str, name: str = "X-Text") -> str:
    """A header's value with its encoded words (RFC 2047) read."""
    try:
        value = str(modern.header_factory(name if name == "Subject" else "X-Text", value))
    except Exception:  # malformed words raise a dozen unrelated errors: then it is shown as it came
        return value
    return value.encode("utf-8", "replace").decode()


def subject_of(headers: Headers) -> str | None:
    """The subject, None where there is none. Raises: BadRecord nul_bytes, bad_encoding."""
    return clean(decoded(first(headers, "subject"), "Subject"), "subject") or None


def author_of(headers: Headers, names: tuple[str, ...] = ("from", "reply-to", "sender")) -> Author:
    """The first person that these headers name. Raises: BadRecord missing_author, nul_bytes, bad_encoding."""
    for header in names:
        for name, address in named_addresses(first(headers, header)):
            if _ADDRESS.fullmatch(address):
                shown = clean(" ".join(decoded(name).split()), "author's name")[:MAX_ID_LENGTH]
                who = Identity("email", clean(address.lower(), "author's address")[:_MAX_ADDRESS])
                return Author((who,), shown or None)
    raise BadRecord("missing_author", "The mail does not say from whom it is.")


def plain_addresses(headers: Headers, *names: str) -> Iterator[str]:
    """What looks like an address in these headers, in lower case, wherever it stands."""
    for name in names:
        for value in headers.get(name, ()):
            # Not by the grammar: on hostile headers that takes long, and there may be many.
            yield from (word for word in _SEPARATORS.split(value.lower()) if "@" in word)


def named_addresses(value: str) -> list[tuple[str, str]]:
    """Names and addresses, as three readers of falling strictness see them."""
    try:
        parsed: tuple[Address, ...] = modern.header_factory("From", value).addresses
        found = [*((address.display_name, address.addr_spec) for address in parsed), parseaddr(value)]
    except Exception:  # as in `decoded`
        found = []
    bare = _ADDRESS.search(value)
    return [*found, *([("", bare[0])] if bare else [])]


def message_id_of(headers: Headers) -> str | None:
    """The Message-ID without its brackets, however long; of several the first."""
    value = first(headers, "message-id")
    found = _MESSAGE_ID.findall(value) or value.split()
    return found[0].strip("<>") or None if found else None


def ids_in(headers: Headers, name: str) -> list[str]:
    """The ids in a header without their brackets."""
    return _MESSAGE_ID.findall(first(headers, name))


def parents_of(headers: Headers) -> tuple[str, ...]:
    """The mails it answers, nearest first."""
    ids = [*ids_in(headers, "in-reply-to"), *reversed(ids_in(headers, "references"))]
    return tuple(known_id(i) for i in list(dict.fromkeys(ids))[:_MAX_REFERENCES])


def sent_at(headers: Headers, now: datetime) -> datetime | None:
    """When it says it was written; None where it does not say, or lies in the future."""
    # A wrong clock at the sender's is common and says nothing against the words.
    try:
        return moment(first(headers, "date"), UTC, now)
    except BadRecord:
        return None


def nature_of(headers: Headers, report: str | None, own_lists: Collection[str] = ()) -> Nature | None:
    """What a mail is that no person wrote for us.

    `report` is the type of a multipart/report (RFC 6522). By RFC 3834 (Auto-Submitted, an empty
    Return-Path), RFC 2919 (List-Id), and what programs have used before and beside them. A list whose id is
    in `own_lists` is the brand's own way in, and its mails are people's.
    """
    sender = first(headers, "return-path")
    daemon = any(each.startswith("mailer-daemon@") for each in plain_addresses(headers, "from"))
    if report == "delivery-status" or daemon or headers.get("x-failed-recipients"):
        return "bounce"
    submitted = first(headers, "auto-submitted").split(";")[0].strip().lower()
    precedence = first(headers, "precedence").lower()
    suppress = set(_SEPARATORS.split(first(headers, "x-auto-response-suppress").lower()))
    if (
        report is not None
        or submitted not in ("", "no")
        or sender == "<>"
        or suppress & _NO_AUTO_REPLY
        or precedence == "auto_reply"
        or any(each in headers for each in _AUTO_REPLY_MARKS)
    ):
        return "auto_reply"
    ids = _MESSAGE_ID.findall(first(headers, "list-id")) or [first(headers, "list-id")]
    if ids[0].lower() in {each.lower().strip("<>") for each in own_lists}:
        return None
    if precedence in ("list", "bulk", "junk") or any(each in headers for each in _LIST_MARKS):
        return "list"
    return None
