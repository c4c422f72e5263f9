"""Looking ahead over stored history: a forecast once an hour, an outlook every minute, a warning in time."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from hub.accounts.service import heartbeat
from hub.channels.models import Channel
from hub.clock import utcnow
from hub.conversations.models import Conversation, Promise
from hub.policies.service import active_policy
from hub.runtime import Hub
from hub.staffing.models import Foresight
from hub.staffing.queries import foreseen, hourly_counts, past_cases, warning_of
from hub.staffing.service import foresee
from tests import factories
from tests.factories import NOW, channel, inbound, receive_one
from tests.hub.conftest import ON_SQLITE, Clock

HOUR = timedelta(hours=1)


def history(session: Session, days: int, a_day: int = 4, now: datetime = NOW) -> Channel:
    """So many conversations each day, one an hour from eight o'clock in Berlin on, all answered."""
    where = channel(session, at=now)
    number = 0
    for day in range(1, days + 1):
        for hour in range(a_day):
            begins = now.replace(hour=7, minute=20) - timedelta(days=day) + hour * HOUR
            message = receive_one(
                session, where, inbound("hello", author=f"author{number}", sent_at=begins), now=begins
            )
            conversation = session.get_one(Conversation, message.conversation_id)
            promise = conversation.promise
            assert promise is not None
            promise.met_at, conversation.promise, conversation.reply_by = begins + HOUR / 4, None, None
            conversation.waiting_since = None
            number += 1
    session.flush()
    return where


def crowd(session: Session, where: Channel, count: int, now: datetime) -> None:
    """Customers who begin to wait now, on a channel that promises two hours."""
    for number in range(count):
        item = inbound("help", author=f"crowd{number}", sent_at=now)
        receive_one(session, where, item, now=now)


def test_the_past_is_counted_by_the_hour(session: Session) -> None:
    history(session, 3)
    since, counts = hourly_counts(session, NOW + HOUR / 2)
    assert since == NOW.replace(hour=7) - timedelta(days=3)
    assert sum(counts) == 12
    assert counts[:6] == [1, 1, 1, 1, 0, 0]
    assert len(counts) == (NOW - since) // HOUR
    assert len(past_cases(session, active_policy(session).policy)) == 12


