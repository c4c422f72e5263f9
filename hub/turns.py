"""Taking turns at work that is done again and again, however many processes would do it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from hub.database import insert_missing


def take_turn(
    session: Session, taken_at: InstrumentedAttribute[Any], apart: timedelta, now: datetime
) -> bool:
    """Whether it is our turn: the last one is so long ago, or a clock was set back since.

    `taken_at` is a column of a table of one row, which is made if it is missing and locked until we commit.
    """
    table: Any = taken_at.class_
    ours = (
        update(table)
        .where(table.id == 1, or_(taken_at.is_(None), taken_at <= now - apart, taken_at > now))
        .values({taken_at: now})
        .returning(table.id)
    )
    if session.execute(ours).scalar() is not None:
        return True
    if session.get(table, 1) is not None:
        return False
    # The very first turn: of several who come to it the first to commit has it.
    insert_missing(session, table, [{"id": 1, taken_at.key: now - apart}])
    return session.execute(ours).scalar() is not None
