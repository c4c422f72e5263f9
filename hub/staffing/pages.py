"""What is foreseen, for managers."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from hub.clock import utcnow
from hub.http import PageUser, SessionDep
from hub.pages import page
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
    policy = active_policy(session).policy
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
        days=_by_day(hours, policy.time_zone),
        learns=policy.handling.learn,
        handling=handling_views(session, policy),
    )


def _by_day(hours: list[HourView] | Any, time_zone: str) -> list[dict[str, Any]]:
    """The hours by local day of the brand, each with its sum."""
    zone = ZoneInfo(time_zone)
    days: dict[Any, list[HourView]] = {}
    for hour in hours:
        days.setdefault(hour.starts_at.astimezone(zone).date(), []).append(hour)
    return [
        {
            "at": datetime.combine(day, datetime.min.time(), zone),
            "expected": sum(hour.expected for hour in each),
            "most": max(hour.needed for hour in each),
            "agent_hours": sum(hour.needed for hour in each),
            "hours": each,
        }
        for day, each in days.items()
    ]
