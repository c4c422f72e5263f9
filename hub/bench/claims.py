"""`next` for eight agents at once, on queues of several sizes, beside bare one-row commits.

Measured twice: while everybody may take everything, and under rules of assignment with teams, skills,
capacity and known customers, where the queue has as many lanes as there are teams and each agent is of some
of them. At last the most are stored, and few of them wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from threading import Barrier

from sqlalchemy import select, text, update

from hub.accounts.models import User
from hub.assignment.claiming import claim_next
from hub.bench.figures import Figure, at_most, quantile
from hub.channels.models import Channel
from hub.clock import utcnow
from hub.conversations.models import Conversation
from hub.customers.models import Customer
from hub.database import Database
from hub.policies.service import activate
from routing.policy import DEFAULT_POLICY

AGENTS = 8
TEAMS = 40
TEAMS_EACH = 10
CLAIMS = 1600
ROUNDS = 4
PICKS = 300
FEW = 10_000

# Reply times spread over three hours in an order of their own, so that the index is not filled from one end.
_FILL = {
    "sqlite": """
        WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :rows)
        INSERT INTO conversations (channel_id, customer_id, status, created_at, updated_at, last_message_at,
                                   waiting_since, weight, work_seconds, policy_version_id, reply_by,
                                   gave_way_to, lane)
        SELECT :channel, :customer, 'open', :now, :now, :now, :now, 1.0, 300, :version,
               datetime(:now, '+' || (n * 7919 % 10800) || ' seconds') || '.000000', 0,
               '[1,"team ' || (n % :teams) || '",[["skill",2]]]' FROM series
    """,
    "postgresql": """
        INSERT INTO conversations (channel_id, customer_id, status, created_at, updated_at, last_message_at,
                                   waiting_since, weight, work_seconds, policy_version_id, reply_by,
                                   gave_way_to, lane)
        SELECT :channel, :customer, 'open', :now, :now, :now, :now, 1.0, 300, :version,
               CAST(:now AS timestamptz) + make_interval(secs => (CAST(n AS bigint) * 7919 % 10800)), 0,
               '[1,"team ' || (n % :teams) || '",[["skill",2]]]'
        FROM generate_series(1, :rows) AS n
    """,
}


def bench_claims(
    database: Database, sizes: tuple[int, ...], progress: Callable[[str], None]
) -> Iterator[Figure]:
    """Fill the (migrated, empty) database to each of `sizes` in turn, and measure."""
    area = f"next, {'SQLite' if database.is_sqlite else 'PostgreSQL'}"
    users, channel_id, customer_id = _prepare(database)
    version_id = _rule_by(database, _rules())
    _rule_by(database, DEFAULT_POLICY)
    waiting = 0
    picks: list[float] = []
    for size in sizes:
        progress(f"{area}: {size:,} waiting")
        _fill(database, size - waiting, channel_id, customer_id, version_id)
        pick = quantile(_picks(database), 0.5)
        picks.append(pick)
        yield Figure(area, f"pick alone, {size:,} waiting, p50", pick * 1e3, "ms")
        yield from _both(database, users, area, f"{size:,} waiting")
        waiting = size - 2 * CLAIMS
    if len(sizes) > 1:
        growth = picks[-1] / picks[0]
        yield at_most(area, f"pick, {sizes[-1]:,} against {sizes[0]:,} waiting", growth, "×", 2)
    progress(f"{area}: {sizes[-1]:,} stored, {FEW:,} waiting")
    _answer(database, FEW)
    yield from _both(database, users, area, f"{sizes[-1]:,} stored, {FEW:,} waiting", placed=True)


def _both(
    database: Database, users: list[int], area: str, size: str, *, placed: bool = False
) -> Iterator[Figure]:
    for where, rules in ((f"{area}, {TEAMS} lanes", _rules()), (area, DEFAULT_POLICY)):
        version_id = _rule_by(database, rules)
        if placed:
            with database.session() as session:
                session.execute(
                    update(Conversation)
                    .where(Conversation.reply_by.is_not(None))
                    .values(policy_version_id=version_id, placed_for=utcnow())
                )
            _settle(database)
        yield from _next(database, users, where, size)


def _next(database: Database, users: list[int], area: str, size: str) -> Iterator[Figure]:
    with database.session() as session:
        # What was handed out before is answered, so that nobody has it in hand.
        session.execute(
            update(Conversation)
            .where(Conversation.owner_id.is_not(None), Conversation.reply_by.is_not(None))
            .values(reply_by=None, placed_for=None)
        )
    claims, commits, per_second = _claims(database, users)
    for name, times, share in (
        (f"bare commit, {AGENTS} writers, {size}, p50", commits, 0.5),
        (f"next, {AGENTS} agents, {size}, p50", claims, 0.5),
        (f"next, {AGENTS} agents, {size}, p99", claims, 0.99),
    ):
        yield Figure(area, name, quantile(times, share) * 1e3, "ms")
    yield Figure(area, f"next, {AGENTS} agents, {size}", per_second, "1/s")
    ratio = quantile(claims, 0.5) / quantile(commits, 0.5)
    name = f"next against a bare commit, {size}"
    yield at_most(area, name, ratio, "×", 2)


def _rules() -> str:
    """The built-in policy with a team for each lane."""
    teams = ", ".join(f"team {n}" for n in range(TEAMS))
    more = f"teams: [{teams}]\nskills: [skill]\ncapacity: {{default: 1000}}\n"
    known = "assignment:\n  known_customer: {within: 30d, hold: 5m}\n"
    return more + DEFAULT_POLICY.replace("assignment:\n", known)


def _rule_by(database: Database, text: str) -> int:
    with database.session() as session:
        return activate(session, text, utcnow()).version_id


def _prepare(database: Database) -> tuple[list[int], int, int]:
    now = utcnow()
    with database.session() as session:
        users = [
            User(
                email=f"bench{n}@hub.example",
                name=f"Bench {n}",
                role="agent",
                password_hash="-",  # noqa: S106 - nobody signs in
                created_at=now,
                seen_at=now + timedelta(days=1),
                teams=[f"team {(n * TEAMS // AGENTS + m) % TEAMS}" for m in range(TEAMS_EACH)],
                skills={"skill": 3},
                capacity=1_000_000,
            )
            for n in range(AGENTS)
        ]
        channel = Channel(name="bench", connector="files", kind="social", created_at=now)
        customer = Customer(name="Bench", created_at=now, changed_at=now)
        session.add_all([*users, channel, customer])
        session.flush()
        return [user.id for user in users], channel.id, customer.id


def _fill(database: Database, rows: int, channel_id: int, customer_id: int, version_id: int) -> None:
    now = utcnow()
    moment = now.replace(tzinfo=None).isoformat(" ") if database.is_sqlite else now
    with database.session() as session:
        session.execute(
            text(_FILL[database.engine.dialect.name]),
            {
                "rows": rows,
                "channel": channel_id,
                "customer": customer_id,
                "version": version_id,
                "now": moment,
                "teams": TEAMS,
            },
        )
    _settle(database)


def _answer(database: Database, left: int) -> None:
    """Answer all but so many of those who wait."""
    with database.session() as session:
        waiting = select(Conversation.id).where(Conversation.reply_by.is_not(None))
        first = session.scalars(waiting.order_by(Conversation.id).offset(left).limit(1)).one()
        session.execute(
            update(Conversation)
            .where(Conversation.id >= first)
            .values(reply_by=None, waiting_since=None, status="solved")
        )


def _settle(database: Database) -> None:
    """Have the database put away what filling left, which is not to be carried over by those who claim."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("ANALYZE conversations")
        else:
            connection.exec_driver_sql("VACUUM ANALYZE conversations")
    if database.is_sqlite:
        with closing(database.engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _picks(database: Database) -> list[float]:
    pick = (
        select(Conversation.id)
        .where(Conversation.reply_by.is_not(None), Conversation.owner_id.is_(None))
        .order_by(Conversation.reply_by, Conversation.id)
        .limit(1)
    )
    times = []
    with database.reading() as session:
        for _ in range(PICKS):
            began = time.perf_counter()
            session.execute(pick).scalar()
            times.append(time.perf_counter() - began)
    return times


def _claims(database: Database, users: list[int]) -> tuple[list[float], list[float], float]:
    """Seconds of each claim, seconds of each bare commit, claims per second.

    In turns, round by round, since the speed of a disk drifts.
    """
    taken: list[list[int]] = [[] for _ in users]

    def claim(agent: int) -> None:
        with database.session() as session:
            claimed = claim_next(session, users[agent], utcnow())
            if claimed is not None:
                taken[agent].append(claimed)

    def commit(agent: int) -> None:
        with database.session() as session:
            session.execute(update(User).where(User.id == users[agent]).values(seen_at=utcnow()))

    claims: list[float] = []
    commits: list[float] = []
    claiming = 0.0
    for _ in range(ROUNDS):
        commits += _together(CLAIMS // ROUNDS // AGENTS, commit)[0]
        times, seconds = _together(CLAIMS // ROUNDS // AGENTS, claim)
        claims += times
        claiming += seconds
    everything = [each for several in taken for each in several]
    if len(set(everything)) != CLAIMS:
        raise AssertionError(f"{CLAIMS} claims gave {len(set(everything))} conversations")
    return claims, commits, CLAIMS / claiming


def _together(times_each: int, act: Callable[[int], None]) -> tuple[list[float], float]:
    barrier = Barrier(AGENTS)

    def run(agent: int) -> list[float]:
        # The first one opens the connection.
        act(agent)
        barrier.wait()
        times = []
        for _ in range(times_each - 1):
            began = time.perf_counter()
            act(agent)
            times.append(time.perf_counter() - began)
        return times

    with ThreadPoolExecutor(AGENTS) as pool:
        began = time.perf_counter()
        parts = list(pool.map(run, range(AGENTS)))
        return [each for part in parts for each in part], time.perf_counter() - began
