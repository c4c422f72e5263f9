"""What is foreseen, for programs."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy.orm import Session

from hub.clock import utcnow
from hub.http import ApiUser, SessionDep
from hub.policies.service import active_policy
from hub.queue.handling import handling_views
from hub.staffing.queries import Foreseen, foreseen

router = APIRouter(tags=["reports"])


class HourOut(BaseModel):
    """`expected` conversations begin to wait in this hour, `low` to `high` in four of five cases; `load` is
    the work of the hour in agents, `needed` agents keep the promises, `erlang` by Erlang's formula."""

    starts_at: datetime
    expected: float
    low: int
    high: int
    load: float
    erlang: int
    needed: int


class OutlookOut(BaseModel):
    """Of the promises that fall due until `until`, `breaking` will not be kept with `agents`, the first at
    about `first_at`; `agents_needed` would keep nearly all."""

    until: datetime
    agents: int
    due: float
    breaking: float
    first_at: datetime | None
    agents_needed: int


class StaffingReport(BaseModel):
    """`today` is how busy the day is beside what was expected, `attainment` the share of promises that the
    agents of `hours` keep. Without a week of history there are no `hours`."""

    at: datetime | None
    history_hours: int
    today: float | None
    attainment: float | None
    hours: list[HourOut]
    outlook: OutlookOut | None
    warned_since: datetime | None


class HandlingOut(BaseModel):
    """How long an agent works on an answer to a message of this `intent`, null where none is known: the
    seconds that the policy says, those that the plan expects, and how many cases were seen."""

    intent: str | None
    policy_seconds: float
    expected_seconds: float
    cases: int


class HandlingReport(BaseModel):
    """`learn` is whether the policy lets the plan expect what was learnt."""

    learn: bool
    intents: list[HandlingOut]


@router.get("/reports/handling")
def get_handling(user: ApiUser, session: SessionDep) -> HandlingReport:
    """How long agents work on an answer, by intent: what the policy says, and what was learnt."""
    return handling_out(session)


def handling_out(session: Session) -> HandlingReport:
    """What is expected, as the API and `hub handling --json` show it."""
    policy = active_policy(session).policy
    views = handling_views(session, policy)
    return HandlingReport(
        learn=policy.handling.learn,
        intents=[HandlingOut.model_validate(view, from_attributes=True) for view in views],
    )


@router.get("/reports/staffing")
def get_staffing(user: ApiUser, session: SessionDep) -> StaffingReport:
    """What is expected in the next two days, whom it needs, and what will break within two hours."""
    return staffing_out(foreseen(session, utcnow()))


def staffing_out(found: Foreseen | None) -> StaffingReport:
    """What is foreseen as the API and `hub forecast --json` show it."""
    if found is None:
        return StaffingReport(
            at=None, history_hours=0, today=None, attainment=None, hours=[], outlook=None, warned_since=None
        )
    return StaffingReport.model_validate(found, from_attributes=True)
