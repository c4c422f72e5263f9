"""A ticket with its comments to messages. Nothing here asks a clock or the network.

The shapes are those of developer.zendesk.com: "Tickets", "Ticket Comments", "Ticket Attachments", "Users".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

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
    Rejected,
)
from connectors.fields import BadRecord, body, clean, identity, moment

MARK = "cem_hub"
"""The name under which a reply's key stands in the `custom` metadata of its audit."""

_EVENT = "zen:event-type:"
_REDACTED = "▇"  # what Zendesk puts in place of every redacted character
_MAX_DIGITS = 18
_SYSTEM = -1  # the author of what Zendesk itself says
_STATUSES = {"hold": "on_hold"}


class _Lenient(BaseModel):
    """Members that are not named here are left aside, so that Zendesk can grow."""

    model_config = ConfigDict(hide_input_in_errors=True)


class _Ticket(_Lenient):
    id: int
    subject: str | None = None
    status: str | None = None
    priority: str | None = None
    type: str | None = None
    tags: list[str] = []
    requester_id: int | None = None
    updated_at: str | None = None


class _File(_Lenient):
    file_name: str
    content_type: str = "application/octet-stream"
    size: int = 0
    content_url: str | None = None
    deleted: bool = False


class _Comment(_Lenient):
    id: int
    author_id: int
    body: str
    html_body: str | None = None
    public: bool = True
    created_at: str | None = None
    attachments: list[_File] = []
    via: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


class _User(_Lenient):
    id: int
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    role: str | None = None


_Shape = TypeVar("_Shape", bound=_Lenient)


@dataclass(frozen=True, slots=True)
class TicketHead:
    """Enough of a ticket to ask for its comments."""

    id: int
    deleted: bool
    changed: str


def opening_id(ticket_id: int) -> str:
    """The external id of a ticket's first comment: known without it, when the ticket is gone."""
    return f"ticket-{ticket_id}"


def head(ticket: Any) -> TicketHead:
    """What the export says of a ticket. Raises: BadRecord."""
    found = _validated(_Ticket, ticket, "ticket")
    return TicketHead(found.id, found.status == "deleted", f"{found.id}@{found.updated_at}")


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a pushed request is about; `ticket_id` is None where it is no ticket."""

    ticket_id: int | None
    deleted: bool


def pushed(body: bytes) -> Pushed:
    """Which ticket a webhook speaks of: an event of Zendesk's ("Ticket events"), or the body that somebody
    wrote for a trigger, with `ticket_id`. Raises: BadPayload."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise BadPayload("The body is not JSON.") from None
    if not isinstance(found, dict):
        raise BadPayload("The body is not a JSON object.")
    kind = found.get("type")
    if isinstance(kind, str) and kind.startswith(_EVENT):
        about = kind.removeprefix(_EVENT)
        if not about.startswith(("ticket.", "messaging_ticket.")):
            return Pushed(None, deleted=False)
        detail = found.get("detail")
        value = detail.get("id") if isinstance(detail, dict) else None
        return Pushed(_number(value), about in ("ticket.soft_deleted", "ticket.permanently_deleted"))
    return Pushed(_number(found.get("ticket_id")), deleted=False)


def annotation(ticket: Any, now: datetime) -> Annotation:
    """The status and the tags of a ticket. Raises: BadRecord."""
    found = _validated(_Ticket, ticket, "ticket")
    return Annotation(
        str(found.id),
        status=_STATUSES.get(found.status or "", found.status),
        tags=tuple(clean(tag, "tag") for tag in found.tags),
        changed_at=None if found.updated_at is None else moment(found.updated_at, UTC, now),
    )


def gone(ticket_id: int) -> Deleted:
    """A deleted ticket, whose comments nobody can ask for any more."""
    return Deleted(opening_id(ticket_id), thread_key=str(ticket_id))


def rejected(raw: Any, bad: BadRecord, where: str) -> Rejected:
    """A record that could not be read."""
    return Rejected(
        json.dumps(raw, ensure_ascii=False).encode(errors="replace"), bad.reason, bad.detail, where
    )


def messages(
    ticket: Any,
    comments: Sequence[Any],
    users: Sequence[Any],
    *,
    url: str,
    now: datetime,
    max_body_bytes: int,
) -> tuple[Item, ...]:
    """The words in a ticket, oldest first. A bad comment is rejected alone.

    Comments of end users are incoming, public or not; public ones of agents are the brand's own. Agents'
    private notes are left out: they are neither. A comment that was redacted comes as a message, for who
    does not know it, and as an edit of it. Attachments have no content yet. Raises: BadRecord (the ticket).
    """
    about = _validated(_Ticket, ticket, "ticket")
    known = _known(users)
    items: list[Item] = []
    for place, raw in enumerate(comments):
        try:
            comment = _validated(_Comment, raw, "comment")
            author = known.get(comment.author_id)
            incoming = comment.author_id != _SYSTEM and (
                author is None or author.role not in ("agent", "admin") or author.id == about.requester_id
            )
            if not comment.public and not incoming:
                continue
            external_id = opening_id(about.id) if place == 0 else str(comment.id)
            message = _message(about, comment, author, external_id, incoming, url, now, max_body_bytes)
            items.append(message)
            if _REDACTED in comment.body:
                items.append(Edited(message.external_id, message.text, message.html))
        except BadRecord as bad:
            comment_id = raw.get("id") if isinstance(raw, dict) else None
            where = f"ticket {about.id}, comment {comment_id or place + 1}"
            items.append(rejected(raw, bad, where))
    return tuple(items)


