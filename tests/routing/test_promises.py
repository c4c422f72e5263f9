"""What is owed, when it is due with pauses in business time, how it stands, which promise governs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.calendars import Calendar, Interval
from routing.clocks import ConversationState, StatusChange
from routing.promises import (
    Pause,
    Settlement,
    Standing,
    due_at,
    elapsed,
    governing,
    measure,
    owed,
    pauses,
    settle,
)
from routing.types import STATUSES, Metric, Status

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)  # a Monday
OFFICE = Calendar("UTC", [[Interval(540, 1020)]] * 5 + [[], []])  # 9 to 17
ALWAYS = Calendar.always()
HOUR = timedelta(hours=1)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def past(told: str) -> tuple[StatusChange, ...]:
    """A history such as `new 0, pending 30`, in minutes after noon."""
    changes = [change.split() for change in told.split(", ")]
    return tuple(StatusChange(cast("Status", status), at(float(minute))) for status, minute in changes)


def state(history: str, **fields: float) -> ConversationState:
    changes = past(history)
    moments = {name: at(minute) for name, minute in fields.items()}
    return ConversationState(status=changes[-1].status, history=changes, **moments)


@pytest.mark.parametrize(
    ("conversation", "expected"),
    [
        pytest.param(ConversationState(), [], id="nobody has written"),
        pytest.param(
            state("new 0", waiting_since=0),
            [("first_reply_time", 0), ("resolution_time", 0)],
            id="a first message",
        ),
        pytest.param(
            state("new 0, open 5, pending 5", first_replied_at=5, last_replied_at=5),
            [("periodic_update_time", 5), ("resolution_time", 0)],
            id="answered",
        ),
        pytest.param(
            state("new 0, open 5, pending 5, open 9", first_replied_at=5, last_replied_at=5, waiting_since=9),
            [("next_reply_time", 9), ("periodic_update_time", 5), ("resolution_time", 0)],
            id="and asked again",
        ),
        pytest.param(state("new 0, solved 5", first_replied_at=3, last_replied_at=3), [], id="solved"),
        pytest.param(state("new 0, closed 5"), [], id="closed"),
        pytest.param(
            state("new 0, solved 5, open 9", waiting_since=9),
            [("first_reply_time", 9), ("resolution_time", 0)],
            id="reopened: the same resolution",
        ),
    ],
)
def test_owed(conversation: ConversationState, expected: list[tuple[Metric, float]]) -> None:
    assert [(each.metric, each.started_at) for each in owed(conversation)] == [
        (metric, at(minute)) for metric, minute in expected
    ]


@pytest.mark.parametrize(
    ("metric", "started", "history", "expected"),
    [
        pytest.param("first_reply_time", 0, "new 0, pending 5", [], id="a first reply does not pause"),
        pytest.param("next_reply_time", 0, "new 0, pending 5", [], id="nor the next"),
        pytest.param("resolution_time", 0, "new 0, open 5, on_hold 6, snoozed 7", [], id="on hold it runs"),
        pytest.param("resolution_time", 0, "new 0, pending 5", [(5, None)], id="on the customer it pauses"),
        pytest.param("resolution_time", 0, "new 0, pending 5, open 9", [(5, 9)], id="until they write"),
        pytest.param(
            "resolution_time", 0, "new 0, solved 5, open 9, pending 12", [(5, 9), (12, None)], id="twice"
        ),
        pytest.param("resolution_time", 0, "new 0, pending 5, solved 7, open 9", [(5, 9)], id="one pause"),
        pytest.param(
            "periodic_update_time", 7, "new 0, pending 5, open 9", [(7, 9)], id="only since it started"
        ),
        pytest.param("periodic_update_time", 9, "new 0, pending 5, open 9", [], id="it ended as this began"),
    ],
)
def test_pauses(
    metric: Metric, started: float, history: str, expected: list[tuple[float, float | None]]
) -> None:
    assert pauses(metric, at(started), past(history)) == tuple(
        Pause(at(begin), None if end is None else at(end)) for begin, end in expected
    )


@pytest.mark.parametrize(
    ("history", "hours", "due"),
    [
        pytest.param("new 0", 4, 240, id="no pause"),
        pytest.param("new 0, pending 60, open 120", 4, 300, id="an hour on the customer"),
        pytest.param("new 0, pending 60, open 120", 1, 60, id="due as it paused"),
        pytest.param("new 0, pending 60, open 1320", 2, 1380, id="a night on the customer"),
        pytest.param("new 0, pending 240, open 1260", 5, 1320, id="the last hour of a day on the customer"),
        pytest.param("new 0, pending 60", 4, 240, id="as of when it paused"),
        pytest.param("new 0, pending 360, open 420", 6, 1320, id="a pause at night is none"),
        pytest.param("new 0, pending 60, open 90, pending 100, open 130", 3, 240, id="two pauses"),
        pytest.param("new 0, open 300, pending 310", 1, 60, id="due before it paused"),
    ],
)
def test_due_at_with_pauses_in_business_time(history: str, hours: float, due: float) -> None:
    stood = pauses("resolution_time", at(0), past(history))
    found = due_at(at(0), hours * HOUR, OFFICE, stood)
    assert elapsed(at(0), found, OFFICE, stood) <= hours * HOUR
    assert found == at(due)


@pytest.mark.parametrize(
    ("due", "now", "met", "expected"),
    [
        pytest.param(30, 15, None, Settlement("running", None, None, 0, 0.75), id="half is used"),
        pytest.param(30, 30, None, Settlement("running", None, None, 0, 1.0), id="the last moment"),
        pytest.param(30, 31, None, Settlement("breached", None, at(30), 60, 61 / 60), id="a minute late"),
        pytest.param(30, 90, 20, Settlement("met", at(20), None, 0, 50 / 60), id="met"),
        pytest.param(30, 90, 30, Settlement("met", at(30), None, 0, 1.0), id="met at the last moment"),
        pytest.param(30, 90, 45, Settlement("breached", at(45), at(30), 900, 75 / 60), id="answered late"),
        pytest.param(
            240,
            22 * 60,
            None,
            Settlement("breached", None, at(240), 7200, 3.0),
            id="the night is closed",
        ),
    ],
)
def test_settle(due: float, now: float, met: float | None, expected: Settlement) -> None:
    settled = settle(at(due), 3600, OFFICE, now=at(now), met_at=None if met is None else at(met))
    assert settled.used == pytest.approx(expected.used)
    assert settled == Settlement(
        expected.outcome, expected.met_at, expected.breached_at, expected.late_by_seconds, settled.used
    )


def test_a_clock_that_stands_still_breaks_nothing() -> None:
    stood = (Pause(at(20), None),)
    settled = settle(at(60), 3600, ALWAYS, now=at(500), stood=stood)
    assert settled.used == pytest.approx(1 / 3)
    assert settled == Settlement("paused", None, None, 0, settled.used)
    solved = settle(at(60), 3600, ALWAYS, now=at(500), met_at=at(400), stood=stood)
    assert (solved.outcome, solved.late_by_seconds) == ("met", 0)


def test_late_time_counts_only_while_the_clock_runs() -> None:
    stood = (Pause(at(70), at(170)),)
    settled = settle(at(60), 3600, ALWAYS, now=at(180), stood=stood)
    assert (settled.outcome, settled.late_by_seconds) == ("breached", 20 * 60)
    assert settled.used == pytest.approx(80 / 60)


def promised(metric: Metric, due: float, asks: float | None = 0) -> Standing:
    return Standing(metric, at(due), None if asks is None else at(asks))


@pytest.mark.parametrize(
    ("promises", "status", "governs"),
    [
        pytest.param([], "open", None, id="nothing is owed"),
        pytest.param([promised("resolution_time", 60)], "open", None, id="to resolve alone is no act"),
        pytest.param([promised("first_reply_time", 60)], "new", 60, id="a reply"),
        pytest.param([promised("next_reply_time", 60)], "pending", 60, id="also while it is set aside"),
        pytest.param(
            [promised("first_reply_time", 60), promised("resolution_time", 40)], "new", 40, id="earlier"
        ),
        pytest.param(
            [promised("first_reply_time", 60), promised("resolution_time", 90)], "new", 60, id="later"
        ),
        pytest.param(
            [promised("first_reply_time", 60), promised("resolution_time", 5)], "new", 60, id="too late"
        ),
        pytest.param([promised("next_reply_time", 5)], "open", 5, id="a reply is owed however late"),
        pytest.param([promised("periodic_update_time", 60, 20)], "on_hold", None, id="an update, not yet"),
        pytest.param([promised("periodic_update_time", 60, 10)], "on_hold", 60, id="an update, now"),
        pytest.param([promised("periodic_update_time", 60, 10)], "snoozed", None, id="asleep"),
        pytest.param([promised("periodic_update_time", 60, None)], "pending", None, id="paused"),
        pytest.param(
            [promised("next_reply_time", 90), promised("periodic_update_time", 60, 10)],
            "open",
            60,
            id="earliest",
        ),
        pytest.param(
            [promised("first_reply_time", 60), promised("resolution_time", 40, None)],
            "pending",
            60,
            id="stands",
        ),
    ],
)
def test_the_promise_that_governs_is_the_one_owed_first(
    promises: list[Standing], status: Status, governs: float | None
) -> None:
    found = governing(promises, status, at(10))
    assert (found.due_at if found else None) == (None if governs is None else at(governs))


@pytest.mark.parametrize(
    ("history", "now", "first", "resolution", "work"),
    [
        pytest.param("new 0", 60, None, 60, 60, id="not solved yet"),
        pytest.param(
            "new 0, pending 10, open 30, solved 40", 500, 20, 20, 20, id="without the customer's time"
        ),
        pytest.param("new 0, on_hold 10, open 30, solved 40", 500, 40, 40, 20, id="they wait for others too"),
        pytest.param("new 0, snoozed 10, open 30, solved 40", 500, 40, 40, 20, id="and while it sleeps"),
        pytest.param(
            "new 0, solved 40, open 100, solved 110", 500, 40, 50, 50, id="reopened: first and total"
        ),
        pytest.param("new 0, solved 40, open 100", 130, 40, 70, 70, id="reopened, and not solved again"),
        pytest.param("new 0, closed 40", 130, 40, 40, 40, id="closed"),
    ],
)
def test_times(history: str, now: float, first: float | None, resolution: float, work: float) -> None:
    times = measure(past(history), ALWAYS, at(now))
    assert times is not None
    minutes = timedelta(minutes=1)
    assert (times.first_resolution and times.first_resolution / minutes) == first
    assert (times.resolution / minutes, times.requester_wait / minutes) == (resolution, resolution)
    assert times.agent_work / minutes == work


def test_nobody_waited_where_no_customer_has_written() -> None:
    assert measure((), ALWAYS, NOON) is None


@st.composite
def histories(draw: st.DrawFn) -> tuple[StatusChange, ...]:
    minutes = sorted(draw(st.lists(st.integers(0, 20_000), max_size=8)))
    statuses = draw(st.lists(st.sampled_from(STATUSES), min_size=len(minutes), max_size=len(minutes)))
    return (
        StatusChange("new", at(0)),
        *(StatusChange(s, at(m)) for s, m in zip(statuses, minutes, strict=True)),
    )


METRICS: list[Metric] = ["periodic_update_time", "resolution_time"]


@given(histories(), st.sampled_from(METRICS), st.integers(1, 6000), st.sampled_from([ALWAYS, OFFICE]))
def test_what_is_due_has_run_its_target(
    history: tuple[StatusChange, ...], metric: Metric, minutes: int, calendar: Calendar
) -> None:
    """With pauses too, `elapsed` undoes `due_at`; where the clock stands still it is as if it went on."""
    stood = pauses(metric, at(0), history)
    target = timedelta(minutes=minutes)
    due = due_at(at(0), target, calendar, stood)
    goes_on = tuple(pause for pause in stood if pause.end is not None)
    assert elapsed(at(0), due, calendar, goes_on) == target
    # A promise is kept up to its due time, and broken after it, unless the clock stands still.
    still = bool(stood) and stood[-1].end is None and stood[-1].begin <= due
    settled = settle(due, minutes * 60, calendar, now=due, stood=stood)
    assert settled.breached_at is None
    later = settle(due, minutes * 60, calendar, now=due + timedelta(days=30), stood=stood)
    assert (later.breached_at is None) == still


@given(histories(), st.lists(st.integers(0, 30_000), min_size=2, max_size=5).map(sorted))
def test_no_time_runs_backwards(history: tuple[StatusChange, ...], minutes: list[int]) -> None:
    found = [measure(history, OFFICE, at(minute)) for minute in minutes if at(minute) >= history[-1].at]
    for earlier, later in pairwise(found):
        assert earlier is not None
        assert later is not None
        assert earlier.agent_work <= later.agent_work
        assert earlier.agent_work <= earlier.requester_wait <= later.requester_wait
