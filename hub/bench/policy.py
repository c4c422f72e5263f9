"""A change of the policy: how fast all who wait are placed anew, with everything that a policy can ask."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import yaml
from sqlalchemy import insert, select, text, update

from hub.bench.figures import Figure, at_least
from hub.channels.models import Channel
from hub.clock import utcnow
from hub.conversations.models import AnalysisRow, Conversation, Message
from hub.customers.models import Customer, Event
from hub.database import Database
from hub.policies.queries import replacing
from hub.policies.service import activate
from hub.queue.service import REPLACE_BATCH, replace_stale
from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY
from sentiment.types import INTENTS, SENTIMENTS

GOAL = 1000.0
_TIERS = ("platinum", "gold", "silver", None)
_FILL_STEP = 1000
_WRITTEN = ("policy_version_id", "weight", "reasons", "work_seconds", "reply_by", "lane", "load")

# All kinds of conditions, weights and facts at once; every conversation goes through all the policies.
_ANGRY = """
customer.lifetime_value > 100000 && customer.valence < -0.9 && conversation.messages > 50
&& text.contains("lawyer") && customer.contacts > 20 && emotion == "anger"
"""
_LEAVING = 'customer.journey_stage == "at_risk" && intents.exists(i, i in ["escalation", "cancel_churn"])'
_TAGGED = '"vip" in conversation.tags || conversation.subject.startsWith("Urgent")'


def everything_on() -> str:
    """The built-in policy, and every kind of rule beside it."""
    policy = yaml.safe_load(DEFAULT_POLICY)
    policy["policies"][:0] = [
        {"name": name, "when": when, "first_reply_time": _target(), "next_reply_time": _target()}
        for name, when in (("Angry", _ANGRY), ("Leaving", _LEAVING), ("Tagged", _TAGGED))
    ]
    policy["weights"]["lifetime_value"] = [
        {"at_least": 100, "factor": 1.1},
        {"at_least": 1000, "factor": 1.2},
    ]
    policy |= {"teams": ["social"], "skills": ["german"], "capacity": {"default": 5}}
    policy["assignment"] = {
        "needs": [
            {"name": "German", "when": 'language == "de"', "skills": {"german": 3}},
            {"name": "Social", "when": 'channel.kind == "social"', "team": "social"},
        ]
    }
    return yaml.safe_dump(policy, sort_keys=False)


def _target() -> dict[str, Any]:
    return {"default": {"urgent": "5m", "normal": "10m"}}


def bench_policy(hub: Hub, waiting: int, progress: Callable[[str], None]) -> Iterator[Figure]:
    """Fill the (migrated) database with those who wait, change the policy, and place them anew."""
    area = f"policy, {'SQLite' if hub.database.is_sqlite else 'PostgreSQL'}"
    progress(f"{area}: {waiting:,} waiting")
    _fill(hub.database, waiting)
    _replace(hub, DEFAULT_POLICY)
    progress(f"{area}: a new version")
    working = time.process_time()
    placed, seconds, slowest = _replace(hub, everything_on())
    working = time.process_time() - working
    name = f"placed anew after a change, everything on, {placed:,} waiting"
    yield at_least(area, name, placed / seconds, "1/s", GOAL)
    yield Figure(area, "processor time of it, of this process, a conversation", working / placed * 1e3, "ms")
    yield Figure(area, "the longest transaction of it", slowest * 1e3, "ms")
    bare = _bare_updates(hub.database)
    yield Figure(area, "bare updates of the same rows, in transactions as large", placed / bare, "1/s")
    yield Figure(area, "placed anew against bare updates", seconds / bare, "×")
    began = time.perf_counter()
    with hub.database.reading() as session:
        left = replacing(session).left
    yield Figure(area, "asking how far it has come", (time.perf_counter() - began) * 1e3, "ms")
    if left:
        raise AssertionError(f"{left} are still placed by an earlier version")


def _replace(hub: Hub, text: str) -> tuple[int, float, float]:
    with hub.database.session() as session:
        activate(session, text, utcnow())
    placed, slowest = 0, 0.0
    began = last = time.perf_counter()
    while count := replace_stale(hub):
        placed += count
        now = time.perf_counter()
        slowest, last = max(slowest, now - last), now
    return placed, last - began, slowest


def _bare_updates(database: Database) -> float:
    """Seconds of writing what placing writes in a conversation, with nothing read or decided."""
    with database.reading() as session:
        columns = (Conversation.id, *(getattr(Conversation, name) for name in _WRITTEN))
        rows = session.execute(select(*columns).where(Conversation.reply_by.is_not(None))).mappings().all()
    began = time.perf_counter()
    for begin in range(0, len(rows), REPLACE_BATCH):
        batch = rows[begin : begin + REPLACE_BATCH]
        with database.session() as session:
            session.execute(update(Conversation), [{**row, "updated_at": utcnow()} for row in batch])
    return time.perf_counter() - began


def _fill(database: Database, count: int) -> None:
    """Conversations of mail, each with an analysed message; a customer has three, and bought twice."""
    chance = random.Random(1)  # noqa: S311 - a draw, not a secret
    now = utcnow()
    with database.session() as session:
        channel = Channel(name="bench-policy", connector="files", kind="mail", created_at=now)
        session.add(channel)
        session.flush()
        channel_id = channel.id
    for begin in range(0, count, _FILL_STEP):
        _fill_step(database, channel_id, begin, min(_FILL_STEP, count - begin), chance, now)
    with database.session() as session:
        session.execute(text("ANALYZE"))


def _fill_step(
    database: Database, channel_id: int, begin: int, count: int, chance: random.Random, now: datetime
) -> None:
    with database.session() as session:
        customers = session.scalars(
            insert(Customer).returning(Customer.id),
            [
                {
                    "name": f"Bench {begin + n}",
                    "external_id": f"bench-{begin + n}",
                    "tier": chance.choice(_TIERS),
                    "spend_12m": chance.randrange(5000),
                    "created_at": now,
                    "changed_at": now,
                }
                for n in range(count // 3 + 1)
            ],
        ).all()
        session.execute(
            insert(Event),
            [
                {
                    "customer_id": customer_id,
                    "source": "bench",
                    "external_id": f"{customer_id}-{n}",
                    "kind": "purchase",
                    "occurred_at": now - timedelta(days=chance.randrange(1, 700)),
                    "base_amount": chance.randrange(10, 900),
                }
                for customer_id in customers
                for n in range(2)
            ],
        )
        since = [now - timedelta(seconds=chance.randrange(7 * 86_400)) for _ in range(count)]
        conversations = session.scalars(
            insert(Conversation).returning(Conversation.id, sort_by_parameter_order=True),
            [
                {
                    "channel_id": channel_id,
                    "customer_id": customers[n // 3],
                    "subject": "An order",
                    "status": "new",
                    "created_at": at,
                    "updated_at": at,
                    "last_message_at": at,
                    "waiting_since": at,
                    "placed_for": now,
                }
                for n, at in enumerate(since)
            ],
        ).all()
        messages = session.scalars(
            insert(Message).returning(Message.id, sort_by_parameter_order=True),
            [
                {
                    "channel_id": channel_id,
                    "conversation_id": conversation_id,
                    "external_id": f"bench-{conversation_id}",
                    "direction": "incoming",
                    "body": "Where is my order? I have waited for two weeks now.",
                    "sent_at": at,
                    "received_at": at,
                    "analysed_at": at,
                }
                for conversation_id, at in zip(conversations, since, strict=True)
            ],
        ).all()
        session.execute(insert(AnalysisRow), [_analysis(each, chance, now) for each in messages])
        session.execute(
            update(Conversation)
            .where(Conversation.id.in_(conversations))
            .values(
                newest_message_id=select(Message.id)
                .where(Message.conversation_id == Conversation.id)
                .scalar_subquery()
            )
        )


def _analysis(message_id: int, chance: random.Random, now: datetime) -> dict[str, Any]:
    label = chance.choice(SENTIMENTS)
    scores = {each: 0.9 if each == label else 0.05 for each in SENTIMENTS}
    return {
        "message_id": message_id,
        "model": "bench",
        "created_at": now,
        "language": chance.choice(("en", "de")),
        "language_confidence": 0.95,
        "sentiment": label,
        "sentiment_confidence": 0.9,
        "scores": scores,
        "intents": [{"label": chance.choice(INTENTS), "confidence": 0.9}],
        "expects_reply": 0.9,
    }
