"""What the tables cannot hold, whichever connector let it through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain

from connectors.base import Annotation, Deleted, Edited, InboundMessage, Rejected, Undelivered

Change = Edited | Deleted | Undelivered

FUTURE = timedelta(days=1)
# What an index entry of PostgreSQL holds (2,704 bytes) bounds the id in bytes; the columns bound the others.
LONGEST_ID_BYTES = 998
LONGEST_THREAD_KEY = 400
_LONGEST_IDENTITY = 400
_LONGEST_PLACE = 100


def unstorable(item: InboundMessage, now: datetime) -> Rejected | None:
    """Why `item` cannot be stored, or its wait not be counted; None where all is well."""
    try:
        meta = json.dumps(dict(item.meta), allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return _rejected(item, "bad_meta", "what the connector adds to the message is not JSON")
    strings = [meta, *_strings(item)]
    # JSON writes the character with a backslash, and a backslash as two.
    if any("\0" in text for text in strings) or "\\u0000" in meta.replace("\\\\", ""):
        return _rejected(item, "nul_bytes", "the message holds NUL characters")
    try:
        for text in strings:
            text.encode()
    except UnicodeEncodeError:
        return _rejected(item, "bad_encoding", "the message holds half characters")
    for name, length, longest in _lengths(item):
        if length > longest:
            return _rejected(item, "too_long", f"the {name} is longer than {longest}")
    if item.sent_at is not None and item.sent_at > now + FUTURE:
        detail = f"sent at {item.sent_at.isoformat()}, more than a day from now"
        return _rejected(item, "future_date", detail)
    return None


def unstorable_change(item: Change | Annotation) -> Rejected | None:
    """Why what a vendor says of what came before cannot be stored; None where all is well."""
    strings = [name_of(item)]
    if isinstance(item, Annotation):
        strings += [item.status or "", *(item.tags or ())]
    elif isinstance(item, Edited):
        strings += [item.text, item.html or ""]
    elif isinstance(item, Undelivered):
        strings.append(item.detail)
    elif item.thread_key:
        strings.append(item.thread_key)
    if any("\0" in text for text in strings):
        return _rejected(item, "nul_bytes", "the change holds NUL characters")
    try:
        for text in strings:
            text.encode()
    except UnicodeEncodeError:
        return _rejected(item, "bad_encoding", "the change holds half characters")
    return None


def raw(item: InboundMessage | Change | Annotation) -> bytes:
    """A message that was read already, as a reject keeps it."""
    return repr(item).encode(errors="backslashreplace")


def name_of(item: InboundMessage | Change | Annotation) -> str:
    """What the vendor calls what an item speaks of: a message, or a thread."""
    return item.thread_key if isinstance(item, Annotation) else item.external_id


def _strings(item: InboundMessage) -> Iterator[str]:
    yield from (item.external_id, item.text, item.subject or "", item.html or "", item.thread_key or "")
    yield from item.in_reply_to
    yield from (item.url or "", item.fingerprint or "")
    for each in item.attachments:
        yield from (
            each.name,
            each.content_type,
            each.content_id or "",
            each.url or "",
            each.description or "",
        )
    if item.author:
        yield item.author.name or ""
        yield from chain.from_iterable((each.value, each.place) for each in item.author.identities)


def _lengths(item: InboundMessage) -> Iterator[tuple[str, int, int]]:
    yield "id in bytes", len(item.external_id.encode()), LONGEST_ID_BYTES
    yield "thread key", len(item.thread_key or ""), LONGEST_THREAD_KEY
    for identity in item.author.identities if item.author else ():
        yield "author's address", len(identity.value), _LONGEST_IDENTITY
        yield "author's network", len(identity.place), _LONGEST_PLACE


def _rejected(item: InboundMessage | Change | Annotation, reason: str, detail: str) -> Rejected:
    return Rejected(raw(item), reason, detail, name_of(item))
