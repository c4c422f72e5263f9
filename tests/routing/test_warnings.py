"""When to warn of a promise: steps in the promise's own time, quiet hours, and what is no step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from routing.calendars import Calendar, Interval
from routing.policy import DEFAULT_POLICY, PolicyError, read_policy
from routing.promises import Pause
from routing.warnings import WarningStep, coming

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)  # a Monday
OFFICE = Calendar("UTC", [[Interval(540, 1020)]] * 5 + [[], []])  # 9 to 17
ALWAYS = Calendar.always()
CALENDARS = {"office": OFFICE, "always": ALWAYS}


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def step(when: str, **fields: Any) -> WarningStep:
    return WarningStep.model_validate({"at": when, "to": ["assignee"], **fields})


@pytest.mark.parametrize(
    ("when", "calendar", "hours", "target", "expected"),
    [
        pytest.param("80%", ALWAYS, None, 60, 48, id="a share"),
        pytest.param("100 %", ALWAYS, None, 60, 60, id="all of it"),
        pytest.param("150%", ALWAYS, None, 60, 90, id="more than all"),
        pytest.param("15m before", ALWAYS, None, 60, 45, id="before"),
        pytest.param("30m after", ALWAYS, None, 60, 90, id="after"),
        pytest.param("2h before", ALWAYS, None, 60, None, id="before it began"),
        pytest.param("50%", OFFICE, None, 600, 300, id="at closing"),
        pytest.param("30m before", OFFICE, None, 360, 1260 + 30, id="in business time"),
        pytest.param("80%", ALWAYS, "office", 600, 1260, id="at eight in the evening: told at nine"),
        pytest.param("20%", ALWAYS, "office", 600, 120, id="at two: told at once"),
    ],
)
def test_when(when: str, calendar: Calendar, hours: str | None, target: int, expected: float | None) -> None:
    found = coming(
        [step(when, hours=hours)],
        "first_reply_time",
        (),
        NOON,
        timedelta(minutes=target),
        calendar,
        (),
        CALENDARS.__getitem__,
    )
    assert [moment for moment, _ in found] == ([] if expected is None else [at(expected)])


@pytest.mark.parametrize(
    ("stood", "warned", "expected"),
    [
        pytest.param((), (), ["50%", "100%"], id="all, the earliest first"),
        pytest.param((), ("50%",), ["100%"], id="not what was told"),
        pytest.param((Pause(at(10), at(40)),), (), ["50%", "100%"], id="after a pause"),
        pytest.param((Pause(at(10), None),), (), [], id="none while the clock stands still"),
    ],
)
def test_coming(stood: tuple[Pause, ...], warned: tuple[str, ...], expected: list[str]) -> None:
    steps = [step("100%"), step("50%"), step("10%", metrics=["next_reply_time"])]
    found = coming(
        steps, "resolution_time", warned, NOON, timedelta(hours=1), ALWAYS, stood, CALENDARS.__getitem__
    )
    assert [each.at for _, each in found] == expected
    if stood and stood[-1].end:
        assert found[0][0] == at(60)


@pytest.mark.parametrize("when", ["soon", "80", "-5%", "15 before", "0m before", "15m", "before", "9999%"])
def test_what_is_no_moment_is_refused(when: str) -> None:
    with pytest.raises(ValidationError):
        step(when)


@pytest.mark.parametrize(
    ("warnings", "told"),
    [
        pytest.param("- {at: soon, to: [assignee]}", "write 80%, 15m before or 1h after", id="no moment"),
        pytest.param("- {at: 80%, to: [boss]}", "boss", id="nobody"),
        pytest.param("- {at: 80%, to: []}", "warnings", id="to nobody"),
        pytest.param("- {at: 80%, to: [team], hours: shop}", "no such calendar: 'shop'", id="hours"),
        pytest.param(
            "- {at: 80%, to: [team]}\n  - {at: 80%, to: [manager]}", "already in warnings[0]", id="twice"
        ),
    ],
)
def test_a_policy_says_what_is_wrong_with_its_warnings(warnings: str, told: str) -> None:
    without, _, _ = DEFAULT_POLICY.partition("\nwarnings:")
    with pytest.raises(PolicyError) as error:
        read_policy(f"{without}\nwarnings:\n  {warnings}\n")
    assert told in str(error.value)
