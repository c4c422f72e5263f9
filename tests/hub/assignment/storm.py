"""Many workers at once over many conversations, on PostgreSQL: the invariants of assignment under contention.

`python -m tests.hub.assignment.storm` runs the large one: 16 workers, 10,000 conversations, 200 agents. Each
worker hands out, asks for the next, accepts, declines, answers, releases, comes and goes at random, until
everybody is answered. A trigger in the database looks at every single thing that the hub gives: that whom it
is given to is there, is able, and has room. Meanwhile the rows are read in one snapshot now and then: nobody
has more in hand than they can hold, and every conversation is whose its one open assignment says. At every
pause nothing may be left that an eligible agent has room for.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from threading import Barrier, Lock, Thread
from typing import Any

from sqlalchemy import func, select, text

from hub import migrations
from hub.accounts.models import User
from hub.assignment.claiming import claim_next
from hub.assignment.models import Assignment
from hub.assignment.pushing import assign_waiting
from hub.assignment.service import accept_offer, decline_offer, go_away
from hub.clock import utcnow
from hub.conversations.models import Conversation
from hub.conversations.service import get_conversation, release, set_status
from hub.errors import Conflict
from hub.inbox.service import receive
from hub.runtime import Hub
from hub.settings import Settings
from tests import factories
from tests.factories import Batch, inbound
from tests.hub.assignment.world import agent, overloaded, passed_over, rule_by, torn, unable
from tests.servers import postgres_server

ROUND_SECONDS = 30.0
# So many come in as messages do; the others are copies of their conversations, which wait as they do.
RECEIVED = 600
_COPY = """
    INSERT INTO conversations (channel_id, customer_id, status, created_at, updated_at, last_message_at,
        waiting_since, weight, work_seconds, reply_by, gave_way_to, policy_version_id, placed_for,
        needs_rule, lane, relaxed_lane, relax_at, load)
    SELECT channel_id, customer_id, 'open', created_at, updated_at, last_message_at,
        waiting_since, weight, work_seconds, reply_by + make_interval(secs => n % 997), 0,
        policy_version_id, placed_for, needs_rule, lane, relaxed_lane, relax_at, load
    FROM generate_series(1, :rows) AS n
    JOIN (
        SELECT *, row_number() OVER (ORDER BY id) - 1 AS nth, count(*) OVER () AS many FROM conversations
    ) AS c ON c.nth = n % c.many
