"""Status and waiting: what each message and each decision does, in order and out of order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.clocks import ConversationState, FollowUpNeeded, NotAllowed, set_status, take_message
from routing.types import Status

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)  # a Monday


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def story(steps: str) -> ConversationState:
    """Live through steps such as `c0 r5`: who and at which minute, in the order in which they reach us.

    c: the customer writes, r: a reply from the hub, v: a reply from the vendor's pages, n: a note,
    a: an automatic reply, o: an automatic message of the customer; p h z s x: pending, on hold, snoozed for
    an hour, solved, closed.
    """
    state = ConversationState()
    statuses: dict[str, Status] = {
        "p": "pending",
        "h": "on_hold",
        "z": "snoozed",
        "s": "solved",
        "x": "closed",
    }
    for step in steps.split():
        what, when = step[0], at(float(step[1:]))
        if what in statuses:
            state = set_status(state, statuses[what], when, when + timedelta(hours=1))
        else:
            state = take_message(
                state,
                when,
                incoming=what in "co",
                private=what == "n",
                automatic=what in "ao",
                elsewhere=what == "v",
            )
    return state


@pytest.mark.parametrize(
    ("steps", "status", "waiting_since", "first_replied_at"),
    [
        pytest.param("", "new", None, None, id="nothing yet"),
        pytest.param("c0", "new", 0, None, id="the first message"),
        pytest.param("c0 c5", "new", 0, None, id="the oldest unanswered counts"),
        pytest.param("c0 n1", "new", 0, None, id="a note answers nothing"),
        pytest.param("c0 a1", "new", 0, None, id="an automatic reply answers nothing"),
        pytest.param("c0 r5", "open", None, 5, id="a reply"),
        pytest.param("c0 r5 o6", "open", None, 5, id="an absence note of the customer asks nothing"),
        pytest.param("c0 r5 c7 c9", "open", 7, 5, id="the next question"),
        pytest.param("c0 r5 c7 r9", "open", None, 5, id="the next answer"),
        pytest.param("c0 r5 p6", "pending", None, 5, id="pending on the customer"),
        pytest.param("c0 p6", "pending", 0, None, id="pending alone is no answer"),
        pytest.param("c0 r5 p6 c7", "open", 7, 5, id="pending reopens"),
        pytest.param("c0 r5 h6 c7", "open", 7, 5, id="on hold reopens"),
        pytest.param("c0 r5 z6 c7", "open", 7, 5, id="snoozed reopens"),
        pytest.param("c0 r5 s6 c7", "open", 7, 5, id="solved reopens"),
        pytest.param("c0 h1 c2", "open", 0, None, id="on hold without an answer keeps the wait"),
        pytest.param("c0 s6", "solved", None, None, id="solving ends the wait"),
        pytest.param("c0 s6 c9", "open", 9, None, id="solved without a reply: the first reply is still owed"),
        pytest.param("c0 r5 s6 x7", "closed", None, 5, id="closed"),
        pytest.param("c0 r5 s6 r7", "solved", None, 5, id="a reply does not reopen"),
        pytest.param("r0 c5", "open", 5, None, id="the brand wrote first: that was no reply"),
        # Out of order.
        pytest.param("c5 c0", "new", 0, None, id="an older message comes later"),
        pytest.param("c0 r5 c3", "open", 3, 5, id="unread when the hub replied"),
        pytest.param("c0 v5 c3", "open", None, 5, id="answered elsewhere before it reached us"),
        pytest.param("c0 v5 p6 c3", "pending", None, 5, id="what was answered does not reopen"),
        pytest.param("v5 c3", "open", None, 5, id="the vendor's reply reaches us first"),
        pytest.param("v5 c3 c7", "open", 7, 5, id="and then a question that is open"),
        pytest.param("c0 c9 v5", "open", 9, 5, id="an old reply leaves the newer question"),
        pytest.param("c0 r2 c9 v5", "open", 9, 2, id="an old reply does not answer a newer question"),
        pytest.param("c0 r9 v5", "open", None, 5, id="the first reply was elsewhere"),
        pytest.param("c5 v0", "open", 5, None, id="the brand wrote first, elsewhere"),
        pytest.param("c0 v5 s6 x7 c3", "closed", None, 5, id="answered long ago: no follow-up"),
    ],
)
def test_story(
    steps: str, status: Status, waiting_since: float | None, first_replied_at: float | None
) -> None:
    state = story(steps)
    assert state.status == status
    assert state.waiting_since == (None if waiting_since is None else at(waiting_since))
    assert state.first_replied_at == (None if first_replied_at is None else at(first_replied_at))
    assert state.metric == ("first_reply_time" if first_replied_at is None else "next_reply_time")


@pytest.mark.parametrize(
    ("steps", "in_queue"),
    [("c0", True), ("c0 r1", False), ("c0 p1", False), ("c0 z1", False), ("c0 r1 s2 c3", True)],
)
def test_in_the_queue_is_who_waits_for_us(steps: str, in_queue: bool) -> None:
    assert story(steps).in_queue is in_queue


def test_a_message_to_a_closed_conversation_asks_for_a_follow_up() -> None:
    with pytest.raises(FollowUpNeeded):
        story("c0 r5 s6 x7 c9")


@pytest.mark.parametrize("status", ["new", "open", "pending", "on_hold", "snoozed", "solved"])
def test_closed_is_final(status: Status) -> None:
    with pytest.raises(NotAllowed):
        set_status(story("c0 x1"), status, at(2), at(60))


@pytest.mark.parametrize("steps", ["c0 r1", "c0 p1", "c0 s1"])
def test_new_never_returns(steps: str) -> None:
    with pytest.raises(NotAllowed):
        set_status(story(steps), "new", at(9))


@pytest.mark.parametrize("until", [None, -1, 0])
def test_a_snooze_ends_in_the_future(until: float | None) -> None:
    with pytest.raises(NotAllowed):
        set_status(story("c0"), "snoozed", NOON, None if until is None else at(until))


def test_another_status_ends_the_snooze() -> None:
    assert story("c0 z5 p6").snoozed_until is None
    assert story("c0 z5 c6").snoozed_until is None


@pytest.mark.parametrize(
    ("steps", "history", "last_replied_at"),
    [
        pytest.param("", "", None, id="nothing yet"),
        pytest.param("r0", "", None, id="the brand wrote first"),
        pytest.param("r0 c5", "open 5", None, id="it begins with the customer"),
        pytest.param("c5 c0", "new 0", None, id="with their oldest message"),
        pytest.param(
            "c0 r5 p5 c7 r9 p9 s20", "new 0, open 5, pending 5, open 7, pending 9, solved 20", 9, id="all"
        ),
        pytest.param("c0 r5 s6 c9", "new 0, open 5, solved 6, open 9", 5, id="reopened"),
        pytest.param(
            "c0 r5 s9 c7", "new 0, open 5, solved 9, open 9", 5, id="not reopened before it was solved"
        ),
        pytest.param("c0 n1 a2 p3 p4", "new 0, pending 3", None, id="only changes"),
        pytest.param("c0 v5 r3", "new 0, open 5", 5, id="the newest reply counts"),
        pytest.param("v5 c3", "open 3", 5, id="answered before we heard of the question"),
        pytest.param("c5 v0", "new 5, open 5", None, id="the brand wrote first, elsewhere"),
        pytest.param("c0 r2 c9 v5", "new 0, open 2", 5, id="a reply that reaches us late"),
    ],
)
def test_history(steps: str, history: str, last_replied_at: float | None) -> None:
    state = story(steps)
    told = [f"{change.status} {(change.at - NOON).total_seconds() / 60:g}" for change in state.history]
    assert ", ".join(told) == history
    assert state.last_replied_at == (None if last_replied_at is None else at(last_replied_at))


step = st.tuples(st.sampled_from("crvnaophzs"), st.integers(0, 100)).map(lambda pair: f"{pair[0]}{pair[1]}")


@given(st.lists(step, max_size=12))
def test_no_story_breaks_the_clocks(steps: list[str]) -> None:
    state = story(" ".join(steps))
    assert (state.status == "snoozed") == (state.snoozed_until is not None)
    assert state.status != "solved" or state.waiting_since is None
    if state.waiting_since is not None:
        assert state.last_incoming_at is not None
        assert state.waiting_since <= state.last_incoming_at
        assert state.answered_until is None or state.waiting_since > state.answered_until
    assert (state.last_incoming_at is None) == (not state.history)
    assert not state.history or state.history[-1].status == state.status
    assert list(state.history) == sorted(state.history, key=lambda change: change.at)


@given(st.lists(st.tuples(st.sampled_from("cv"), st.integers(0, 100)), unique_by=lambda s: s[1], max_size=8))
def test_what_came_from_elsewhere_waits_alike_in_any_order(steps: list[tuple[str, int]]) -> None:
    """Whether somebody waits does not depend on the order in which a vendor's messages reach us."""
    in_order = story(" ".join(f"{who}{when}" for who, when in sorted(steps, key=lambda s: s[1])))
    shuffled = story(" ".join(f"{who}{when}" for who, when in steps))
    assert (shuffled.waiting_since is None) == (in_order.waiting_since is None)
