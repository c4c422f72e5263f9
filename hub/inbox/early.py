"""Changes that a vendor told before the message that they speak of: remembered, and followed when it comes.

A stream tells of a deletion while a fetch still brings the message; a bounce may come before the reply that
caused it is marked as sent. A change is remembered for `MEMORY`, the newest `MOST` of each channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import get_args

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from connectors.base import Deleted, Edited, InboundMessage
from hub.inbox.changes import apply_changes
from hub.inbox.models import EarlyChange
from hub.inbox.storable import LONGEST_ID_BYTES, LONGEST_THREAD_KEY, Change
from hub.inbox.threads import CHUNK

MEMORY = timedelta(days=7)
MOST = 5_000
_KINDS = {kind.__name__.lower(): TypeAdapter[Change](kind) for kind in get_args(Change)}


def remember(session: Session, channel_id: int, changes: Iterable[Change], now: datetime) -> None:
    """Keep `changes` until their messages come; of several edits of one message the newest."""
    told = {(_kind(each), each.external_id): each for each in changes if _can_be_kept(each)}
    if not told:
        return
    kept = {
        (row.kind, row.external_id): row
        for row in _rows(session, channel_id, [external_id for _, external_id in told])
    }
    for (kind, external_id), change in told.items():
        row = kept.get((kind, external_id))
        if row is None:
            row = EarlyChange(channel_id=channel_id, kind=kind, external_id=external_id, told_at=now)
            session.add(row)
        elif not _is_newer(change, _change(row)):
            continue
        row.thread_key = change.thread_key if isinstance(change, Deleted) else None
        row.said = to_jsonable_python(asdict(change))
    session.flush()
    _forget(session, channel_id, now)


def recall(session: Session, channel_id: int, messages: Sequence[InboundMessage]) -> list[Change]:
    """What was said of `messages` before they came; it is forgotten by that.

    That a whole thread was deleted is kept, for those of its messages that are still to come.
    """
    by_id = {each.external_id: each for each in messages}
    found: list[Change] = []
    for row in _rows(session, channel_id, list(by_id)):
        found.append(_change(row))
        if row.thread_key is None:
            session.delete(row)
    by_thread: dict[str, list[InboundMessage]] = {}
    for each in messages:
        if each.thread_key:
            by_thread.setdefault(each.thread_key, []).append(each)
    keys = list(by_thread)
    for start in range(0, len(keys), CHUNK):
        gone = select(EarlyChange).where(
            EarlyChange.channel_id == channel_id, EarlyChange.thread_key.in_(keys[start : start + CHUNK])
        )
        for row in session.scalars(gone.order_by(EarlyChange.id)):
            deleted = _change(row)
            assert isinstance(deleted, Deleted)
            at = deleted.deleted_at or row.told_at
            # What was written later belongs to a thread that is there again.
            found += [
                Deleted(each.external_id, at)
                for each in by_thread[row.thread_key or ""]
                if each.sent_at is None or each.sent_at <= at
            ]
    return found


def follow_early(session: Session, channel_id: int, external_id: str, now: datetime) -> None:
    """Follow what was said of a message of ours before we knew how the vendor calls it."""
    rows = _rows(session, channel_id, [external_id])
    changes = [_change(row) for row in rows]
    for row in rows:
        session.delete(row)
    if changes:
        apply_changes(session, channel_id, changes, now)


def _rows(session: Session, channel_id: int, external_ids: Sequence[str]) -> list[EarlyChange]:
    found: list[EarlyChange] = []
    for start in range(0, len(external_ids), CHUNK):
        few = select(EarlyChange).where(
            EarlyChange.channel_id == channel_id,
            EarlyChange.external_id.in_(external_ids[start : start + CHUNK]),
        )
        found += session.scalars(few.order_by(EarlyChange.id))
    return found


def _forget(session: Session, channel_id: int, now: datetime) -> None:
    """Let go of what is too old, and of the oldest where there is too much."""
    session.execute(
        delete(EarlyChange).where(EarlyChange.channel_id == channel_id, EarlyChange.told_at <= now - MEMORY)
    )
    newest_too_many = session.scalar(
        select(EarlyChange.id)
        .where(EarlyChange.channel_id == channel_id)
        .order_by(EarlyChange.id.desc())
        .offset(MOST)
        .limit(1)
    )
    if newest_too_many is not None:
        session.execute(
            delete(EarlyChange).where(EarlyChange.channel_id == channel_id, EarlyChange.id <= newest_too_many)
        )


def _can_be_kept(change: Change) -> bool:
    """No message has a longer id, or thread."""
    thread_key = change.thread_key if isinstance(change, Deleted) else None
    return (
        len(change.external_id.encode()) <= LONGEST_ID_BYTES and len(thread_key or "") <= LONGEST_THREAD_KEY
    )


def _is_newer(change: Change, kept: Change) -> bool:
    if isinstance(change, Edited) and isinstance(kept, Edited):
        return kept.edited_at is None or change.edited_at is None or change.edited_at > kept.edited_at
    return False


def _kind(change: Change) -> str:
    return type(change).__name__.lower()


def _change(row: EarlyChange) -> Change:
    return _KINDS[row.kind].validate_python(row.said)
