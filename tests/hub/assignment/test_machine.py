"""A few days on the floor; `python -m tests.hub.assignment.machine` plays many."""

from __future__ import annotations

from hub.runtime import Hub
from tests.hub.assignment.machine import play


def test_a_day_on_the_floor(hub: Hub) -> None:
    play(hub, examples=6, steps=20)
