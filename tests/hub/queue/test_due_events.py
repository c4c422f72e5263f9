"""Nothing looks through all conversations: what is due is found by an index, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Select, event, text
from sqlalchemy.orm import Session

from hub.automations.queries import counted
from hub.automations.timing import timers_due
from hub.conversations.models import Conversation
from hub.queue.service import stale_places
from hub.queue.sweep import promises_due, snoozes_due, updates_due
from hub.warnings.service import warnings_due
from tests.factories import NOW


@pytest.mark.parametrize(
    ("query", "index"),
    [
        pytest.param(promises_due(NOW), "ix_promises_due_at", id="promises break"),
        pytest.param(updates_due(NOW), "ix_promises_asks_at", id="updates are owed"),
        pytest.param(warnings_due(NOW), "ix_promises_warn_at", id="warnings"),
        pytest.param(timers_due(NOW), "ix_automation_timers_due_at", id="automations wait"),
        pytest.param(counted(["A", "B"], NOW), "ix_automation_runs_ran_at", id="automations of a month"),
        pytest.param(snoozes_due(NOW), "ix_conversations_snoozed_until", id="snoozes end"),
        pytest.param(
            stale_places(7).with_only_columns(Conversation.id), "ix_conversations_placed", id="another policy"
        ),
    ],
)
def test_what_is_due_is_found_by_its_index(session: Session, query: Select[Any], index: str) -> None:
    connection = session.connection()
    explain = "EXPLAIN QUERY PLAN "
    if connection.dialect.name == "postgresql":
        # The tables are empty: without this, reading all of nothing would be the better plan.
        session.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN "
    asked: list[tuple[str, Any]] = []
    event.listen(
        connection, "before_cursor_execute", lambda *said: asked.append((said[2], said[3])), once=True
    )
    session.execute(query)
    statement, parameters = asked[0]
    plan = "\n".join(
        " ".join(map(str, row)) for row in connection.exec_driver_sql(explain + statement, parameters)
    )
    assert index in plan, plan
    assert "Seq Scan" not in plan
    assert all(index in line for line in plan.splitlines() if "SCAN" in line), plan
