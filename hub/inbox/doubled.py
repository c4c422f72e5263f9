"""Ids that senders choose, as mail programs do, are not always given only once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import InboundMessage
from hub.conversations.models import Message

_CHUNK = 500
_LENGTH = 16


def told_apart(session: Session, channel_id: int, messages: Sequence[InboundMessage]) -> list[InboundMessage]:
    """The same messages; one whose id another message has already gets `#` and its fingerprint behind it.

    Whichever came first keeps the id, now and whenever both are read again: its fingerprint is kept in its
    `meta`. Messages without a fingerprint are left as they are.
    """
    firsts = _fingerprints(session, channel_id, [each.external_id for each in messages if each.fingerprint])
    found = []
    for message in messages:
        own = message.fingerprint
        if own is not None:
            message = replace(message, meta={**message.meta, "fingerprint": own})
            first = firsts.setdefault(message.external_id, own)
            if first not in (None, own):
                message = replace(message, external_id=f"{message.external_id}#{own[:_LENGTH]}")
        found.append(message)
    return found


def _fingerprints(session: Session, channel_id: int, ids: Sequence[str]) -> dict[str, str | None]:
    """Of the messages that have these ids; None where one was stored without."""
    found: dict[str, str | None] = {}
    remaining = iter(dict.fromkeys(ids))
    while chunk := list(islice(remaining, _CHUNK)):
        query = select(Message.external_id, Message.meta).where(
            Message.channel_id == channel_id, Message.external_id.in_(chunk)
        )
        found |= {name: (meta or {}).get("fingerprint") for name, meta in session.execute(query)}
    return found
