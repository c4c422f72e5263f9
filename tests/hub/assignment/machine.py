"""A day on the floor, by chance: nothing is given twice, to somebody who cannot, or left lying.

`python -m tests.hub.assignment.machine --examples 500` plays many days, on both databases; the tests play
a few.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub import migrations
from hub.accounts.models import User
from hub.accounts.service import heartbeat
from hub.assignment.absence import release_absent
from hub.assignment.agents import load_agents
from hub.assignment.claiming import claim_next
from hub.assignment.lanes import pass_lanes, refusals
from hub.assignment.models import Assignment
from hub.assignment.pushing import hand_out, pass_offers
from hub.assignment.service import accept_offer, decline_offer, go_away, send_on
from hub.conversations.models import Conversation
from hub.conversations.service import get_conversation, release, reply, set_status, take
from hub.errors import Conflict, Invalid
from hub.policies.service import activate
from hub.queue.service import place, place_anew
from hub.runtime import Hub
from hub.settings import Settings
from routing.assignment import can_answer, is_eligible, needs_of_lane
from routing.policy import DEFAULT_POLICY
from tests import factories
from tests.factories import NOW, inbound, receive_one
from tests.hub.assignment.world import RULES as WORLD
from tests.hub.assignment.world import agent, overloaded, passed_over, policy_text, torn
from tests.servers import postgres_server

# Other needs for the same channels, with and without offers; and the built-in policy, which asks for nothing.
OTHER = (
    WORLD.replace("name: Social", "name: Chirps")
    .replace("team: social", "team: service")
    .replace("returns: 2}", "french: 1}")
    .replace("mail: 2", "social: 2")
)
RULES = {
    "push": policy_text(),
    "pull": policy_text(mode="pull"),
    "other push": policy_text(OTHER),
    "other pull": policy_text(OTHER, mode="pull"),
    "free": DEFAULT_POLICY,
}
NAMES = st.sampled_from(list(RULES))
WRITERS = st.sampled_from(["ann", "bob", "cem", "dee", "eve"])
CHANNELS = st.sampled_from(["chirp", "french", "post"])
MINUTES = st.sampled_from([1, 2, 3, 6, 16])


class Floor(RuleBasedStateMachine):
    """One transaction for a whole day, rolled back in the end."""

    hub: Hub

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.session: Session = self._stack.enter_context(self.hub.database._write())
        self.session.begin()
        self.now: datetime = NOW
        self.active = activate(self.session, DEFAULT_POLICY, self.now)
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

    @initialize(rules=NAMES)
    def some_policy_rules(self, rules: str) -> None:
        self.active = activate(self.session, RULES[rules], self.now)

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

    @rule(rules=NAMES)
    def the_policy_changes(self, rules: str) -> None:
        self.active = activate(self.session, RULES[rules], self.now)
        self.settle()

    @rule(count=st.integers(1, 3))
    def the_background_places_some_anew(self, count: int) -> None:
        place_anew(self.session, self.now, count)
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
        assert claimed == min(before, key=lambda each: (before[each], each), default=None)
        self.check_given(claimed)
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
        except Invalid:
            assert not self.active.policy.teams
        self.settle()

    @precondition(lambda self: self.pushes)
    @rule()
    def nothing_is_left_to_give(self) -> None:
        assert hand_out(self.session, self.active, self.now) == 0

    @property
    def pushes(self) -> bool:
        return self.active.policy.assignment.mode == "push"

    def settle(self) -> None:
        """What the background does after every event; then every invariant, read from the rows."""
        self.session.flush()
        pass_offers(self.session, self.now)
        pass_lanes(self.session, self.active.policy, self.now)
        self.session.flush()
        self.session.expire_all()
        if self.pushes:
            self.hand_out()
        assert torn(self.session) == 0

    def hand_out(self) -> None:
        policy = self.active.policy
        newest = self.session.scalar(select(func.max(Assignment.id))) or 0
        refused = refusals(self.session, policy, self.now)
        with self.as_if_placed() as waiting:
            before = {each.id: (each.reply_by, each.held_until, each.known_by_id) for each in waiting}
        over = set(overloaded(self.session, policy))
        hand_out(self.session, self.active, self.now)
        self.session.expire_all()
        given = self.session.scalars(select(Assignment).where(Assignment.id > newest)).all()
        for each in given:
            place, held, known_by = before[each.conversation_id]
            assert self.session.get_one(Conversation, each.conversation_id).reply_by == place
            assert held is None or known_by == each.user_id
            assert each.user_id not in refused.get(each.conversation_id, ())
            self.check_given(each.conversation_id)
        assert set(overloaded(self.session, policy)) == over - {each.user_id for each in given}
        with self.as_if_placed():
            assert passed_over(self.session, policy, self.now) == []

    def check_given(self, conversation_id: int | None) -> None:
        """What was given is placed by the policy that rules, and to somebody who can answer it by that."""
        if conversation_id is None:
            return
        given = self.session.scalars(
            select(Assignment).where(
                Assignment.conversation_id == conversation_id, Assignment.ended_at.is_(None)
            )
        ).one()
        conversation = self.session.get_one(Conversation, conversation_id)
        version_id = self.active.version_id
        assert given.policy_version_id == conversation.policy_version_id == version_id
        assert given.lane == conversation.lane
        (user,) = load_agents(self.session, self.active.policy, self.now, ids=[given.user_id])
        assert can_answer(user, needs_of_lane(given.lane))

    @contextmanager
    def as_if_placed(self) -> Iterator[Sequence[Conversation]]:
        """What waits for somebody, were it all placed by the policy that rules: a look, undone afterwards."""
        nobodys = select(Conversation).where(
            Conversation.reply_by.is_not(None), Conversation.owner_id.is_(None)
        )
        stale = nobodys.where(Conversation.policy_version_id != self.active.version_id)
        look = self.session.begin_nested()
        if found := self.session.scalars(stale).all():
            place(self.session, found, self.active, self.now)
        yield self.session.scalars(nobodys).all()
        look.rollback()
        self.session.expire_all()

    def eligible_for(self, user_id: int) -> dict[int, datetime]:
        """What a user could be handed now, each with its place: all are tried."""
        policy = self.active.policy
        (user,) = load_agents(self.session, policy, self.now, ids=[user_id])
        refused = refusals(self.session, policy, self.now)
        with self.as_if_placed() as waiting:
            return {
                each.id: each.reply_by
                for each in waiting
                if each.reply_by is not None
                and (
                    policy.assigns_freely
                    or (
                        (each.held_until is None or each.known_by_id == user_id)
                        and user_id not in refused.get(each.id, ())
                        and is_eligible(user, needs_of_lane(each.lane))
                    )
                )
            }


def play(hub: Hub, *, examples: int, steps: int) -> None:
    """So many days of so many events at most."""
    machine = type("Floor", (Floor,), {"hub": hub})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            # A day is short enough to be read, and long to be made shorter.
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--steps", type=int, default=40)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder, postgres_server() as server:
        for url in ("", server.create_database("floor")):
            hub = Hub(Settings(home=Path(folder), database_url=url, secret_key="floor"))
            migrations.upgrade(hub.database)
            began = time.monotonic()
            play(hub, examples=asked.examples, steps=asked.steps)
            kind = "SQLite" if hub.database.is_sqlite else "PostgreSQL"
            sys.stdout.write(f"{kind}: {asked.examples} days in {time.monotonic() - began:.0f} s\n")
            hub.close()


if __name__ == "__main__":
    main()