def key(audit: Any) -> str | None:
    """The key of the reply that an audit brought, if it brought one of ours."""
    metadata = audit.get("metadata") if isinstance(audit, dict) else None
    custom = metadata.get("custom") if isinstance(metadata, dict) else None
    value = custom.get(MARK) if isinstance(custom, dict) else None
    return value if isinstance(value, str) else None


def comment_id(audit: Any) -> str | None:
    """The id of the comment that an audit brought: its event of type `Comment` has the same."""
    events = audit.get("events") if isinstance(audit, dict) else None
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict) and event.get("type") == "Comment" and isinstance(event.get("id"), int):
            return str(event["id"])
    return None


def created_at(audit: Any) -> datetime | None:
    """When an audit was made; None where it does not say."""
    value = audit.get("created_at") if isinstance(audit, dict) else None
    try:
        return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def _message(
    about: _Ticket,
    comment: _Comment,
    user: _User | None,
    external_id: str,
    incoming: bool,
    url: str,
    now: datetime,
    max_body_bytes: int,
) -> InboundMessage:
    attachments = tuple(_attachment(each) for each in comment.attachments if not each.deleted)
    bare = attachments and not comment.body.strip()
    channel = comment.via.get("channel")
    meta: dict[str, Any] = {
        "ticket_id": about.id,
        "status": _STATUSES.get(about.status or "", about.status),
        "priority": about.priority,
        "tags": [clean(tag, "tag") for tag in about.tags],
        "via": clean(channel, "channel") if isinstance(channel, str) else None,
        "public": comment.public,
    }
    if (ours := key({"metadata": comment.metadata})) is not None:
        meta["key"] = clean(ours, "key")
    return InboundMessage(
        external_id=external_id,
        text="" if bare else body(comment.body, max_body_bytes),
        author=_author(comment.author_id, user),
        sent_at=None if comment.created_at is None else moment(comment.created_at, UTC, now),
        subject=clean(about.subject, "subject") if about.subject else None,
        html=clean(comment.html_body, "HTML") if comment.html_body else None,
        thread_key=str(about.id),
        incoming=incoming,
        # What a trigger or an automation wrote ("Via object reference").
        automatic=channel == "rule" or comment.author_id == _SYSTEM,
        url=url,
        attachments=attachments,
        meta=meta,
    )


def _author(author_id: int, user: _User | None) -> Author:
    """The mail address first, by which the brand knows people elsewhere too; then Zendesk's own number."""
    identities: list[Identity] = []
    for value, kind in ((user.email, "email"), (user.phone, "phone")) if user else ():
        if value:
            # Phone numbers are stored as people typed them; those of no country say nothing.
            found = identity(clean(value, kind), "")
            identities += [found] if found.kind == kind else []
    identities.append(Identity("external", str(author_id)))
    name = clean(user.name.strip(), "name") or None if user and user.name else None
    return Author(tuple(identities), name)


def _attachment(found: _File) -> Attachment:
    return Attachment(
        clean(found.file_name, "file name"),
        clean(found.content_type, "content type"),
        max(found.size, 0),
        url=clean(found.content_url, "address") if found.content_url else None,
    )


def _number(value: Any) -> int:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        raise BadPayload("The body names no ticket: detail.id in an event, else ticket_id.")
    return int(text)


def _known(users: Sequence[Any]) -> Mapping[int, _User]:
    """The users that can be read; a comment stands without its author's name rather than not at all."""
    known: dict[int, _User] = {}
    for each in users:
        try:
            user = _User.model_validate(each)
        except ValidationError:
            continue
        known[user.id] = user
    return known


def _validated(shape: type[_Shape], found: Any, what: str) -> _Shape:
    if not isinstance(found, dict):
        raise BadRecord("not_an_object", f"The {what} is not a JSON object.")
    try:
        return shape.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        member = ".".join(str(part) for part in first["loc"])
        verb = "missing" if first["type"] == "missing" and len(first["loc"]) == 1 else "bad"
        raise BadRecord(f"{verb}_{first['loc'][0]}", f"{what}.{member}: {first['msg']}.") from None