"""
TALENTS: tuple[dict[str, Any], ...] = (
    {"teams": ("social",)},
    {"teams": ("service",), "skills": {"returns": 2}},
    {"teams": ("service", "social"), "skills": {"returns": 5, "french": 3}},
    {"capacity": 1},
)


@dataclass
class Count:
    """What happened, and what was looked at."""

    handed_out: int = 0
    asked: int = 0
    accepted: int = 0
    declined: int = 0
    answered: int = 0
    released: int = 0
    came_or_went: int = 0
    lost_races: int = 0
    snapshots: int = 0
    pauses: int = 0
    assignments: int = 0
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)


class Storm:
    """One hub, some workers. They stop together every `ROUND_SECONDS`, so that what is left can be judged."""

    def __init__(self, hub: Hub, *, workers: int, conversations: int, agents: int, seed: int = 1) -> None:
        self.hub, self.workers, self.seed = hub, workers, seed
        self.count = Count()
        self.progress: Callable[[str], object] = lambda line: None
        self._lock = Lock()
        self._over = False
        _watch(hub)
        with hub.database.session() as session:
            self.active = rule_by(session, utcnow(), accept_within="1h", away_after="2h", release_after="2h")
            channels = [
                factories.channel(session, name, kind="mail" if name == "post" else "social", network="net")
                for name in ("chirp", "french", "post")
            ]
            people = [
                agent(session, f"Agent {n}", **TALENTS[n % len(TALENTS)], seen_at=utcnow())
                for n in range(agents)
            ]
            self.agents = [each.id for each in people]
        for number, channel in enumerate(channels):
            # Each writes on all channels: who answers one of them then knows the customer.
            writers = range(number, min(conversations, RECEIVED), len(channels))
            batch = tuple(inbound(author=f"writer {n // 3}", sent_at=utcnow()) for n in writers)
            with hub.database.session() as session:
                receive(session, channel.id, Batch(batch), utcnow())
        with hub.database.session() as session:
            session.execute(text(_COPY), {"rows": max(0, conversations - RECEIVED)})

    def run(self) -> Count:
        """Until everybody is answered. What was broken is in the count."""
        began = time.monotonic()
        barrier = Barrier(self.workers, action=self._pause)
        threads = [Thread(target=self._work, args=(number, barrier)) for number in range(self.workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.count.seconds = time.monotonic() - began
        with self.hub.database.reading() as session:
            self.count.assignments = session.scalar(select(func.count()).select_from(Assignment)) or 0
            wrong = unable(session, self.active.policy, utcnow())
            if wrong:
                self._break(f"given to who cannot answer: {wrong[:5]}")
        return self.count

    def _work(self, number: int, barrier: Barrier) -> None:
        rng = Random(f"{self.seed} {number}")
        acts: list[tuple[int, Callable[[Random], None]]] = [
            (1, self._hand_out),
            (6, self._ask),
            (8, self._decide),
            (28, self._answer),
            (2, self._release),
            (2, self._come_or_go),
            (1, self._look),
        ]
        chosen = [act for weight, act in acts for _ in range(weight)]
        while not self._over:
            until = time.monotonic() + ROUND_SECONDS
            while time.monotonic() < until:
                try:
                    rng.choice(chosen)(rng)
                except Conflict:
                    self._add("lost_races")
                except Exception as error:
                    self._break(f"{type(error).__name__}: {error}")
            barrier.wait()

    def _pause(self) -> None:
        """Nobody else acts: what can be given is, and then nothing may be left that an agent is free for."""
        while assign_waiting(self.hub):
            pass
        with self.hub.database.reading() as session:
            left = passed_over(session, self.active.policy, utcnow())
            waiting = session.scalar(
                select(func.count()).select_from(Conversation).where(Conversation.reply_by.is_not(None))
            )
        if left:
            self._break(f"left lying beside who is free: {left[:5]}")
        self._add("pauses")
        self.progress(f"{waiting} are waiting")
        self._over = not waiting or bool(self.count.broken)

    def _hand_out(self, rng: Random) -> None:
        self._add("handed_out", assign_waiting(self.hub))

    def _ask(self, rng: Random) -> None:
        with self.hub.database.session() as session:
            if claim_next(session, rng.choice(self.agents), utcnow()) is not None:
                self._add("asked")

    def _mine(self, rng: Random, *conditions: Any) -> int | None:
        with self.hub.database.reading() as session:
            some = select(Conversation.id).where(
                Conversation.owner_id == rng.choice(self.agents), *conditions
            )
            ids = session.scalars(some.where(Conversation.reply_by.is_not(None))).all()
        return rng.choice(ids) if ids else None

    def _decide(self, rng: Random) -> None:
        found = self._mine(rng, Conversation.accept_by.is_not(None))
        if found is None:
            return
        with self.hub.database.session() as session:
            conversation = get_conversation(session, found)
            if conversation.owner is None or conversation.accept_by is None:
                return
            accepts = rng.random() < 0.8
            decide = accept_offer if accepts else decline_offer
            decide(session, conversation, conversation.owner, utcnow())
        self._add("accepted" if accepts else "declined")

    def _answer(self, rng: Random) -> None:
        found = self._mine(rng)
        if found is None:
            return
        with self.hub.database.session() as session:
            conversation = get_conversation(session, found)
            if conversation.owner is not None and conversation.reply_by is not None:
                set_status(session, conversation, "solved", user=conversation.owner, now=utcnow())
                self._add("answered")

    def _release(self, rng: Random) -> None:
        found = self._mine(rng)
        if found is None:
            return
        with self.hub.database.session() as session:
            conversation = get_conversation(session, found)
            if conversation.owner is not None:
                release(session, conversation, user=conversation.owner, now=utcnow())
                self._add("released")

    def _come_or_go(self, rng: Random) -> None:
        with self.hub.database.session() as session:
            user = session.get_one(User, rng.choice(self.agents))
            go_away(session, user, not user.away, utcnow())
        self._add("came_or_went")

    def _look(self, rng: Random) -> None:
        with self.hub.database.reading() as session:
            session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            over, wrong = overloaded(session, self.active.policy), torn(session)
        if over or wrong:
            self._break(f"too much in hand: {over[:5]}, torn: {wrong}")
        self._add("snapshots")

    def _add(self, what: str, count: int = 1) -> None:
        with self._lock:
            setattr(self.count, what, getattr(self.count, what) + count)

    def _break(self, what: str) -> None:
        with self._lock:
            self.count.broken.append(what)


def _watch(hub: Hub) -> None:
    """Have the database refuse what must not be given; `lane` is [units, team, [[skill, level], …]]."""
    with hub.database.session() as session:
        session.execute(text(_WATCH))
        session.execute(
            text(
                "CREATE TRIGGER watched BEFORE INSERT ON assignments"
                " FOR EACH ROW WHEN (NEW.how IN ('next', 'push')) EXECUTE FUNCTION watched()"
            )
        )


_WATCH = """
CREATE FUNCTION watched() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    agent users;
    needs jsonb := NEW.lane::jsonb;
    units integer;
BEGIN
    SELECT * INTO agent FROM users WHERE id = NEW.user_id;
    SELECT sum(load) INTO units FROM conversations WHERE owner_id = NEW.user_id AND reply_by IS NOT NULL;
    IF agent.away OR agent.disabled_at IS NOT NULL THEN
        RAISE EXCEPTION 'given while away';
    ELSIF needs->>1 IS NOT NULL AND NOT agent.teams ? (needs->>1) THEN
        RAISE EXCEPTION 'given to another team';
    ELSIF EXISTS (
        SELECT 1 FROM jsonb_array_elements(needs->2) AS asked
        WHERE COALESCE((agent.skills->>(asked->>0))::integer, 0) < (asked->>1)::integer
    ) THEN
        RAISE EXCEPTION 'given to who is not able';
    ELSIF units > COALESCE(agent.capacity, 3) THEN
        RAISE EXCEPTION 'given more than they can hold';
    END IF;
    RETURN NEW;
END $$
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with postgres_server() as server:
        settings = Settings(database_url=server.create_database("storm"), secret_key="storm")
        hub = Hub(settings)
        migrations.upgrade(hub.database)
        storm = Storm(
            hub,
            workers=asked.workers,
            conversations=asked.conversations,
            agents=asked.agents,
            seed=asked.seed,
        )
        storm.progress = lambda line: sys.stderr.write(f"{line}\n")
        count = storm.run()
        hub.close()
    for name, value in vars(count).items():
        sys.stdout.write(f"{name.replace('_', ' '):14} {value}\n")
    return 1 if count.broken else 0


if __name__ == "__main__":
    sys.exit(main())
