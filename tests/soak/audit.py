"""Looks into the database, with SQL of its own, whether everything is there once and in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Engine, text

TO_DO = {
    "receipts to read": "SELECT count(*) FROM receipts WHERE processed_at IS NULL",
    "messages to analyse": (
        "SELECT count(*) FROM messages WHERE direction = 'incoming' AND analysed_at IS NULL"
    ),
    "replies to deliver": "SELECT count(*) FROM messages WHERE delivery IN ('pending', 'sending')",
}

# What must not be there, whatever happened. A conversation waits where a customer wrote after the last reply
# that did not fail; whoever stores a message holds its conversation, so that ids are in order within one.
NEVER = {
    "rejects": "SELECT source, reason, detail FROM rejects",
    "messages without exactly one analysis": """
        SELECT m.id, count(a.id) FROM messages m LEFT JOIN analyses a ON a.message_id = m.id
        WHERE m.direction = 'incoming' GROUP BY m.id HAVING count(a.id) <> 1
    """,
    "messages that the model gave up": "SELECT message_id FROM analyses WHERE language_confidence = 0",
    "texts stored twice": """
        SELECT body, count(*) FROM messages WHERE direction = 'incoming' GROUP BY body HAVING count(*) > 1
    """,
    "threads with two conversations": """
        SELECT channel_id, thread_key, count(*) FROM conversations
        GROUP BY channel_id, thread_key HAVING count(*) > 1
    """,
    "conversations that wait wrongly, or do not": """
        WITH facts AS (
            SELECT c.id, c.waiting_since IS NOT NULL AS waits, EXISTS (
                SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.direction = 'incoming'
                AND m.id > COALESCE((
                    SELECT max(r.id) FROM messages r WHERE r.conversation_id = c.id
                    AND r.direction = 'outgoing' AND NOT r.private AND r.delivery <> 'failed'
                ), 0)
            ) AS should_wait FROM conversations c
        ) SELECT id, waits, should_wait FROM facts WHERE waits <> should_wait
    """,
    "waiting conversations without a place": """
        SELECT id, status FROM conversations WHERE waiting_since IS NOT NULL
        AND (reply_by IS NULL OR weight IS NULL OR promise_id IS NULL OR status NOT IN ('new', 'open'))
    """,
    "answered conversations with a place": """
        SELECT id, status FROM conversations WHERE waiting_since IS NULL
        AND (reply_by IS NOT NULL OR promise_id IS NOT NULL)
    """,
    "conversations without exactly the open promise they name": """
        SELECT c.id, c.promise_id, count(p.id), min(p.id) FROM conversations c
        LEFT JOIN promises p ON p.conversation_id = c.id AND p.met_at IS NULL AND p.cancelled_at IS NULL
        GROUP BY c.id, c.promise_id, c.waiting_since
        HAVING count(p.id) <> CASE WHEN c.waiting_since IS NULL THEN 0 ELSE 1 END
        OR COALESCE(min(p.id), 0) <> COALESCE(c.promise_id, 0)
    """,
    "attempts without an end": "SELECT message_id FROM delivery_attempts WHERE finished_at IS NULL",
    "unknown replies that do not say why": """
        SELECT m.id FROM messages m WHERE m.delivery = 'unknown' AND NOT EXISTS (
            SELECT 1 FROM delivery_attempts a
            WHERE a.message_id = m.id AND a.outcome = 'unknown' AND a.detail <> ''
        )
    """,
}


class Reply(NamedTuple):
    """A stored reply, and what became of it."""

    message_id: int
    channel: str
    delivery: str


class Audit:
    """Questions to a hub's database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def to_do(self) -> dict[str, int]:
        """What is still to be done, by kind; empty once all is settled."""
        with self._engine.connect() as connection:
            counts = {what: connection.scalar(text(query)) for what, query in TO_DO.items()}
        return {what: count for what, count in counts.items() if count}

    def never(self) -> dict[str, Sequence[Any]]:
        """What should not be, with its first rows; empty where all is well."""
        with self._engine.connect() as connection:
            found = {what: connection.execute(text(query)).all()[:5] for what, query in NEVER.items()}
        return {what: rows for what, rows in found.items() if rows}

    def stored(self) -> list[str]:
        """The ids of all messages of customers."""
        with self._engine.connect() as connection:
            return list(
                connection.scalars(text("SELECT external_id FROM messages WHERE direction = 'incoming'"))
            )

    def replies(self) -> dict[str, Reply]:
        """The replies by their idempotency keys."""
        query = """
            SELECT m.idempotency_key, m.id, c.name, m.delivery FROM messages m
            JOIN channels c ON c.id = m.channel_id WHERE m.idempotency_key IS NOT NULL
        """
        with self._engine.connect() as connection:
            return {key: Reply(*row) for key, *row in connection.execute(text(query))}

    def why(self, message_id: int) -> list[tuple[str, str]]:
        """Outcome and detail of each try at a reply."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                text("SELECT outcome, detail FROM delivery_attempts WHERE message_id = :id ORDER BY id"),
                {"id": message_id},
            )
            return [(outcome, detail) for outcome, detail in rows]

    def waiting(self) -> list[int]:
        """The conversations that wait, by id."""
        with self._engine.connect() as connection:
            return list(
                connection.scalars(
                    text("SELECT id FROM conversations WHERE waiting_since IS NOT NULL ORDER BY id")
                )
            )
