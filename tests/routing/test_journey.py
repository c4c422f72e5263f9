"""How a relation is told: valence and stage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.journey import HALF_LIFE, VALENCE_WINDOW, Purchases, journey_stage, valence
from routing.types import JourneyStage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


@pytest.mark.parametrize(
    ("moods", "expected"),
    [
        ([], None),
        ([(ago(181), -1.0)], None),
        ([(NOW, -1.0)], -0.5),
        ([(NOW + timedelta(seconds=1), -1.0)], -0.5),
        ([(ago(30), -1.0)], -1 / 3),
        ([(NOW, -1.0), (NOW, -1.0), (NOW, -1.0)], -0.75),
        ([(NOW, 1.0), (ago(30), -1.0)], 0.2),
    ],
)
def test_valence(moods: list[tuple[datetime, float]], expected: float | None) -> None:
    assert valence(moods, NOW) == (None if expected is None else pytest.approx(expected))


@given(st.lists(st.tuples(st.floats(0, 400).map(ago), st.floats(-1, 1))))
def test_valence_stays_within_what_was_felt(moods: list[tuple[datetime, float]]) -> None:
    found = valence(moods, NOW)
    assert (found is None) == all(NOW - at > VALENCE_WINDOW for at, _ in moods)
    if found is not None:
        felt = [mood for _, mood in moods]
        assert min(*felt, 0) - 1e-9 <= found <= max(*felt, 0) + 1e-9


@given(st.floats(-1, -0.1), st.floats(0, 100))
def test_a_bad_word_fades(mood: float, days: float) -> None:
    sooner, later = (valence([(ago(age), mood)], NOW) or 0 for age in (days, days + HALF_LIFE.days / 2))
    assert sooner < later < 0


@pytest.mark.parametrize(
    ("first", "last", "recent", "member", "felt", "stage"),
    [
        (None, None, 0, False, None, "prospect"),
        (None, None, 0, True, -0.9, "prospect"),
        (10, 10, 1, False, None, "new"),
        (90, 5, 9, True, -0.9, "new"),
        (91, 5, 1, False, None, "active"),
        (91, 5, 3, False, -0.9, "active"),
        (91, 5, 4, False, None, "loyal"),
        (91, 5, 1, True, None, "loyal"),
        (91, 5, 1, True, -0.3, "at_risk"),
        (91, 5, 4, False, -0.31, "at_risk"),
        (900, 181, 1, True, 0.5, "at_risk"),
        (900, 180, 1, True, 0.5, "loyal"),
        (900, 181, 1, False, 0.5, "active"),
        (900, 366, 0, True, 0.5, "lapsed"),
    ],
)
def test_the_stage(
    first: int | None, last: int | None, recent: int, member: bool, felt: float | None, stage: JourneyStage
) -> None:
    bought = None if first is None or last is None else Purchases(ago(first), ago(last), recent)
    assert journey_stage(bought, is_member=member, valence=felt, now=NOW) == stage
