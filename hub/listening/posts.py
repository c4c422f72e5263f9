"""A stored message as queries see it."""

from __future__ import annotations

from hub.conversations.models import Message

# So much of a text is looked at, as by the model.
LONGEST = 50_000


def text_of(message: Message) -> str:
    """What the message says, its subject first."""
    said = message.body[:LONGEST]
    return f"{message.subject}\n{said}" if message.subject else said


def authors_of(message: Message) -> tuple[str, ...]:
    """The names by which its author goes: for people, and where an answer reaches them."""
    reached = message.reply_to.get("value") if message.reply_to else None
    return tuple(name for name in (message.author_name, reached) if name)
