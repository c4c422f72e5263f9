"""Whether what was overheard becomes a conversation that somebody should answer."""

from __future__ import annotations

from connectors.base import InboundMessage


def becomes_conversation(item: InboundMessage, *, customer_is_known: bool, conversation_exists: bool) -> bool:
    """Whether a message starts clocks and is shown to those who answer; if not, it is read and counted only.

    `customer_is_known`: the CRM has them, or they have spoken with us before. `conversation_exists`: it goes
    on in a conversation that is one already.
    """
    return item.addressed or customer_is_known or conversation_exists
