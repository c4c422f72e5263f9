"""Response times for people."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from hub.clock import utcnow
from hub.conversations.models import Conversation
from hub.http import PageUser, SessionDep
from hub.pages import page
from hub.period import Range
from hub.reports.measured import measured, to_csv
from hub.reports.queries import Score, response_times

router = APIRouter()


@router.get("/response-times")
def response_times_page(
    request: Request, session: SessionDep, user: PageUser, range: Range = "14d"
) -> Response:
    now = utcnow()
    found = response_times(session, range, now)
    solved = measured(session, range, now)
    return page(
        request,
        session,
        user,
        "response_times.html",
        "response_times",
        now=now,
        range=range,
        totals={**found.totals.fields(), "replies": found.replies},
        by_tier=[{"name": tier, **_score(score)} for tier, score in found.by_tier],
        by_channel=[{"channel": channel, **_score(score)} for channel, score in found.by_channel],
        solved={
            **solved.totals.fields(),
            "by_tier": [{"name": tier, **each.fields()} for tier, each in solved.by_tier],
            "by_channel": [{"channel": channel, **each.fields()} for channel, each in solved.by_channel],
        },
        over_time={
            "unit": found.period.unit,
            # An hour is one everywhere, and told by the reader's clock.
            "zone": found.period.zone if found.period.unit == "day" else "",
            "points": [{"at": at, **score.fields()} for at, score in found.over_time],
        },
        at_risk=[
            {**_head(each.conversation), "promise": each.promise, "reply_by": each.conversation.reply_by}
            for each in found.at_risk
        ],
        breaches=[
            {
                **_head(each.conversation),
                "metric": each.metric,
                "due_at": each.due_at,
                "late_by_seconds": each.late_by_seconds,
                "answered": each.answered,
            }
            for each in found.breaches
        ],
    )


@router.get("/response-times/solved.csv")
def solved_csv(session: SessionDep, user: PageUser, range: Range = "14d") -> Response:
    named = {"Content-Disposition": f'attachment; filename="resolution-times-{range}.csv"'}
    return Response(to_csv(measured(session, range, utcnow())), media_type="text/csv", headers=named)


def _score(score: Score) -> dict[str, Any]:
    return {**score.fields(), "targets": sorted(score.targets)}


def _head(conversation: Conversation) -> dict[str, Any]:
    return {
        "url": f"/conversations/{conversation.id}",
        "customer": conversation.customer,
        "tier": conversation.customer.tier,
        "channel": conversation.goes_by,
    }
