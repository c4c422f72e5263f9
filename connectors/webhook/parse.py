"""A pushed body to messages, and a reply to the body we push. Nothing here asks a clock or the network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from connectors.base import Author, BadPayload, Identity, InboundMessage, OutboundMessage, Rejected
from connectors.fields import (
    MAX_FOLLOWERS,
    MAX_ID_LENGTH,
    BadRecord,
    body,
    clean,
    content_id,
    identity,
    known_id,
    moment,
)

_MAX_MESSAGES = 1_000


def _number_is_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_Text = Annotated[str, BeforeValidator(_number_is_text)]
_Short = Annotated[_Text, Field(max_length=MAX_ID_LENGTH)]


class PushedAuthor(BaseModel):
    """Who wrote it, by at least one of `id`, `email`, `phone`, `loyalty_number`; replies go to the first."""

    model_config = ConfigDict(hide_input_in_errors=True)

    id: _Short | None = None
    email: _Short | None = None
    phone: _Short | None = None
    loyalty_number: _Short | None = None
    name: _Short | None = None
    followers: int | None = Field(default=None, ge=0, le=MAX_FOLLOWERS)


class PushedMessage(BaseModel):
    """One message as a brand's system pushes it. Unknown members are left aside, so that senders can grow."""

    model_config = ConfigDict(hide_input_in_errors=True)

    id: _Text | None = None
    text: str
    author: PushedAuthor | None = None
    sent_at: str | int | float | None = None
    thread: _Short | None = None
    subject: str | None = None
    in_reply_to: _Text | None = None
    direction: Literal["incoming", "outgoing"] = "incoming"
    language: _Short | None = None


def messages(
    raw: bytes, *, delivery_id: str, network: str, now: datetime, max_body_bytes: int
) -> tuple[InboundMessage | Rejected, ...]:
    """The items of a body: one message, or `{"messages": [...]}`. A bad message is rejected alone.

    A message without id is known by the delivery that brought it, which has the same id when it is repeated.
    Raises: BadPayload where the body is no JSON object, or holds more than 1,000 messages.
    """
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadPayload("The body is not JSON.") from None
    if not isinstance(found, dict):
        raise BadPayload("The body is not a JSON object.")
    if "messages" in found:
        several = found["messages"]
        if not isinstance(several, list) or len(several) > _MAX_MESSAGES:
            raise BadPayload(f"The member messages is not a list of at most {_MAX_MESSAGES:,} messages.")
        parts = [(f"messages[{place}]", one, json.dumps(one).encode()) for place, one in enumerate(several)]
    else:
        parts = [("body", found, raw)]
    items: list[InboundMessage | Rejected] = []
    for where, one, part in parts:
        own_id = content_id(f"{delivery_id} {where} ".encode("utf-8", "replace") + part)
        try:
            items.append(_message(_validated(one), own_id, network, now, max_body_bytes))
        except BadRecord as bad:
            items.append(Rejected(part, bad.reason, bad.detail, f"delivery {delivery_id}, {where}"))
    return tuple(items)


def _validated(found: Any) -> PushedMessage:
    if not isinstance(found, dict):
        raise BadRecord("not_an_object", "The message is not a JSON object.")
    try:
        return PushedMessage.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        member = ".".join(str(part) for part in first["loc"])
        verb = "missing" if first["type"] == "missing" else "bad"
        reason = f"{verb}_{first['loc'][0]}"
        raise BadRecord(reason, f"{member}: {first['msg']}.") from None


def _message(
    pushed: PushedMessage, own_id: str, network: str, now: datetime, max_body_bytes: int
) -> InboundMessage:
    incoming = pushed.direction == "incoming"
    author = _author(pushed.author, network) if pushed.author else None
    if author is None and incoming:
        raise BadRecord("missing_author", "The message does not say who wrote it.")
    parent = known_id(pushed.in_reply_to) if pushed.in_reply_to else None
    return InboundMessage(
        external_id=known_id(pushed.id) if pushed.id and pushed.id.strip() else own_id,
        text=body(pushed.text, max_body_bytes),
        author=author,
        sent_at=None if pushed.sent_at is None else moment(pushed.sent_at, UTC, now),
        subject=_optional(pushed.subject, "subject"),
        thread_key=_optional(pushed.thread, "thread"),
        in_reply_to=(parent,) if parent else (),
        incoming=incoming,
        meta={"language": clean(pushed.language, "language")} if pushed.language else {},
    )


def _optional(value: str | None, name: str) -> str | None:
    return clean(value.strip(), name) or None if value else None


def _author(pushed: PushedAuthor, network: str) -> Author:
    given = {
        kind: clean(value.strip(), kind)
        for kind, value in (
            ("handle", pushed.id),
            ("email", pushed.email),
            ("phone", pushed.phone),
            ("loyalty", pushed.loyalty_number),
        )
        if value and value.strip()
    }
    identities: list[Identity] = []
    for kind, value in given.items():
        if kind == "loyalty":
            identities.append(Identity("loyalty", value))
            continue
        found = identity(value, network)
        if kind in ("email", "phone") and found.kind != kind:
            raise BadRecord("bad_author", f"author.{kind} is no {kind} address.")
        identities.append(found)
    if not identities:
        raise BadRecord("missing_author", "The author has no id, email, phone or loyalty_number.")
    return Author(tuple(dict.fromkeys(identities)), _optional(pushed.name, "name"), pushed.followers)


def reply(message: OutboundMessage) -> str:
    """The body of a pushed reply; the same on every try."""
    recipient: Mapping[str, str] | None = None
    if message.recipient is not None:
        recipient = {
            "kind": message.recipient.kind,
            "value": message.recipient.value,
            "place": message.recipient.place,
        }
    return json.dumps(
        {
            "type": "message.reply",
            "timestamp": message.created_at.isoformat() if message.created_at else None,
            "data": {
                "id": message.idempotency_key,
                "text": message.text,
                "author_name": message.author_name,
                "recipient": recipient,
                "thread": message.thread_key,
                "in_reply_to": message.in_reply_to,
                "subject": message.subject,
            },
        }
    )
