"""How Alembic reaches the database: through the engine that `hub.migrations.config` hands over."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import JSON, text

from hub.database import EncryptedJson, Money, UtcDateTime
from hub.models import Base

engine = context.config.attributes["engine"]


def render(kind: str, item: Any, autogen: Any) -> str | Literal[False]:
    """A migration names plain SQL types, so that it stays true when our own types change."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Money):
        return 'sa.Numeric(18, 2).with_variant(sa.BigInteger(), "sqlite")'
    if kind == "type" and isinstance(item, EncryptedJson):
        return "sa.Text()"
    if kind == "type" and isinstance(item, JSON):
        autogen.imports.add("from sqlalchemy.dialects.postgresql import JSONB")
        return 'sa.JSON().with_variant(JSONB(), "postgresql")'
    return False


with engine.execution_options(sqlite_begin="BEGIN IMMEDIATE").connect() as connection, connection.begin():
    if connection.dialect.name == "postgresql":
        # Web and worker may start together; one migrates, the others wait and find nothing to do.
        connection.execute(text("SELECT pg_advisory_xact_lock(7262617)"))
    # Within the transaction: of SQLite Alembic would otherwise end it after each migration, and another
    # process would go on from there.
    context.configure(connection=connection, target_metadata=Base.metadata, render_item=render)
    context.run_migrations()
