"""Versions, what changed between them, and how far a change has come."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from hub.policies.queries import compare, list_activations, replacing
from hub.policies.service import activate, active_version, find_version
from hub.queue.service import replace_stale
from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY
from tests.factories import NOW, channel, inbound, receive_one, user

SHORTER = DEFAULT_POLICY.replace("platinum: 15m", "platinum: 5m")


def test_who_let_which_version_rule_and_when(session: Session) -> None:
    by = user(session, role="manager")
    activate(session, SHORTER, NOW + timedelta(hours=1), user_id=by.id)
    activate(session, DEFAULT_POLICY, NOW + timedelta(hours=2))
    first = list_activations(session, None, 2)
    second = list_activations(session, first.next_cursor, 2)
    told = [
        (each.activation.version_id, each.activation.user and each.activation.user.name, each.active)
        for each in (*first.items, *second.items)
    ]
    assert told == [(1, None, True), (2, "Alex Agent", False), (1, None, False)]
    assert second.next_cursor is None


def test_what_changed(session: Session) -> None:
    old = active_version(session)
    new = find_version(session, activate(session, SHORTER, NOW).version_id)
    lines = compare(old, new)
    changed = [(line.kind, line.text.strip()) for line in lines if line.kind in ("added", "removed")]
    assert changed == [
        (kind, f"{metric}: {{platinum: {target}, gold: 30m, silver: 60m, default: 2h}}")
        for kind, target in (("removed", "15m"), ("added", "5m"))
        for metric in ("first_reply_time", "next_reply_time")
    ]
    assert len(lines) == 4 + 2 * 3
    numbers = DEFAULT_POLICY.splitlines()
    assert all(line.text == numbers[line.old - 1] for line in lines if line.old is not None)
    assert compare(old, old) == []


def test_how_far_a_change_has_come(hub: Hub) -> None:
    with hub.database.session() as session:
        chirp = channel(session)
        for number in range(3):
            receive_one(session, chirp, inbound(author=f"ann{number}", thread_key=str(number)))
        before = replacing(session)
        assert (before.open, before.placed, before.left) == (3, 3, 0)
        version_id = activate(session, SHORTER, NOW).version_id
        assert (replacing(session).version_id, replacing(session).left) == (version_id, 3)
    while replace_stale(hub):
        pass
    with hub.database.reading() as session:
        after = replacing(session)
        assert (after.version_id, after.open, after.left) == (version_id, 3, 0)
