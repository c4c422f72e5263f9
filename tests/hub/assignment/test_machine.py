"""A day on the floor, by chance: nothing is given twice, to somebody who cannot, or left lying."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.accounts.service import heartbeat
from hub.assignment.absence import release_absent
from hub.assignment.agents import load_agents
from hub.assignment.lanes import pass_lanes, refusals
from hub.assignment.models import Assignment
from hub.assignment.pushing import hand_out, pass_offers
from hub.assignment.service import accept_offer, decline_offer, go_away, send_on
from hub.conversations.models import Conversation
from hub.conversations.service import get_conversation, release, reply, set_status, take
from hub.errors import Conflict
from hub.queue.service import claim_next
from hub.runtime import Hub
from routing.assignment import Agent, is_eligible, needs_of_lane
from tests import factories
from tests.factories import NOW, inbound, receive_one
from tests.hub.assignment.world import agent, overloaded, passed_over, rule_by, torn, unable

WRITERS = st.sampled_from(["ann", "bob", "cem", "dee", "eve"])
CHANNELS = st.sampled_from(["chirp", "french", "post"])
MINUTES = st.sampled_from([1, 2, 3, 6, 16])


class Floor(RuleBasedStateMachine):
    """One transaction for a whole day, rolled back in the end."""

    hub: Hub
    mode: str

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.session: Session = self._stack.enter_context(self.hub.database._write())
        self.session.begin()
        self.now: datetime = NOW
        self.active = rule_by(self.session, mode=self.mode)
        self.channels = {
            name: factories.channel(
                self.session, name, kind="mail" if name == "post" else "social", network="net"
            )
            for name in ("chirp", "french", "post")
        }
        self.people: list[User] = [
            agent(self.session, "Ada", teams=("social",)),
            agent(self.session, "Bea", teams=("service",), skills={"returns": 2}),
            agent(self.session, "Cid", teams=("service", "social"), skills={"returns": 5, "french": 3}),
            agent(self.session, "Dan", capacity=1),
        ]
        self._places: dict[int, datetime | None] = {}

    def teardown(self) -> None:
        self.session.rollback()
        self._stack.close()

    def some(self, data: st.DataObject, *conditions: Any) -> Conversation | None:
        """Any conversation of those, locked."""
        ids = self.session.scalars(select(Conversation.id).where(*conditions).order_by(Conversation.id)).all()
        return get_conversation(self.session, data.draw(st.sampled_from(ids))) if ids else None

    @rule(writer=WRITERS, channel=CHANNELS)
    def somebody_writes(self, writer: str, channel: str) -> None:
        receive_one(
            self.session, self.channels[channel], inbound(author=writer, sent_at=self.now), now=self.now
        )
        self.settle()

    @rule(number=st.integers(0, 3), away=st.booleans())
    def somebody_comes_or_goes(self, number: int, away: bool) -> None:
        heartbeat(self.session, self.people[number].id, self.now)
        go_away(self.session, self.people[number], away, self.now)
        self.settle()

    @rule(minutes=MINUTES, here=st.sets(st.integers(0, 3)))
    def time_passes(self, minutes: int, here: set[int]) -> None:
        self.now += timedelta(minutes=minutes)
        for number in here:
            heartbeat(self.session, self.people[number].id, self.now)
        release_absent(self.session, self.now)
        self.settle()

    @rule(number=st.integers(0, 3))
    def somebody_asks_for_the_next(self, number: int) -> None:
        user = self.people[number]
        self.session.refresh(user)
        before = self.eligible_for(user.id)
        claimed = claim_next(self.session, user.id, self.now)
        self.session.expire_all()
        earliest = min(before, key=lambda each: (before[each], each), default=None)
        assert claimed == earliest
        self.settle()

    @rule(data=st.data(), accepts=st.booleans())
    def somebody_decides_on_an_offer(self, data: st.DataObject, accepts: bool) -> None:
        offered = self.some(data, Conversation.accept_by.is_not(None))
        if offered is not None:
            assert offered.owner is not None
            decide = accept_offer if accepts else decline_offer
            decide(self.session, offered, offered.owner, self.now)
            self.settle()

    @rule(data=st.data(), act=st.sampled_from(["reply", "solve", "release"]))
    def somebody_works(self, data: st.DataObject, act: str) -> None:
        mine = self.some(data, Conversation.owner_id.is_not(None), Conversation.reply_by.is_not(None))
        if mine is None:
            return
        owner = mine.owner
        assert owner is not None
        if act == "reply":
            reply(self.session, mine, user=owner, text="Here it is.", now=self.now)
        elif act == "solve":
            set_status(self.session, mine, "solved", user=owner, now=self.now)
        else:
            release(self.session, mine, user=owner, now=self.now)
        self.settle()

    @rule(data=st.data(), number=st.integers(0, 3), how=st.sampled_from(["take", "colleague", "team"]))
    def somebody_decides_by_hand(self, data: st.DataObject, number: int, how: str) -> None:
        waiting = self.some(data, Conversation.reply_by.is_not(None))
        user = self.people[number]
        if waiting is None:
            return
        try:
            if how == "take":
                take(self.session, waiting, user=user, now=self.now)
            elif waiting.owner is not None and how == "colleague":
                send_on(self.session, waiting, by=waiting.owner, to=user, now=self.now)
            elif waiting.owner is not None:
                send_on(self.session, waiting, by=waiting.owner, team="service", now=self.now)
        except Conflict:
            assert waiting.owner_id is not None
        self.settle()

    @precondition(lambda self: self.mode == "push")
    @rule()
    def nothing_is_left_to_give(self) -> None:
        assert hand_out(self.session, self.active, self.now) == 0

    def settle(self) -> None:
        """What the background does after every event; then every invariant, read from the rows."""
        self.session.flush()
        pass_offers(self.session, self.now)
        pass_lanes(self.session, self.active.policy, self.now)
        self.session.flush()
        self.session.expire_all()
        if self.mode == "push":
            self.hand_out()
        assert torn(self.session) == 0
        assert unable(self.session, self.active.policy, self.now) == []

    def hand_out(self) -> None:
        policy = self.active.policy
        newest = self.session.scalar(select(Assignment.id).order_by(Assignment.id.desc()).limit(1)) or 0
        agents = {each.id: each for each in load_agents(self.session, policy, self.now)}
        refused = refusals(self.session, policy, self.now)
        waiting = {
            each.id: (each.reply_by, each.held_until is not None, each.known_by_id)
            for each in self.session.scalars(select(Conversation).where(Conversation.owner_id.is_(None)))
        }
        over = set(overloaded(self.session, policy))
        hand_out(self.session, self.active, self.now)
        self.session.expire_all()
        given = self.session.scalars(select(Assignment).where(Assignment.id > newest)).all()
        for each in given:
            assert isinstance(agents[each.user_id], Agent)
            place, held, known_by = waiting[each.conversation_id]
            assert self.session.get_one(Conversation, each.conversation_id).reply_by == place
            assert not held or known_by == each.user_id
            assert each.user_id not in refused.get(each.conversation_id, ())
        assert set(overloaded(self.session, policy)) == over - {each.user_id for each in given}
        assert passed_over(self.session, policy, self.now) == []

    def eligible_for(self, user_id: int) -> dict[int, datetime]:
        """What a user could be handed now, each with its place: all are tried."""
        policy = self.active.policy
        user = load_agents(self.session, policy, self.now, ids=[user_id])[0]
        refused = refusals(self.session, policy, self.now)
        return {
            each.id: each.reply_by
            for each in self.session.scalars(
                select(Conversation).where(
                    Conversation.reply_by.is_not(None), Conversation.owner_id.is_(None)
                )
            )
            if each.reply_by is not None
            and (each.held_until is None or each.known_by_id == user_id)
            and user_id not in refused.get(each.id, ())
            and is_eligible(user, needs_of_lane(each.lane))
        }


@pytest.mark.parametrize("mode", ["push", "pull"])
def test_a_day_on_the_floor(hub: Hub, mode: str) -> None:
    play(hub, mode, examples=8, steps=25)


def play(hub: Hub, mode: str, *, examples: int, steps: int) -> None:
    """So many days of so many events at most."""
    machine = type("Floor", (Floor,), {"hub": hub, "mode": mode})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
