"""Asking the model which words moved it."""

from __future__ import annotations

from hub.conversations.queries import find_analysed
from hub.errors import Invalid
from hub.inbox.analyse import words_of
from hub.runtime import Hub
from sentiment.explain import CannotExplain
from sentiment.types import Explanation


def explain_message(hub: Hub, message_id: int, about: str = "sentiment") -> tuple[str, Explanation]:
    """The customer's own words in a message, and which of them moved a label of the model at work now.

    `about` is a head, or one with its label: `intents:complaint`. It takes from a tenth of a second to two,
    and longer where the model is not loaded yet, with no transaction open. Raises: NotFound, also where the
    message was not read yet; Invalid, where the model does not read such words or has no such label; what
    loading the model raises.
    """
    with hub.database.reading() as session:
        text = words_of(find_analysed(session, message_id))
    head, _, label = about.partition(":")
    try:
        return text, hub.scorer.explain(text, head, label or None)
    except CannotExplain as error:
        raise Invalid(f"nothing to explain: {error}", field="explain") from error
