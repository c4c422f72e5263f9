"""`next` hands out the earliest, and nothing twice, however many ask at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.assignment.claiming import claim_next
from hub.conversations.models import Conversation
from hub.conversations.service import get_conversation, release, set_status, take
from hub.inbox.service import receive
from hub.runtime import Hub
from tests.factories import NOW, Batch, channel, inbound, user

AGENTS = 8
WAITING = 40


def fill(session: Session, count: int = WAITING) -> None:
    """Conversations that have waited for different times, not in the order in which they were stored."""
    batch = Batch(
        tuple(
            inbound(author=f"writer {n}", sent_at=NOW - timedelta(minutes=n * 7919 % 100))
            for n in range(count)
        )
    )
    receive(session, channel(session).id, batch, NOW)


def in_order(session: Session) -> list[int]:
    order = select(Conversation.id).where(Conversation.reply_by.is_not(None))
    return list(session.scalars(order.order_by(Conversation.reply_by, Conversation.id)))


def test_eight_agents_never_get_the_same(hub: Hub) -> None:
    with hub.database.session() as session:
        fill(session)
        agents = [user(session, f"Agent {n}").id for n in range(AGENTS)]
        order = in_order(session)
    barrier = Barrier(AGENTS)

    def work(agent: int) -> list[int]:
        barrier.wait()
        taken: list[int] = []
        while True:
            with hub.database.session() as session:
                claimed = claim_next(session, agent, NOW)
            if claimed is None:
                return taken
            taken.append(claimed)

    with ThreadPoolExecutor(AGENTS) as pool:
        each = list(pool.map(work, agents))
    everything = [claimed for taken in each for claimed in taken]
    assert sorted(everything) == sorted(order)
    with hub.database.reading() as session:
        for agent, taken in zip(agents, each, strict=True):
            mine = select(Conversation.id).where(Conversation.owner_id == agent)
            assert sorted(session.scalars(mine)) == sorted(taken)


def test_the_earliest_is_next(session: Session) -> None:
    fill(session, 12)
    agent = user(session).id
    order = in_order(session)
    assert [claim_next(session, agent, NOW) for _ in range(13)] == [*order, None]


def test_who_is_held_by_another_transaction_is_passed_over(hub: Hub) -> None:
    """On PostgreSQL; on SQLite nobody else can hold one while we write."""
    with hub.database.session() as session:
        fill(session, 2)
        agent = user(session).id
        first, second = in_order(session)
    if hub.database.is_sqlite:
        with hub.database.session() as session:
            assert claim_next(session, agent, NOW) == first
        return
    with hub.database.session() as holding:
        get_conversation(holding, first)
        with hub.database.session() as session:
            assert claim_next(session, agent, NOW) == second


def test_only_who_waits_and_is_nobodys(session: Session) -> None:
    fill(session, 5)
    me, colleague = user(session), user(session, "Col League")
    solved, taken, snoozed, released, free = (get_conversation(session, each) for each in in_order(session))
    set_status(session, solved, "solved", user=me, now=NOW)
    take(session, taken, user=colleague, now=NOW)
    set_status(session, snoozed, "snoozed", user=me, now=NOW, snoozed_until=NOW + timedelta(hours=1))
    take(session, released, user=colleague, now=NOW)
    release(session, released, user=colleague, now=NOW)
    session.flush()
    assert [claim_next(session, me.id, NOW) for _ in range(3)] == [released.id, free.id, None]


def test_the_plan_decides_and_the_id_where_it_does_not(session: Session) -> None:
    fill(session, 3)
    agent = session.get_one(User, user(session).id)
    session.execute(update(Conversation).values(reply_by=NOW))
    ids = sorted(in_order(session))
    session.execute(update(Conversation).where(Conversation.id == ids[2]).values(reply_by=NOW - timedelta(1)))
    assert [claim_next(session, agent.id, NOW) for _ in range(3)] == [ids[2], ids[0], ids[1]]
    assert session.scalars(select(Conversation.owned_since).distinct()).all() == [NOW]
