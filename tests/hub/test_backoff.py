"""How long to wait: longer each time, never sooner than asked, never all together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.backoff import FIRST_SECONDS, pause_seconds, spread


@given(st.integers(0, 10**6), st.floats(0, 10**5), st.floats(FIRST_SECONDS, 10**4))
def test_a_pause_keeps_its_bounds(tries: int, asked: float, longest: float) -> None:
    pause = pause_seconds(tries, asked, longest=longest)
    assert max(asked, FIRST_SECONDS / 2) <= pause
    assert pause <= max(asked, min(longest, FIRST_SECONDS * 2.0 ** min(max(0, tries - 1), 30)))


def test_those_who_failed_together_do_not_come_back_together() -> None:
    pauses = {round(pause_seconds(8)) for _ in range(200)}
    assert len(pauses) > 50


@given(st.floats(1, 10**5))
def test_what_is_done_regularly_is_spread_by_a_tenth(seconds: float) -> None:
    assert 0.9 * seconds <= spread(seconds) <= 1.1 * seconds
