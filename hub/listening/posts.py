"""A stored message as queries see it."""

from __future__ import annotations

from typing import Any, TypeAlias

from sqlalchemy import Row

from hub.conversations.models import Message

# A message, or those of its columns that are asked for here.
Columns: TypeAlias = Message | Row[Any]

# So much of a text is looked at, as by the model.
LONGEST = 50_000


def text_of(message: Columns) -> str:
    """What the message says, its subject first."""
    said: str = message.body[:LONGEST]
    return f"{message.subject}\n{said}" if message.subject else said


def authors_of(message: Columns) -> tuple[str, ...]:
    """The names by which its author goes: for people, and where an answer reaches them."""
    reached = message.reply_to.get("value") if message.reply_to else None
    return tuple(name for name in (message.author_name, reached) if name)
