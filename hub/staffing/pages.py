"""What is foreseen, for managers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from hub.clock import utcnow
from hub.http import PageUser, SessionDep
from hub.pages import page, zone_of
from hub.policies.service import active_policy
from hub.queue.handling import handling_views
from hub.queue.planner import agents_on_duty
from hub.staffing.queries import HourView, foreseen
from routing.forecast import FEWEST_HOURS

router = APIRouter()


@router.get("/staffing")
def staffing_page(request: Request, session: SessionDep, user: PageUser) -> Response:
    now = utcnow()
    found = foreseen(session, now)
    policy, zone = active_policy(session).policy, zone_of(request, session)
    hours = found.hours if found else []
    return page(
        request,
        session,
        user,
        "staffing.html",
        "staffing",
        now=now,
        looked=found is not None,
        history_days=(found.history_hours // 24) if found else 0,
        fewest_days=FEWEST_HOURS // 24,
        today=found.today if found else None,
        attainment=found.attainment if found else None,
        outlook=found.outlook if found else None,
        warned_since=found.warned_since if found else None,
        agents=agents_on_duty(session, now, policy.assignment.away_after),
        hours=hours,
        days=_by_day(hours, zone),
        zone=zone.key,
        learns=policy.handling.learn,
        handling=handling_views(session, policy),
    )


def _by_day(hours: Sequence[HourView], zone: ZoneInfo) -> list[dict[str, Any]]:
    """The hours by the reader's day, in whose zone the browser shows them, each day with its sum."""
    days: dict[date, list[HourView]] = {}
    for hour in hours:
        days.setdefault(hour.starts_at.astimezone(zone).date(), []).append(hour)
    return [
        {
            "begins_at": each[0].starts_at,
            "expected": sum(hour.expected for hour in each),
            "most": max(hour.needed for hour in each),
            "agent_hours": sum(hour.needed for hour in each),
            "hours": each,
        }
        for each in days.values()
    ]
