from __future__ import annotations

from threading import Event, Thread

import pytest

from hub.worker.celery import Turns

SOON = 5.0


def test_it_runs_until_there_is_nothing_more() -> None:
    left = [3, 2, 1, 0]
    Turns().take(lambda: left.pop(0))
    assert left == []


def test_who_comes_while_another_is_at_it_goes_and_has_it_look_once_more() -> None:
    turns, at_it, go_on, looks = Turns(), Event(), Event(), []

    def run() -> int:
        looks.append(1)
        at_it.set()
        assert go_on.wait(SOON)
        return 0

    first = Thread(target=turns.take, args=(run,))
    first.start()
    assert at_it.wait(SOON)
    for _ in range(5):
        turns.take(lambda: pytest.fail("two at once"))
    go_on.set()
    first.join(SOON)
    assert not first.is_alive()
    assert len(looks) == 2


def test_a_failure_leaves_the_turn_to_the_next() -> None:
    turns, looks = Turns(), []

    def fail() -> int:
        raise RuntimeError("the database is away")

    with pytest.raises(RuntimeError):
        turns.take(fail)
    turns.take(lambda: looks.append(1) or 0)
    assert looks == [1]
