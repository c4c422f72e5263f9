"""Response times for programs."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel

from hub.clock import utcnow
from hub.http import ApiUser, SessionDep
from hub.period import Range, Unit
from hub.reports.measured import measured, to_csv
from hub.reports.queries import response_times

router = APIRouter(prefix="/reports", tags=["reports"])


class ScoreOut(BaseModel):
    """Promises kept and broken; `attainment` is met / (met + breached). Median and p90 are of the time that
    elapsed, by the wall clock, until the first reply; `target_seconds` is the target most often promised."""

    met: int
    breached: int
    attainment: float | None
    median_seconds: float | None
    p90_seconds: float | None
    target_seconds: int | None


class PointOut(ScoreOut):
    at: datetime


class TierScore(ScoreOut):
    tier: str | None


class ChannelScore(ScoreOut):
    channel: str


class SolvedOut(BaseModel):
    """Solved conversations, and how long they took, in seconds of the wall clock from the customer's first
    message: until first solved, until solved last without waiting for the customer, how long the customer
    waited for us, and how long it was new or open."""

    solved: int
    first_resolution_median_seconds: float | None
    first_resolution_p90_seconds: float | None
    resolution_median_seconds: float | None
    resolution_p90_seconds: float | None
    requester_wait_median_seconds: float | None
    requester_wait_p90_seconds: float | None
    agent_work_median_seconds: float | None
    agent_work_p90_seconds: float | None


class TierSolved(SolvedOut):
    tier: str | None


class ChannelSolved(SolvedOut):
    channel: str


class MeasuredReport(BaseModel):
    """How long what was solved took. A conversation counts when it was solved last, while it still is."""

    since: datetime
    until: datetime
    totals: SolvedOut
    by_tier: list[TierSolved]
    by_channel: list[ChannelSolved]


class AtRiskOut(BaseModel):
    conversation_id: int
    customer: str
    tier: str | None
    channel: str
    metric: str
    due_at: datetime
    reply_by: datetime | None
    target_seconds: int
    used_seconds: float


class BreachOut(BaseModel):
    conversation_id: int
    customer: str
    tier: str | None
    channel: str
    metric: str
    due_at: datetime
    late_by_seconds: int
    answered: bool


class ResponseTimesReport(BaseModel):
    """Whether promises were kept. One counts when it is met or when it breaks; what still runs does not.

    By tier and by channel are first replies. `timed` is how many first replies the percentiles rest on.
    """

    since: datetime
    until: datetime
    unit: Unit
    totals: ScoreOut
    timed: int
    replies: int
    over_time: list[PointOut]
    by_tier: list[TierScore]
    by_channel: list[ChannelScore]
    at_risk: list[AtRiskOut]
    breaches: list[BreachOut]


@router.get("/response-times")
def get_response_times(user: ApiUser, session: SessionDep, range: Range = "7d") -> ResponseTimesReport:
    """Promises kept and broken, and how fast people answer; those due next, those broken of late."""
    found = response_times(session, range, utcnow())
    return ResponseTimesReport(
        since=found.period.since,
        until=found.period.until,
        unit=found.period.unit,
        totals=ScoreOut(**found.totals.fields()),
        timed=found.timed,
        replies=found.replies,
        over_time=[PointOut(at=at, **score.fields()) for at, score in found.over_time],
        by_tier=[TierScore(tier=tier, **score.fields()) for tier, score in found.by_tier],
        by_channel=[
            ChannelScore(channel=channel.name, **score.fields()) for channel, score in found.by_channel
        ],
        at_risk=[
            AtRiskOut(
                conversation_id=each.conversation.id,
                customer=each.conversation.customer.name,
                tier=each.conversation.customer.tier,
                channel=each.conversation.goes_by.name,
                metric=each.promise.metric,
                due_at=each.promise.due_at,
                reply_by=each.conversation.reply_by,
                target_seconds=each.promise.target_seconds,
                used_seconds=round(each.promise.used_seconds, 1),
            )
            for each in found.at_risk
        ],
        breaches=[
            BreachOut(
                conversation_id=each.conversation.id,
                customer=each.conversation.customer.name,
                tier=each.conversation.customer.tier,
                channel=each.conversation.goes_by.name,
                metric=each.metric,
                due_at=each.due_at,
                late_by_seconds=each.late_by_seconds,
                answered=each.answered,
            )
            for each in found.breaches
        ],
    )


@router.get("/resolution-times")
def get_resolution_times(user: ApiUser, session: SessionDep, range: Range = "7d") -> MeasuredReport:
    """How long conversations took that were solved, by tier and by channel."""
    found = measured(session, range, utcnow())
    return MeasuredReport(
        since=found.period.since,
        until=found.period.until,
        totals=SolvedOut.model_validate(found.totals.fields()),
        by_tier=[TierSolved.model_validate({"tier": tier, **each.fields()}) for tier, each in found.by_tier],
        by_channel=[
            ChannelSolved.model_validate({"channel": channel.name, **each.fields()})
            for channel, each in found.by_channel
        ],
    )


@router.get("/resolution-times.csv", response_class=Response)
def get_resolution_times_csv(user: ApiUser, session: SessionDep, range: Range = "7d") -> Response:
    """The same as CSV: a line in all, and one for each tier and channel."""
    return Response(to_csv(measured(session, range, utcnow())), media_type="text/csv")
