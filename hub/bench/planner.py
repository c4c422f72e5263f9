"""What planning takes: the plan alone, and with what the hub reads and writes around it."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import func, insert, select, update

from hub.accounts.models import User
from hub.bench.figures import Figure, at_most
from hub.channels.models import Channel
from hub.clock import utcnow
from hub.conversations.models import Conversation, Promise
from hub.customers.models import Customer
from hub.queue.models import PlanSummary
from hub.queue.planner import plan_queue
from hub.runtime import Hub
from routing.plan import plan
from routing.types import Waiting

AREA = "planner"
WAITING = 10_000
AGENTS = 100
_MOST_MILLISECONDS = 50.0


def bench_planner(say: Callable[[str], None], waiting: int = WAITING) -> Iterator[Figure]:
    """One plan of so many who wait: when all can be kept, and in a crisis; beside sorting them."""
    say(f"{waiting:,} waiting")
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    queue = _queue(waiting, now)
    settled = {place.id: place for place in plan(queue, AGENTS, now).places}
    in_crisis = [
        replace(w, gave_way_at=settled[w.id].gave_way_at, gave_way_to=settled[w.id].gave_way_to)
        for w in queue
    ]
    for name, these, agents in [
        ("a crisis begins", queue, AGENTS),
        ("in a crisis", in_crisis, AGENTS),
        ("all kept", [replace(w, due_at=w.due_at + timedelta(days=1)) for w in queue], 3000),
    ]:
        sorting = _milliseconds(partial(sorted, these, key=lambda w: (w.due_at, w.id)))
        took = _milliseconds(partial(plan, these, agents, now))
        yield at_most(AREA, f"{waiting:,} planned, {name}", took, "ms", _MOST_MILLISECONDS)
        yield Figure(AREA, f"{waiting:,} planned, {name}, beside sorting them", took / sorting, "times")


def bench_plan_queue(hub: Hub, say: Callable[[str], None], waiting: int = WAITING) -> Iterator[Figure]:
    """The same in the (migrated) database, reading and writing included.

    Once as a crisis begins, when nearly all move, and once a second later.
    """
    area = f"{AREA}, {'SQLite' if hub.database.is_sqlite else 'PostgreSQL'}"
    say(f"{area}: {waiting:,} waiting")
    _fill(hub, _queue(waiting, utcnow()))
    for name in ("a crisis begins", "a second later"):
        with hub.database.session() as session:
            session.execute(update(PlanSummary).values(planned_at=utcnow() - timedelta(seconds=1)))
        began, worked = time.perf_counter(), time.process_time()
        now = utcnow()
        plan_queue(hub)
        worked, took = time.process_time() - worked, time.perf_counter() - began
        with hub.database.reading() as session:
            moved = session.scalar(select(func.count()).where(Conversation.updated_at >= now))
        what = f"{waiting:,} planned, {name}"
        yield Figure(area, f"{what}, rows written", float(moved or 0), "")
        yield Figure(area, f"{what}, processor time of this process", worked * 1e3, "ms")
        yield Figure(area, f"{what}, in all", took * 1e3, "ms")


def _queue(waiting: int, now: datetime) -> list[Waiting]:
    """Conversations of four tiers, some of them late already."""
    dice = random.Random(1)  # noqa: S311 - a simulation, no secret
    queue = []
    for number in range(1, waiting + 1):
        weight, target = dice.choice(((8, 15), (4, 30), (2, 60), (1, 120)))
        due_at = now + timedelta(minutes=target - dice.uniform(0, 1.5 * target))
        second = due_at + timedelta(minutes=target)
        queue.append(
            Waiting(number, due_at, second, weight * dice.uniform(0.7, 2), dice.choice((180, 450, 900)))
        )
    return queue


def _fill(hub: Hub, queue: Sequence[Waiting]) -> None:
    now = utcnow()
    with hub.database.session() as session:
        agents = [
            User(
                email=f"planner{n}@hub.example",
                name=f"Planner {n}",
                role="agent",
                password_hash="-",  # noqa: S106 - nobody signs in
                created_at=now,
                seen_at=now + timedelta(days=1),
            )
            for n in range(AGENTS)
        ]
        channel = Channel(name="bench-planner", connector="files", kind="social", created_at=now)
        customer = Customer(name="Planner", created_at=now, changed_at=now)
        session.add_all([*agents, channel, customer])
        session.flush()
        since = [w.due_at - (w.second_due_at - w.due_at) for w in queue]
        conversations = session.scalars(
            insert(Conversation).returning(Conversation.id, sort_by_parameter_order=True),
            [
                {
                    **dict.fromkeys(("created_at", "updated_at", "last_message_at", "waiting_since"), at),
                    "channel_id": channel.id,
                    "customer_id": customer.id,
                    "thread_key": f"bench-planner-{w.id}",
                    "status": "new",
                    "reply_by": w.due_at,
                    "weight": w.weight,
                    "work_seconds": w.work_seconds,
                }
                for w, at in zip(queue, since, strict=True)
            ],
        ).all()
        promises = session.scalars(
            insert(Promise).returning(Promise.id, sort_by_parameter_order=True),
            [
                {
                    "conversation_id": conversation,
                    "metric": "first_reply_time",
                    "policy": "bench",
                    "started_at": at,
                    "target_seconds": round((w.second_due_at - w.due_at).total_seconds()),
                    "due_at": w.due_at,
                    "second_due_at": w.second_due_at,
                }
                for conversation, w, at in zip(conversations, queue, since, strict=True)
            ],
        ).all()
        session.execute(
            update(Conversation),
            [{"id": c, "promise_id": p} for c, p in zip(conversations, promises, strict=True)],
        )
    # The first plan makes the row that holds what it found.
    plan_queue(hub)
    with hub.database.session() as session:
        session.execute(update(Conversation).values(gave_way_at=None, gave_way_to=0))


def _milliseconds(work: Callable[[], object]) -> float:
    """The best of nine, in processor time: other programs may run."""
    best = math.inf
    for _ in range(9):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best * 1000
