"""Everybody at once on one database: nobody waits for ever, nothing is lost, and the clocks add up."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from random import Random
from threading import Barrier

import pytest
from sqlalchemy import func, select

from hub.assignment.claiming import claim_next
from hub.clock import utcnow
from hub.conversations.delivery import deliver
from hub.conversations.models import AnalysisRow, Conversation, Message, Promise
from hub.conversations.service import get_conversation, release, reply, set_status
from hub.customers.models import Customer
from hub.inbox.analyse import analyse
from hub.inbox.service import receive
from hub.queue import planner
from hub.queue.planner import plan_queue
from hub.queue.service import replace_stale
from hub.queue.sweep import sweep
from hub.runtime import Hub
from tests.factories import Batch, channel, inbound, user

ROUNDS = 12
WRITERS = 15


def test_everybody_at_once(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "APART", timedelta(0))
    hub.settings = hub.settings.model_copy(update={"analysis_batch": 7})
    outbox = tmp_path / "out"
    with hub.database.session() as session:
        channel_id = channel(session, outbox=str(outbox), at=utcnow()).id
        agents = [user(session, f"Agent {n}", at=utcnow()) for n in range(3)]

    def customers_write(number: int) -> None:
        chance = Random(number)
        batch = Batch(
            tuple(
                inbound(chance.choice(["good", "bad", "so so"]), author=f"writer {each}", thread_key="T")
                for each in chance.sample(range(WRITERS), 8)
            )
        )
        with hub.database.session() as session:
            receive(session, channel_id, batch, utcnow())

    def agent_answers(number: int) -> None:
        agent = agents[number % 3]
        with hub.database.session() as session:
            claimed = claim_next(session, agent.id, utcnow())
        if claimed is None:
            return
        with hub.database.session() as session:
            conversation = get_conversation(session, claimed)
            if number % 4:
                reply(session, conversation, user=agent, text="Here.", now=utcnow())
            else:
                set_status(session, conversation, "solved", user=agent, now=utcnow())
        with hub.database.session() as session:
            release(session, get_conversation(session, claimed), user=agent, now=utcnow())

    def crm_changes(number: int) -> None:
        with hub.database.session() as session:
            someone = session.scalars(select(Customer).order_by(Customer.id).offset(number).limit(1)).first()
            if someone is not None:
                someone.tier = ("gold", "silver", None)[number % 3]
                someone.changed_at = utcnow()
        replace_stale(hub)

    # Somebody waits from the beginning, so that agents have something to do.
    customers_write(2000)
    work: list[Callable[[int], object]] = [
        customers_write,
        lambda number: customers_write(number + 1000),
        agent_answers,
        lambda number: agent_answers(number + 1),
        crm_changes,
        lambda number: analyse(hub),
        lambda number: analyse(hub),
        lambda number: deliver(hub),
        lambda number: plan_queue(hub),
        lambda number: sweep(hub),
    ]
    barrier = Barrier(len(work))

    def run(act: Callable[[int], object]) -> None:
        barrier.wait()
        for number in range(ROUNDS):
            act(number)

    with ThreadPoolExecutor(len(work)) as pool:
        list(pool.map(run, work))
    for job in (analyse, deliver, replace_stale):
        while job(hub):
            pass
    check(hub, outbox)


def check(hub: Hub, outbox: Path) -> None:
    with hub.database.reading() as session:
        incoming = select(func.count()).where(Message.direction == "incoming")
        written = (2 * ROUNDS + 1) * 8
        assert session.scalar(incoming) == written
        assert session.scalar(select(func.count()).select_from(AnalysisRow)) == written
        conversations = session.scalars(select(Conversation)).all()
        assert len(conversations) == WRITERS
        still_owed = select(Promise).where(Promise.met_at.is_(None), Promise.cancelled_at.is_(None))
        owed = {promise.conversation_id: promise for promise in session.scalars(still_owed)}
        assert len(session.scalars(still_owed).all()) == len(owed)
        for each in conversations:
            assert (each.id in owed) == (each.waiting_since is not None) == (each.reply_by is not None)
            assert each.promise is owed.get(each.id)
            if each.promise is not None:
                assert each.promise.started_at == each.waiting_since
        replies = session.scalars(select(Message).where(Message.delivery.is_not(None))).all()
        assert replies
        assert {message.delivery for message in replies} == {"sent"}
        assert all(len(message.attempts) == 1 for message in replies)
        assert len(list(outbox.iterdir())) == len(replies)
