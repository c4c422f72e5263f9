"""Replies as posts and as direct messages, and the look for one that may have gone out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from connectors.base import (
    ConnectorError,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    Sent,
)
from connectors.fields import BadRecord
from connectors.x import media
from connectors.x.client import Client
from connectors.x.objects import Post, validated
from connectors.x.parse import DM_PREFIX, plain_text
from connectors.x.text import comparable, weighted_length

MAX_DIRECT_MESSAGE = 10_000

# Our clock and X's need not agree.
_SKEW = timedelta(minutes=2)
_PAGES = 5
_REMEMBERED = 1_000


class Sender:
    """Sends as one account.

    X has no keys against doubles, but takes no post with the same words twice within a short time: what it
    refuses for that reason is looked for, and found where it is ours.
    """

    def __init__(self, client: Client, account_id: Callable[[], str], max_length: int) -> None:
        self._client = client
        self._account_id = account_id
        self._max_length = max_length
        self._sent: OrderedDict[str, Sent] = OrderedDict()

    def send(self, message: OutboundMessage) -> Sent:
        """Raises: RetryLater, AuthExpired, Refused, OutcomeUnknown."""
        known = self._sent.get(message.idempotency_key)
        if known is not None:
            return known
        conversation = _dm_conversation(message)
        sent = self._post(message) if conversation is None else self._write(message, conversation)
        self._sent[message.idempotency_key] = sent
        if len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)
        return sent

    def find(self, message: OutboundMessage) -> Sent | None:
        """Raises: OutcomeUnknown."""
        conversation = _dm_conversation(message)
        try:
            if conversation is not None:
                return self._find_direct_message(message, conversation)
            return self._find_post(message)
        except OutcomeUnknown:
            raise
        except ConnectorError as error:
            raise OutcomeUnknown(f"X cannot be asked for the reply: {error}") from error

    def _post(self, message: OutboundMessage) -> Sent:
        parent = _parent(message)
        length = weighted_length(message.text)
        if length > self._max_length:
            raise Refused(f"The reply counts {length} characters at X, which takes {self._max_length}.")
        self._not_empty(message)
        media_ids = media.upload(self._client, message.attachments, privately=False)
        try:
            data = self._client.publish(message.text, parent, media_ids)
        except Refused as refused:
            if refused.status != 403 or "duplicate" not in str(refused).lower():
                raise
            found = self.find(message)
            if found is None:
                raise
            return found
        return Sent(_number(data.get("id")), "posted")

    def _write(self, message: OutboundMessage, conversation: str) -> Sent:
        if len(message.text) > MAX_DIRECT_MESSAGE:
            raise Refused(f"X takes direct messages of up to {MAX_DIRECT_MESSAGE:,} characters.")
        self._not_empty(message)
        media_ids = media.upload(self._client, message.attachments, privately=True)
        data = self._client.write_directly(message.text, conversation, media_ids)
        return Sent(DM_PREFIX + _number(data.get("dm_event_id")), "sent as a direct message")

    def _not_empty(self, message: OutboundMessage) -> None:
        if not message.text.strip() and not message.attachments:
            raise Refused("The reply has neither text nor picture.")

    def _find_post(self, message: OutboundMessage) -> Sent | None:
        parent = _parent(message)

        def ours(value: Mapping[str, Any]) -> bool:
            try:
                post, text = validated(Post, value), plain_text(value)
            except BadRecord:
                return False
            replies_to = [each.id for each in post.referenced_tweets if each.type == "replied_to"]
            return parent in replies_to and comparable(text) == comparable(message.text)

        start = {} if message.created_at is None else {"start_time": message.created_at - _SKEW}
        found = _look(lambda **page: self._client.own_posts(self._account_id(), **start, **page), ours)
        return None if found is None else Sent(found, "found among the account's posts")

    def _find_direct_message(self, message: OutboundMessage, conversation: str) -> Sent | None:
        # X writes times in UTC and in ISO 8601, as isoformat does: they compare as text.
        begin = "" if message.created_at is None else (message.created_at - _SKEW).isoformat()[:19]
        account_id = self._account_id()

        def ours(value: Mapping[str, Any]) -> bool:
            return (
                value.get("sender_id") == account_id
                and str(value.get("created_at", "")) >= begin
                and comparable(str(value.get("text", ""))) == comparable(message.text)
            )

        found = _look(
            lambda **page: self._client.direct_messages(
                dm_conversation_id=conversation, max_results=100, **page
            ),
            ours,
            older=lambda value: str(value.get("created_at", begin)) < begin,
        )
        return None if found is None else Sent(DM_PREFIX + found, "found in the conversation")


def _look(
    ask: Callable[..., Mapping[str, Any]],
    ours: Callable[[Mapping[str, Any]], bool],
    older: Callable[[Mapping[str, Any]], bool] = lambda value: False,
) -> str | None:
    """The first made of those that are `ours`; None: surely none. One that is `older` ends the list.

    Raises: OutcomeUnknown where there are more than one reads.
    """
    matches: list[str] = []
    page: dict[str, Any] = {}
    for _ in range(_PAGES):
        found = ask(**page)
        data = found.get("data")
        values = [value for value in data if isinstance(value, dict)] if isinstance(data, list) else []
        matches += [
            str(value["id"]) for value in values if ours(value) and str(value.get("id", "")).isdecimal()
        ]
        meta = found.get("meta")
        token = meta.get("next_token") if isinstance(meta, Mapping) else None
        if not token or any(older(value) for value in values):
            return min(matches, key=int) if matches else None
        page = {"pagination_token": token}
    if matches:
        return min(matches, key=int)
    raise OutcomeUnknown("The account has written too much since for X's lists to be looked through.")


def _parent(message: OutboundMessage) -> str:
    latest = message.answered.get("post_id")
    for number in (latest, message.in_reply_to):
        if isinstance(number, str) and number.isdecimal():
            return number
    raise Refused("A reply at X answers a post; here is none to answer.")


def _dm_conversation(message: OutboundMessage) -> str | None:
    """The conversation of a reply to a direct message; None where it answers a post."""
    if message.answered.get("kind") == "post":
        return None
    given = message.answered.get("dm_conversation_id")
    if isinstance(given, str) and given:
        return given
    thread = message.thread_key or ""
    return thread.removeprefix(DM_PREFIX) if thread.startswith(DM_PREFIX) else None


def _number(value: object) -> str:
    if isinstance(value, str) and value.isdecimal():
        return value
    raise OutcomeUnknown("X took the reply, but does not say under which id.")