@ON_SQLITE
def test_a_week_is_needed(hub: Hub, clock: Clock) -> None:
    with hub.database.reading() as session:
        assert foreseen(session, clock.now) is None
    with hub.database.session() as session:
        history(session, 5)
    assert foresee(hub) == 0
    with hub.database.reading() as session:
        found = foreseen(session, clock.now)
        assert found is not None
        assert (found.hours, found.outlook, found.history_hours // 24) == ([], None, 5)


def test_it_looks_ahead(hub: Hub, clock: Clock) -> None:
    with hub.database.session() as session:
        history(session, 9)
    foresee(hub)
    with hub.database.reading() as session:
        found = foreseen(session, clock.now)
        assert found is not None
        assert len(found.hours) == 48
        assert found.hours[0].starts_at == NOW.replace(minute=0)
        by_hour = {hour.starts_at: hour for hour in found.hours}
        tomorrow = by_hour[NOW.replace(hour=8) + timedelta(days=1)]
        night = by_hour[NOW.replace(hour=22)]
        assert tomorrow.expected > 0.5 > night.expected
        assert tomorrow.needed >= 1
        assert found.attainment is None or found.attainment >= 0.9
        assert found.outlook is not None
    # A look within the same minute is none, and the forecast stays for its hour.
    with hub.database.session() as session:
        made = session.get_one(Foresight, 1)
        assert made.forecast_at == clock.now
        made.outlook = None
    clock.advance(seconds=20)
    foresee(hub)
    with hub.database.reading() as session:
        assert session.get_one(Foresight, 1).outlook is None
    clock.advance(minutes=1)
    foresee(hub)
    with hub.database.reading() as session:
        row = session.get_one(Foresight, 1)
        assert row.outlook is not None
        assert row.forecast_at == NOW
    clock.advance(hours=1)
    foresee(hub)
    with hub.database.reading() as session:
        assert session.get_one(Foresight, 1).forecast_at == clock.now


@ON_SQLITE
def test_who_waits_already_needs_agents(hub: Hub, clock: Clock) -> None:
    with hub.database.session() as session:
        where = history(session, 8)
    foresee(hub)
    with hub.database.reading() as session:
        quiet = foreseen(session, clock.now)
    clock.advance(hours=1)
    with hub.database.session() as session:
        crowd(session, where, 40, clock.now)
    foresee(hub)
    with hub.database.reading() as session:
        found = foreseen(session, clock.now)
    assert quiet is not None
    assert found is not None
    assert sum(hour.needed for hour in found.hours) > sum(hour.needed for hour in quiet.hours)
    assert max(hour.load for hour in found.hours) > max(hour.load for hour in quiet.hours) + 0.5
    assert found.attainment is not None
    assert found.attainment >= 0.95


@ON_SQLITE
def test_who_can_help_it_is_warned_in_time(hub: Hub, clock: Clock) -> None:
    with hub.database.session() as session:
        where = history(session, 8)
        number = factories.user(session, at=clock.now).id
        heartbeat(session, number, clock.now)
        crowd(session, where, 36, clock.now)
        due = min(each.due_at for each in session.query(Promise).filter(Promise.met_at.is_(None)))
    assert due - clock.now >= HOUR
    foresee(hub)
    with hub.database.reading() as session:
        # One look may be chance.
        assert warning_of(session) is None
    clock.advance(minutes=1)
    foresee(hub)
    with hub.database.reading() as session:
        found = foreseen(session, clock.now)
        assert found is not None
        assert found.outlook is not None
        assert found.outlook.agents == 1
        assert found.outlook.breaking > 5
        assert found.warned_since == clock.now
        assert found.outlook.agents_needed > 1
        said = warning_of(session)
        assert said is not None
        assert "will not be kept with 1 agent;" in said
        assert f"it takes {found.outlook.agents_needed}" in said
    # More come on duty: it is over.
    clock.advance(minutes=1)
    with hub.database.session() as session:
        for _ in range(found.outlook.agents_needed + 1):
            heartbeat(session, factories.user(session, at=clock.now).id, clock.now)
    foresee(hub)
    with hub.database.reading() as session:
        assert warning_of(session) is None


@ON_SQLITE
@pytest.mark.parametrize("days", [0, 3, 9])
def test_pages_and_api(hub: Hub, agent: TestClient, api: TestClient, days: int) -> None:
    assert "A running hub looks ahead" in agent.get("/staffing").text
    assert api.get("reports/staffing").json()["hours"] == []
    if days:
        with hub.database.session() as session:
            history(session, days, now=utcnow())
    foresee(hub)
    text = agent.get("/staffing").text
    report = api.get("reports/staffing").json()
    if days < 7:
        assert "A week of messages is needed first" in text
        assert report["hours"] == []
    else:
        assert "Agents needed" in text
        assert "Days and hours of Europe/Berlin." in text
        assert "By Erlang" in text
        assert len(report["hours"]) == 48
        assert report["outlook"]["agents"] >= 0


@ON_SQLITE
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Pacific/Auckland"])
def test_hours_stand_below_the_day_that_they_are_of_where_one_reads_them(
    hub: Hub, agent: TestClient, zone: str
) -> None:
    hours = [
        {"starts_at": (utcnow() + step * HOUR).isoformat(), "expected": 1.0, "low": 0, "high": 3, "load": 0.1}
        | {"erlang": 1, "needed": 1}
        for step in range(48)
    ]
    foresee(hub)
    with hub.database.session() as session:
        row = session.get_one(Foresight, 1)
        row.looked_at, row.history_hours, row.hours = utcnow(), 400, hours
    agent.cookies.set("zone", zone.replace("/", "%2F"))
    text = agent.get("/staffing").text
    assert f"Days and hours of {zone}." in text
    days = []
    for table in text.split('<section class="card block">'):
        if "By Erlang" in table:
            shown = [datetime.fromisoformat(at) for at in re.findall(r'datetime="([^"]+)"', table)]
            (day,) = {at.astimezone(ZoneInfo(zone)).date() for at in shown}
            days.append(day)
    assert len(days) >= 2
    assert days == sorted(set(days))
