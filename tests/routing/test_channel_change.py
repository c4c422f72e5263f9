"""A conversation that goes on by another channel: its targets count, and the time elapsed is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from routing.clocks import ConversationState, set_status, take_message
from routing.policy import read_policy
from routing.promises import due_at, owed, pauses, settle
from routing.targets import Promised, promised
from routing.types import Facts, Status
from routing.warnings import coming

POLICY = read_policy("""
time_zone: UTC
currency: EUR
tiers: [gold]
calendars:
  office: {hours: {monday: [09:00-17:00], tuesday: [09:00-17:00]}}
policies:
  - name: Social
    when: channel.kind == "social"
    first_reply_time: {default: 1h}
    next_reply_time: {default: 30m}
    periodic_update_time: {default: 2h}
    resolution_time: {default: 4h}
  - name: Mail
    calendar: office
    first_reply_time: {default: 4h}
    next_reply_time: {default: 2h}
    resolution_time: {default: 8h}
warnings:
  - {at: 50%, to: [assignee]}
handling: {default: 5m}
""")
# A Monday noon: five hours until the office closes.
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
KINDS = {"S": "social", "M": "mail"}
STATUSES: dict[str, Status] = {"p": "pending", "o": "open", "s": "solved"}


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


class Talk:
    """A conversation played as `c0 r5 p10 S30`: the customer writes, an agent replies, it is pending, open or
    solved (`p o s`), it goes on by social network or mail (`S M`), each with the minute."""

    def __init__(self, steps: str) -> None:
        self.state, self.kind = ConversationState(), KINDS[steps[0]]
        for step in steps.split():
            what, now = step[0], at(float(step[1:]))
            if what in KINDS:
                self.kind = KINDS[what]
            elif what in "cr":
                self.state = take_message(self.state, now, incoming=what == "c")
            else:
                self.state = set_status(self.state, STATUSES[what], now)

    def due(self) -> dict[str, float]:
        """When each promise is due, in minutes."""
        found = {}
        for metric, started_at in owed(self.state):
            target = self._terms().target(metric)
            if target is not None:
                stood = pauses(metric, started_at, self.state.history)
                moment = due_at(started_at, target.time, target.calendar, stood)
                found[metric.split("_")[0]] = (moment - NOON).total_seconds() / 60
        return found

    def stands(self, minutes: float) -> tuple[str, float]:
        """How what is owed now stands, and how much of it is used."""
        metric, started_at = owed(self.state)[0]
        target = self._terms().targets[metric]
        moment = due_at(started_at, target.time, target.calendar, ())
        settled = settle(moment, int(target.time.total_seconds()), target.calendar, now=at(minutes))
        return settled.outcome, round(settled.used, 3)

    def warned_at(self, *warned: str) -> list[float]:
        """When warnings are still to come of what is owed now."""
        metric, started_at = owed(self.state)[0]
        target = self._terms().targets[metric]
        steps = coming(
            POLICY.warnings,
            metric,
            warned,
            started_at,
            target.time,
            target.calendar,
            (),
            POLICY.calendar,
        )
        return [(moment - NOON).total_seconds() / 60 for moment, _ in steps]

    def _terms(self) -> Promised:
        return promised(Facts(self.kind, self.kind, self.state.metric), POLICY)


@pytest.mark.parametrize(
    ("steps", "due"),
    [
        pytest.param("M0 c0", {"first": 240, "resolution": 1260 + 180}, id="mail: eight office hours"),
        pytest.param("M0 c0 S30", {"first": 60, "resolution": 240}, id="to a quicker one"),
        pytest.param("S0 c0 M50", {"first": 240, "resolution": 1440}, id="to a slower one"),
        pytest.param("M0 c0 S90", {"first": 60, "resolution": 240}, id="its time is over already"),
        pytest.param("M0 c0 S30 M40", {"first": 240, "resolution": 1440}, id="there and back"),
        pytest.param("M0 c0 c20 S30", {"first": 60, "resolution": 240}, id="the oldest message counts"),
        pytest.param(
            "M0 c0 r10 c20 S30", {"next": 50, "periodic": 130, "resolution": 240}, id="a next reply"
        ),
        pytest.param("S0 c0 r10 M30", {"resolution": 1440}, id="what the new one does not promise is gone"),
        pytest.param(
            "M0 c0 r10 p10 o70 S80", {"periodic": 190, "resolution": 300}, id="what stood still stays out"
        ),
        pytest.param("M0 c0 r10 p10 S80", {"periodic": 130, "resolution": 240}, id="while it stands still"),
        pytest.param("M0 c0 r10 s20 S30", {}, id="solved, nothing is owed"),
    ],
)
def test_promises(steps: str, due: dict[str, float]) -> None:
    assert Talk(steps).due() == due


@pytest.mark.parametrize(
    ("steps", "minutes", "stands"),
    [
        ("M0 c0", 60, ("running", 0.25)),
        ("M0 c0 S60", 30, ("running", 0.5)),
        ("M0 c0 S60", 60, ("running", 1.0)),
        ("M0 c0 S60", 90, ("breached", 1.5)),
        ("S0 c0 M90", 90, ("running", 0.375)),
    ],
)
def test_the_time_elapsed_is_kept(steps: str, minutes: float, stands: tuple[str, float]) -> None:
    assert Talk(steps).stands(minutes) == stands


def test_warnings_move_and_what_was_told_is_not_told_again() -> None:
    assert Talk("M0 c0").warned_at() == [120]
    assert Talk("M0 c0 S10").warned_at() == [30]
    assert Talk("M0 c0 S40").warned_at("50%") == []
