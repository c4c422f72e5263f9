"""`next` looks where the earliest is, and reads no more than it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from hub.accounts.service import heartbeat
from hub.assignment import claiming
from hub.assignment.claiming import claim_next, why_nothing
from hub.assignment.models import Assignment
from hub.policies.service import activate
from routing.policy import DEFAULT_POLICY
from tests.factories import NOW
from tests.hub.assignment.test_rules import ABLE, MINUTE, writes
from tests.hub.assignment.world import RULES, agent, rule_by
from tests.hub.conftest import ON_SQLITE

PULL = {"mode": "pull"}


@contextmanager
def statements(session: Session) -> Iterator[list[tuple[str, Any]]]:
    """What is sent to the database within the block, with its values."""
    sent: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        sent.append((statement, values))

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", keep)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", keep)


def read_by(session: Session, sent: list[tuple[str, Any]], table: str = "conversations") -> set[str]:
    """The indices of a table by which SQLite runs these statements, `SCAN` for the whole table."""
    connection = session.connection()
    steps = [
        row[3]
        for statement, values in sent
        for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
    ]
    return {
        step.partition("INDEX ")[2].partition(" ")[0] or step.partition(" ")[0]
        for step in steps
        if f" {table}" in step and "PRIMARY KEY" not in step
    }


@ON_SQLITE
def test_where_all_take_all_nothing_in_hand_is_walked_past(session: Session) -> None:
    activate(session, DEFAULT_POLICY, NOW)
    asker = agent(session, "Bea")
    writes(session, at=NOW - MINUTE)
    writes(session, author="bob")
    session.flush()
    assert claim_next(session, asker.id, NOW) is not None
    with statements(session) as sent:
        assert claim_next(session, asker.id, NOW) is not None
    claim = [each for each in sent if each[0].startswith("UPDATE conversations")]
    assert "ix_conversations_pick" in read_by(session, claim)
    assert not read_by(session, claim) & {"ix_conversations_queue", "SCAN"}
    assert len(sent) == 2


@ON_SQLITE
def test_by_rules_only_the_heads_of_lanes_are_read(session: Session) -> None:
    rule_by(session, **PULL)
    asker = agent(session, "Bea", **ABLE, capacity=10)
    for number in range(3):
        writes(session, author=f"ann {number}", channel="other", at=NOW - number * MINUTE)
    session.flush()
    assert claim_next(session, asker.id, NOW) is not None
    with statements(session) as sent:
        assert claim_next(session, asker.id, NOW) is not None
    assert read_by(session, sent) <= {
        "ix_conversations_lane",
        "ix_conversations_held",
        "ix_conversations_in_hand",
        "ix_conversations_placed",
    }
    # Not all that they ever had.
    assert read_by(session, sent, "assignments") == {"ix_assignments_refused_by"}
    # Who asks, what rules and where something waits; that they took it; its history.
    assert len(sent) == 3


def test_however_much_was_refused_the_next_one_is_found(session: Session) -> None:
    active = rule_by(session, **PULL)
    asker = agent(session, "Bea", capacity=10)
    earliest = writes(session, channel="other", at=NOW - 60 * MINUTE)
    for number in range(claiming.DEPTHS[0] + 4):
        refused = earliest
        if number:
            refused = writes(session, author=f"a{number}", channel="other", at=NOW - (60 - number) * MINUTE)
        session.add(
            Assignment(
                conversation_id=refused.id,
                user_id=asker.id,
                how="push",
                policy_version_id=active.version_id,
                assigned_at=NOW - 2 * MINUTE,
                ended_at=NOW - MINUTE,
                ended="declined",
            )
        )
    last = writes(session, author="zoe", channel="other")
    session.flush()
    assert claim_next(session, asker.id, NOW) == last.id
    assert claim_next(session, asker.id, NOW) is None
    # Refused long enough ago, they are offered again: the earliest first.
    later = NOW + active.policy.assignment.offer_again_after
    heartbeat(session, asker.id, later)
    assert claim_next(session, asker.id, later) == earliest.id


def test_of_several_lanes_and_what_is_kept_the_earliest_comes_first(session: Session) -> None:
    rule_by(session, rules=RULES.replace("relax_after: 10m", "relax_after: 1m"), **PULL)
    asker = agent(session, "Bea", teams=("service", "social"), skills={"returns": 2, "french": 3}, capacity=9)
    later = writes(session, channel="chirp", at=NOW - 10 * MINUTE)
    first = writes(session, author="bob", at=NOW - 30 * MINUTE)
    kept = writes(session, author="cy", channel="other", at=NOW - 50 * MINUTE)
    kept.known_by_id, kept.held_until = asker.id, NOW + timedelta(minutes=3)
    session.flush()
    assert [claim_next(session, asker.id, NOW) for _ in range(4)] == [kept.id, first.id, later.id, None]


@ON_SQLITE
def test_who_gets_nothing_is_told_why(session: Session) -> None:
    activate(session, DEFAULT_POLICY, NOW)
    asker = agent(session, "Bea", capacity=1)
    assert "not taken already" in why_nothing(session, asker.id, NOW)
    rule_by(session, **PULL)
    assert "whom you can answer now" in why_nothing(session, asker.id, NOW)
    writes(session, channel="other")
    writes(session, author="bob", channel="other")
    assert claim_next(session, asker.id, NOW) is not None
    assert claim_next(session, asker.id, NOW) is None
    assert "1 of 1 units in hand" in why_nothing(session, asker.id, NOW)
