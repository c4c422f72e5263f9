"""A pushed body to messages, and a reply to the body we push. Nothing here asks a clock or the network."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from connectors.base import (
    Annotation,
    Attachment,
    Author,
    BadPayload,
    Deleted,
    Edited,
    Identity,
    InboundMessage,
    Item,
    OutboundMessage,
    Refused,
    Rejected,
)
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
_MAX_ATTACHMENTS = 100
_MAX_TAGS = 1_000


def _number_is_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_Text = Annotated[str, BeforeValidator(_number_is_text)]
_Shape = TypeVar("_Shape", bound=BaseModel)
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


class PushedAttachment(BaseModel):
    """What came with a message: `content` in base64, or the address where it can be had, or neither."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: _Short
    content_type: _Short = "application/octet-stream"
    size: int | None = Field(default=None, ge=0)
    content: str | None = None
    url: str | None = None
    description: str | None = None


class PushedMessage(BaseModel):
    """One message as a brand's system pushes it. Unknown members are left aside, so that senders can grow.

    `automatic`: no person wrote it. `nature` says what such a message of a mailbox is.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    id: _Text | None = None
    text: str = ""
    author: PushedAuthor | None = None
    sent_at: str | int | float | None = None
    thread: _Short | None = None
    subject: str | None = None
    in_reply_to: _Text | None = None
    direction: Literal["incoming", "outgoing"] = "incoming"
    language: _Short | None = None
    automatic: bool = False
    nature: Literal["bounce", "auto_reply", "list"] | None = None
    attachments: list[PushedAttachment] = Field(default=[], max_length=_MAX_ATTACHMENTS)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if "text" not in self.model_fields_set and not self.attachments:
            raise PydanticCustomError("missing", "Field required", {"member": "text"})
        return self


class PushedEdit(BaseModel):
    """A message that says something else now; files are left as they were."""

    model_config = ConfigDict(hide_input_in_errors=True)

    id: _Text
    text: str
    edited_at: str | int | float | None = None


class PushedDeletion(BaseModel):
    """A message that is gone, or with `thread` alone a whole thread."""

    model_config = ConfigDict(hide_input_in_errors=True)

    id: _Text | None = None
    thread: _Short | None = None
    deleted_at: str | int | float | None = None


class PushedChange(BaseModel):
    """What a thread is now as a whole; `tags` are all of them."""

    model_config = ConfigDict(hide_input_in_errors=True)

    thread: _Short
    status: Literal["new", "open", "pending", "on_hold", "solved", "closed"] | None = None
    tags: list[_Short] | None = Field(default=None, max_length=_MAX_TAGS)
    changed_at: str | int | float | None = None


def items_of(
    raw: bytes,
    *,
    delivery_id: str,
    network: str,
    now: datetime,
    max_body_bytes: int,
    max_attachment_bytes: int,
) -> tuple[Item, ...]:
    """The items of a body: one message, or `{"messages": [...]}`. A bad one is rejected alone.

    What has an `event` speaks of an earlier message, or of a thread as a whole. A message without id is known
    by the delivery that brought it, which has the same id when it is repeated. Raises: BadPayload where the
    body is no JSON object, or holds more than 1,000 messages.
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
    limits = _Limits(network, now, max_body_bytes, max_attachment_bytes)
    items: list[Item] = []
    for where, one, part in parts:
        own_id = content_id(f"{delivery_id} {where} ".encode("utf-8", "replace") + part)
        try:
            items.append(_item(one, own_id, limits))
        except BadRecord as bad:
            items.append(Rejected(part, bad.reason, bad.detail, f"delivery {delivery_id}, {where}"))
    return tuple(items)


@dataclass(frozen=True, slots=True)
class _Limits:
    network: str
    now: datetime
    max_body_bytes: int
    max_attachment_bytes: int


def _item(found: Any, own_id: str, limits: _Limits) -> Item:
    if not isinstance(found, dict):
        raise BadRecord("not_an_object", "The message is not a JSON object.")
    match found.get("event", "message"):
        case "message":
            return _message(_validated(PushedMessage, found), own_id, limits)
        case "edited":
            return _edited(_validated(PushedEdit, found), limits)
        case "deleted":
            return _deleted(_validated(PushedDeletion, found), limits)
        case "changed":
            return _changed(_validated(PushedChange, found), limits)
    raise BadRecord("bad_event", "event: message, edited, deleted or changed.")


def _validated(shape: type[_Shape], found: dict[str, Any]) -> _Shape:
    try:
        return shape.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = first["loc"] or (first.get("ctx", {}).get("member", "message"),)
        verb = "missing" if first["type"] == "missing" and len(path) == 1 else "bad"
        member = ".".join(str(part) for part in path)
        raise BadRecord(f"{verb}_{path[0]}", f"{member}: {first['msg']}.") from None


