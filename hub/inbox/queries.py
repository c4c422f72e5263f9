"""Reading rejects: records that could not be read, as they came."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, contains_eager, defer

from hub.channels.models import Channel
from hub.errors import NotFound
from hub.inbox.models import Reject
from hub.paging import Page, after, page

SHOWN_BYTES = 4_000
# What a terminal or a page would not show as it is. Tab and line ends stay.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rejects to see; empty means all."""

    reason: str = ""
    channel: str = ""


@dataclass(frozen=True, slots=True)
class RejectRow:
    """A reject without its whole record: `text` is the first of it, safe to show."""

    reject: Reject
    text: str
    size_bytes: int
    truncated: bool

    @property
    def channel(self) -> Channel:
        """Where it came in."""
        return self.reject.channel


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How often a reason occurs."""

    reason: str
    count: int


def list_rejects(
    session: Session, filters: Filters, *, cursor: str | None = None, limit: int = 50
) -> Page[RejectRow]:
    """Rejects, the newest first. Raises: Invalid for a cursor that is not ours."""
    query = _filtered(
        select(Reject, func.substr(Reject.raw, 1, SHOWN_BYTES), func.length(Reject.raw))
        .join(Reject.channel)
        .options(contains_eager(Reject.channel), defer(Reject.raw)),
        filters,
    )
    query = after(query, (Reject.id,), (int,), cursor, descending=True)
    rows = [
        RejectRow(reject, printable(bytes(head)), size, size > SHOWN_BYTES)
        for reject, head, size in session.execute(query.limit(limit + 1))
    ]
    return page(rows, limit, lambda row: (row.reject.id,))


def count_reasons(session: Session, filters: Filters) -> Sequence[ReasonCount]:
    """The reasons of all rejects of a channel, or of all, the most frequent first."""
    query = select(Reject.reason, func.count()).group_by(Reject.reason)
    if filters.channel:
        query = query.join(Reject.channel).where(Channel.name == filters.channel)
    counts = [ReasonCount(reason, count) for reason, count in session.execute(query)]
    return sorted(counts, key=lambda each: (-each.count, each.reason))


def find_reject(session: Session, reject_id: int) -> Reject:
    """One reject, whole. Raises: NotFound."""
    reject = session.get(Reject, reject_id)
    if reject is None:
        raise NotFound(f"no reject {reject_id}")
    return reject


def printable(raw: bytes) -> str:
    """The bytes as text, with whatever is none, or would not be seen, as `\\x` and `\\u` escapes."""
    text = raw.decode(errors="backslashreplace").replace("\r\n", "\n")
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _filtered(query: Select[Reject, bytes, int], filters: Filters) -> Select[Reject, bytes, int]:
    if filters.reason:
        query = query.where(Reject.reason == filters.reason)
    if filters.channel:
        query = query.where(Channel.name == filters.channel)
    return query
