"""Agents for the hours ahead, found by replay; and what breaks with those on duty."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from routing.calendars import Calendar, Interval
from routing.forecast import HourAhead
from routing.plan import plan
from routing.replay.disciplines import earliest_deadline, planned
from routing.staffing import Case, Need, Queued, need, outlook
from routing.types import Waiting

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALWAYS = Calendar.always()
OFFICE = Calendar("UTC", [[Interval(9 * 60, 17 * 60)]] * 5 + [[], []])
DISCIPLINE = planned(plan, every_seconds=60, share=0.05)
foretold = partial(outlook, discipline=DISCIPLINE, draws=5)


def case(minutes: float, *, calendar: Calendar = ALWAYS, weight: float = 1.0) -> Case:
    return Case(300, 300, weight, timedelta(minutes=minutes), calendar)


def ahead(*expected: float, start: datetime = START) -> list[HourAhead]:
    """Hours with ranges as wide as Poisson's."""
    return [
        HourAhead(
            start + step * HOUR,
            mean,
            max(0, round(mean - 1.28 * mean**0.5)),
            round(mean + 1.28 * mean**0.5),
        )
        for step, mean in enumerate(expected)
    ]


def fewest(
    hours: list[HourAhead],
    cases: list[Case],
    queue: list[Queued] | None = None,
    *,
    now: datetime = START,
    attainment: float = 0.95,
) -> Need:
    """As the hub asks it: while nearly all promises are kept, the plan serves by their ends too."""
    return need(hours, cases, queue or [], now, earliest_deadline, attainment, draws=3)


def test_more_agents_for_more_work_and_shorter_promises() -> None:
    slow = fewest(ahead(24, 48, 24, 24), [case(240)], attainment=0.95)
    fast = fewest(ahead(24, 48, 24, 24), [case(10)], attainment=0.95)
    busy = fewest(ahead(48, 96, 48, 48), [case(10)], attainment=0.95)
    slow_agents, fast_agents, busy_agents = (
        sum(hour.needed for hour in found.hours) for found in (slow, fast, busy)
    )
    assert slow_agents < fast_agents < busy_agents
    assert fast.attainment is not None
    assert fast.attainment >= 0.95
    assert fast.worst is not None
    assert fast.worst <= fast.attainment
    # The work itself: two erlangs at noon's five minutes each, twice that in the second hour.
    assert fast.hours[1].needed >= 4
    assert [hour.starts_at for hour in fast.hours] == [START + step * HOUR for step in range(4)]


def test_short_promises_need_what_erlang_says_and_long_ones_less() -> None:
    hours = ahead(*[60] * 6)
    tight, loose = (fewest(hours, [case(minutes)], attainment=0.95) for minutes in (8, 180))
    for found in (tight, loose):
        assert all(hour.erlang > hour.load for hour in found.hours)
    middle = tight.hours[3]
    assert abs(middle.needed - middle.erlang) <= 1
    assert sum(hour.needed for hour in loose.hours) < sum(hour.erlang for hour in tight.hours)


def test_nobody_is_needed_while_a_calendar_is_closed() -> None:
    found = fewest(ahead(*[12] * 8), [case(120, calendar=OFFICE)], attainment=0.9)
    assert [hour.needed > 0 for hour in found.hours] == [False] * 3 + [True] * 5
    assert [hour.erlang > 0 for hour in found.hours] == [False] * 3 + [True] * 5


@pytest.mark.parametrize("hours", [0, 3])
def test_nothing_expected(hours: int) -> None:
    assert fewest(ahead(*[5.0] * hours), [], attainment=0.95) == Need(())
    quiet = fewest(ahead(*[0.0] * hours), [case(30)], attainment=0.95)
    assert [hour.needed for hour in quiet.hours] == [0] * hours
    assert quiet.attainment is None


def waits(count: int, minutes: float, now: datetime = START) -> list[Waiting]:
    due = now + timedelta(minutes=minutes)
    return [Waiting(number, due, due + HOUR, 1.0, 300) for number in range(1, count + 1)]


MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def test_who_waits_already_needs_agents_when_their_calendar_opens() -> None:
    # Sunday at 20:00: 24 mails of five minutes are due on Monday at 10:00, an hour after the office opens.
    sunday = MONDAY - 4 * HOUR
    hours = ahead(*[0.1] * 18, start=sunday)
    mails = [Queued(each, OFFICE) for each in waits(24, 14 * 60, sunday)]
    quiet = fewest(hours, [case(30)], now=sunday)
    found = fewest(hours, [case(30)], mails, now=sunday)
    assert {hour.needed for hour in quiet.hours} == {1}
    by_hour = {hour.starts_at: hour for hour in found.hours}
    nine = by_hour[MONDAY + 9 * HOUR]
    assert 2 <= nine.load <= 2.1
    assert 2 <= nine.needed <= 4
    assert nine.erlang >= 3
    assert found.attainment is not None
    assert found.attainment >= 0.95
    # Whoever is there for others in the night does not answer them.
    assert {hour.needed for hour in found.hours if hour is not nine} == {1}


def test_who_waits_spreads_over_the_time_left_and_comes_after_what_is_gone() -> None:
    hours, now = ahead(*[0.0] * 4), START + HOUR / 2
    spread = fewest(hours, [case(30)], [Queued(each, ALWAYS) for each in waits(30, 150, now)], now=now)
    # Two and a half hours' work within two and a half hours: one agent all the time.
    assert [round(hour.load, 6) for hour in spread.hours] == [1, 1, 1, 0]
    assert [hour.needed > 0 for hour in spread.hours] == [True, True, True, False]
    soon = fewest(hours, [case(30)], [Queued(each, ALWAYS) for each in waits(30, 30, now)], now=now)
    assert [round(hour.load, 6) for hour in soon.hours] == [5, 0, 0, 0]
    assert soon.hours[0].needed >= 5


@pytest.mark.parametrize(
    ("due_in", "second_in", "until", "counts"),
    [
        (60, 120, 1, True),
        (4, 60, 1, True),  # The first cannot be kept any more: it takes five minutes.
        (-30, 60, 1, True),
        (-120, -60, 4, False),
        (-120, 2, 4, False),
    ],
)
def test_what_is_owed_to_who_waits(due_in: int, second_in: int, until: int, *, counts: bool) -> None:
    minute = timedelta(minutes=1)
    one = Waiting(1, START + due_in * minute, START + second_in * minute, 1.0, 300)
    found = fewest(ahead(*[0.0] * 4), [case(30)], [Queued(one, ALWAYS)])
    # The work of who has no promise left counts too, as long as anybody is looked at.
    assert [hour.load > 0 for hour in found.hours] == [True] * until + [False] * (4 - until)
    assert sum(hour.load for hour in found.hours) == pytest.approx(300 / 3600)
    assert (found.attainment is not None) == counts


def test_it_is_told_an_hour_ahead_what_will_break() -> None:
    hours, cases = ahead(0, 60, start=START), [case(20)]
    few = foretold([], hours, cases, 2, START, attainment=0.95)
    assert few.breaking > 15
    assert few.due > few.breaking
    assert few.first_at is not None
    assert START + HOUR < few.first_at < START + 2 * HOUR
    assert few.until == START + 2 * HOUR
    enough = foretold([], hours, cases, few.agents_needed, START, attainment=0.95)
    assert enough.breaking < 0.08 * enough.due
    assert enough.agents_needed == few.agents_needed
    assert 4 <= few.agents_needed <= 8


def test_those_who_wait_count_too() -> None:
    hours = ahead(0, 0)
    now = START + HOUR / 2
    found = foretold(waits(20, 30, now), hours, [], 1, now, attainment=1.0)
    assert (found.due, found.breaking) == (20, 14)
    assert found.first_at == now + timedelta(minutes=30)
    assert found.agents_needed == 4
    alone = foretold(waits(20, 30, now), hours, [], 0, now, attainment=1.0)
    assert (alone.breaking, alone.agents_needed) == (20, 4)


def test_what_is_late_already_needs_nobody_more() -> None:
    found = foretold(waits(3, -5), ahead(0), [], 1, START, attainment=0.95)
    assert (found.due, found.breaking, found.first_at, found.agents_needed) == (0, 0, None, 0)
    found = foretold([], [], [], 1, START, attainment=0.95)
    assert (found.due, found.agents_needed, found.until) == (0, 0, START + HOUR)