def _message(pushed: PushedMessage, own_id: str, limits: _Limits) -> InboundMessage:
    incoming = pushed.direction == "incoming"
    author = _author(pushed.author, limits.network) if pushed.author else None
    if author is None and incoming:
        raise BadRecord("missing_author", "The message does not say who wrote it.")
    parent = known_id(pushed.in_reply_to) if pushed.in_reply_to else None
    bare = pushed.attachments and not pushed.text.strip()
    return InboundMessage(
        external_id=known_id(pushed.id) if pushed.id and pushed.id.strip() else own_id,
        text="" if bare else body(pushed.text, limits.max_body_bytes),
        author=author,
        sent_at=_moment(pushed.sent_at, limits),
        subject=_optional(pushed.subject, "subject"),
        thread_key=_optional(pushed.thread, "thread"),
        in_reply_to=(parent,) if parent else (),
        incoming=incoming,
        automatic=pushed.automatic or pushed.nature is not None,
        nature=pushed.nature,
        attachments=tuple(_attachment(each, limits) for each in pushed.attachments),
        meta={"language": clean(pushed.language, "language")} if pushed.language else {},
    )


def _edited(pushed: PushedEdit, limits: _Limits) -> Edited:
    return Edited(
        _named(pushed.id),
        body(pushed.text, limits.max_body_bytes),
        edited_at=_moment(pushed.edited_at, limits),
    )


def _deleted(pushed: PushedDeletion, limits: _Limits) -> Deleted:
    at = _moment(pushed.deleted_at, limits)
    if pushed.id is not None and pushed.id.strip():
        return Deleted(_named(pushed.id), at)
    thread = _optional(pushed.thread, "thread")
    if thread is None:
        raise BadRecord("missing_id", "A deletion names a message by its id, or a thread.")
    return Deleted(thread, at, thread_key=thread)


def _changed(pushed: PushedChange, limits: _Limits) -> Annotation:
    thread = _optional(pushed.thread, "thread")
    if thread is None:
        raise BadRecord("bad_thread", "The thread has no name.")
    tags = None if pushed.tags is None else tuple(clean(tag, "tag") for tag in pushed.tags)
    return Annotation(thread, pushed.status, tags, _moment(pushed.changed_at, limits))


def _attachment(pushed: PushedAttachment, limits: _Limits) -> Attachment:
    content = None
    size = pushed.size or 0
    if pushed.content is not None:
        try:
            content = b64decode(pushed.content, validate=True)
        except ValueError:
            raise BadRecord("bad_attachments", "The content of an attachment is no base64.") from None
        size = len(content)
    return Attachment(
        clean(pushed.name, "file name"),
        clean(pushed.content_type, "content type"),
        size,
        # What is too large is told of, and left behind.
        content=content if size <= limits.max_attachment_bytes else None,
        url=_optional(pushed.url, "address"),
        description=_optional(pushed.description, "description"),
    )


def _moment(value: str | int | float | None, limits: _Limits) -> datetime | None:
    return None if value is None else moment(value, UTC, limits.now)


def _named(value: str) -> str:
    if not value.strip():
        raise BadRecord("missing_id", "It does not say which message it speaks of.")
    return known_id(value)


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
    """The body of a pushed reply; the same on every try. Raises: Refused, where a file's content is gone."""
    recipient: Mapping[str, str] | None = None
    if message.recipient is not None:
        recipient = {
            "kind": message.recipient.kind,
            "value": message.recipient.value,
            "place": message.recipient.place,
        }
    data: dict[str, Any] = {
        "id": message.idempotency_key,
        "text": message.text,
        "author_name": message.author_name,
        "recipient": recipient,
        "thread": message.thread_key,
        "in_reply_to": message.in_reply_to,
        "subject": message.subject,
        "automatic": message.automatic,
    }
    if message.attachments:
        data["attachments"] = [_outgoing(each) for each in message.attachments]
    at = message.created_at.isoformat() if message.created_at else None
    return json.dumps({"type": "message.reply", "timestamp": at, "data": data})


def change(
    thread: str, status: str | None, add_tags: Sequence[str], remove_tags: Sequence[str], now: datetime
) -> str:
    """The body by which another status, and tags put on and taken away, are pushed."""
    data = {
        "thread": thread,
        "status": status,
        "add_tags": list(add_tags),
        "remove_tags": list(remove_tags),
    }
    return json.dumps({"type": "thread.changed", "timestamp": now.isoformat(), "data": data})


def _outgoing(attachment: Attachment) -> dict[str, Any]:
    if attachment.content is None:
        raise Refused(f"The content of {attachment.name!r} is not here.")
    return {
        "name": attachment.name,
        "content_type": attachment.content_type,
        "size": len(attachment.content),
        "content": b64encode(attachment.content).decode(),
    }
