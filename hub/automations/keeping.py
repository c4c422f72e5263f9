"""The timers of a conversation as its row keeps them, and having those asked again that missed their time."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from hub.automations.causes import chain_of
from hub.automations.models import AutomationTimer
from hub.database import nudge
from routing.automations import Timer, after_a_change, next_due
from routing.policy import Policy


def look_again(session: Session, ids: Collection[int] | Select[int], policy: Policy, now: datetime) -> None:
    """Have automations that missed their time in these conversations asked again: something changed there.

    For what does not place them. Nobody need hold them.
    """
    if not policy.timed_automations:
        return
    rows = session.scalars(
        select(AutomationTimer)
        .where(AutomationTimer.conversation_id.in_(ids))
        .order_by(AutomationTimer.conversation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    for row in rows:
        before = kept(row)
        found = after_a_change(before, now, chain_of(session))
        if found != before:
            keep(row, found)
            nudge(session, "automate")


def kept(row: AutomationTimer) -> tuple[Timer, ...]:
    """The timers of a row."""
    return tuple(
        Timer(name, datetime.fromisoformat(since), datetime.fromisoformat(due_at), asked, *_more(more))
        for name, since, due_at, asked, *more in row.timers or ()
    )


def keep(row: AutomationTimer, waiting: Collection[Timer]) -> None:
    """Have a row hold these."""
    row.timers = [
        [
            timer.automation,
            timer.since.isoformat(),
            timer.due_at.isoformat(),
            timer.asked,
            timer.missed,
            timer.again_at.isoformat() if timer.again_at else None,
            list(timer.chain),
        ]
        for timer in waiting
    ]
    row.due_at = next_due(list(waiting))


def _more(written: list[Any]) -> tuple[str, datetime | None, tuple[str, ...]]:
    """What is kept of a timer whose time has come; nothing in rows of before there was any such."""
    missed, again_at, chain = written or ("", None, ())
    return missed, datetime.fromisoformat(again_at) if again_at else None, tuple(chain)
