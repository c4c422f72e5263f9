"""What a vendor answered, to messages, by what the description says. No clock and no network here."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.base import (
    Attachment,
    Author,
    Deleted,
    Edited,
    Identity,
    InboundMessage,
    Item,
    Rejected,
)
from connectors.fields import MAX_FOLLOWERS, MAX_ID_LENGTH, BadRecord, body, clean, identity, known_id, moment
from connectors.mime_parts import readable
from connectors.rest.description import (
    AttachmentFields,
    AuthorFields,
    Comments,
    Description,
    MessageFields,
    Since,
)
from connectors.rest.expressions import Compiled

TICKET = "_ticket"
"""The member of a comment by which expressions reach the ticket it belongs to."""

_OWN = "ticket:"
_MAX_ATTACHMENTS = 100


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads by one description.

    `max_body_bytes` is the longest text taken, `max_attachment_bytes` the largest file; of a larger one only
    what is said of it is.
    """

    description: Description
    max_body_bytes: int
    max_attachment_bytes: int

    def ticket_id(self, ticket: Any) -> str:
        """Raises: BadRecord not_an_object, missing_id, bad_id, bad_expression."""
        if not isinstance(ticket, dict):
            raise BadRecord("not_an_object", "The ticket is not a JSON object.")
        if self.description.tickets is None:
            raise BadRecord("missing_id", "The description does not say what a ticket is.")
        return _needed(self.description.tickets.id, ticket, "id")

    def changed_at(self, since: Since, ticket: Any, now: datetime) -> datetime:
        """When a ticket was changed.

        Raises: BadRecord missing_date, bad_date, future_date, bad_expression.
        """
        found = since.field(ticket)
        if found is None:
            raise BadRecord("missing_date", f"{since.field.text!r} finds no time of change in the ticket.")
        return moment(found, ZoneInfo(self.description.time_zone), now)

    def ticket(
        self, ticket: Any, comments: Sequence[Any] | None, where: str, now: datetime
    ) -> Iterator[Item]:
        """The messages of one ticket: its own, and its comments where they stand in it or are given."""
        tickets = self.description.tickets
        try:
            own_id = self.ticket_id(ticket)
        except BadRecord as bad:
            yield rejected(ticket, bad, where)
            return
        if tickets is None:
            return
        place = f"{where}, ticket {own_id[:MAX_ID_LENGTH]}"
        if tickets.message is not None:
            prefix = _OWN if tickets.comments is not None else ""
            yield from self._messages(tickets.message, ticket, ticket, own_id, prefix, place, now)
        if tickets.comments is not None:
            try:
                inside = _inside(tickets.comments, ticket) if comments is None else comments
            except BadRecord as bad:
                yield rejected(ticket, bad, place)
                return
            for number, comment in enumerate(inside, 1):
                document = {**comment, TICKET: ticket} if isinstance(comment, dict) else comment
                here = f"{place}, comment {number}"
                yield from self._messages(tickets.comments.message, document, comment, own_id, "", here, now)

    def messages(
        self, fields: MessageFields, documents: Sequence[Any], where: str, now: datetime
    ) -> Iterator[Item]:
        """Messages that stand alone, as they are pushed."""
        for number, each in enumerate(documents, 1):
            yield from self._messages(fields, each, each, None, "", f"{where}, message {number}", now)

    def _messages(
        self,
        fields: MessageFields,
        document: Any,
        raw: Any,
        thread: str | None,
        prefix: str,
        where: str,
        now: datetime,
    ) -> Iterator[Item]:
        try:
            if not isinstance(document, dict):
                raise BadRecord("not_an_object", "The message is not a JSON object.")
            found = tuple(self._read(fields, document, thread, prefix, now))
        except BadRecord as bad:
            yield rejected(raw, bad, where)
            return
        yield from found

    def _read(
        self, fields: MessageFields, document: Any, thread: str | None, prefix: str, now: datetime
    ) -> Iterator[Item]:
        if fields.where is not None and not fields.where.holds(document):
            return
        zone = ZoneInfo(self.description.time_zone)
        external_id = known_id(prefix + _needed(fields.id, document, "id"))
        if fields.deleted is not None and fields.deleted.holds(document):
            yield Deleted(external_id)
            return
        attachments = tuple(self._attachments(fields.attachments, document)) if fields.attachments else ()
        html = _optional(fields.html, document, "html")
        text = _optional(fields.text, document, "text")
        if text is None or not text.strip():
            text = readable(html) if html else ""
        text = body(text, self.max_body_bytes) if text.strip() or not attachments else ""
        # The text says the same, and a page need not be slowed by what is longer than any mail.
        html = clean(html, "html") if html and len(html) <= self.max_body_bytes else None
        incoming = fields.incoming is None or fields.incoming.holds(document)
        author = _author(fields.author, document, self.description.network)
        if author is None and incoming:
            raise BadRecord("missing_author", "The message does not say who wrote it.")
        sent_at = _moment(fields.sent_at, document, zone, now)
        yield InboundMessage(
            external_id=external_id,
            text=text,
            author=author,
            sent_at=sent_at,
            subject=_short(fields.subject, document, "subject"),
            html=html,
            thread_key=known_id(_optional(fields.thread, document, "thread") or thread or "") or None,
            incoming=incoming,
            automatic=fields.automatic is not None and fields.automatic.holds(document),
            url=_short(fields.url, document, "url"),
            attachments=attachments,
            meta={name: _plain(expression(document), name) for name, expression in fields.meta.items()},
        )
        edited_at = _moment(fields.edited_at, document, zone, now)
        if edited_at is not None and sent_at is not None and edited_at > sent_at:
            yield Edited(external_id, text, html, edited_at)

    def _attachments(self, fields: AttachmentFields, document: Any) -> Iterator[Attachment]:
        found = fields.items(document)
        for each in (found if isinstance(found, list) else [])[:_MAX_ATTACHMENTS]:
            said = None if fields.size is None else fields.size(each)
            content = _content(fields.content, each)
            size_bytes = len(content) if content is not None else 0
            if content is None and isinstance(said, int) and not isinstance(said, bool):
                size_bytes = max(said, 0)
            yield Attachment(
                name=_short(fields.name, each, "attachment") or "attachment",
                content_type=_short(fields.content_type, each, "attachment") or "application/octet-stream",
                size_bytes=size_bytes,
                content=content if size_bytes <= self.max_attachment_bytes else None,
                url=_short(fields.url, each, "attachment"),
                description=_short(fields.description, each, "attachment"),
            )


def rejected(document: Any, bad: BadRecord, where: str) -> Rejected:
    """A record that could not be read, as it came."""
    return Rejected(json.dumps(document).encode(), bad.reason, bad.detail, where)


def _inside(comments: Comments, ticket: Any) -> Sequence[Any]:
    found = comments.items(ticket)
    if found is None:
        return ()
    return found if isinstance(found, list) else [found]


def _string(value: Any, name: str) -> str | None:
    """Raises: BadRecord bad_<name> where it is neither text nor a number."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadRecord(f"bad_{name}", f"The {name} is neither text nor a number.")
    return clean(str(value), name)


def _optional(expression: Compiled | None, document: Any, name: str) -> str | None:
    return None if expression is None else _string(expression(document), name)


def _short(expression: Compiled | None, document: Any, name: str) -> str | None:
    return (_optional(expression, document, name) or "").strip()[:2000] or None


def _needed(expression: Compiled, document: Any, name: str) -> str:
    found = (_string(expression(document), name) or "").strip()
    if not found:
        raise BadRecord(f"missing_{name}", f"{expression.text!r} finds no {name}.")
    return found


def _moment(expression: Compiled | None, document: Any, zone: ZoneInfo, now: datetime) -> datetime | None:
    found = None if expression is None else expression(document)
    return None if found is None or found == "" else moment(found, zone, now)


def _plain(value: Any, name: str) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool | int | float):
        return value
    return _string(value, name)


def _content(expression: Compiled | None, document: Any) -> bytes | None:
    """What is in base64. Raises: BadRecord bad_attachments where it is not."""
    found = None if expression is None else expression(document)
    if found is None:
        return None
    try:
        return b64decode(found, validate=True)
    except (ValueError, TypeError):
        raise BadRecord("bad_attachments", "The content of an attachment is no base64.") from None


def _author(fields: AuthorFields, document: Any, network: str) -> Author | None:
    identities: list[Identity] = []
    for kind, expression in (
        ("email", fields.email),
        ("phone", fields.phone),
        ("handle", fields.handle),
        ("external", fields.id),
        ("loyalty", fields.loyalty_number),
    ):
        value = (_optional(expression, document, "author") or "").strip()[:MAX_ID_LENGTH]
        if not value:
            continue
        if kind == "external":
            identities.append(Identity("external", value, network))
        elif kind == "loyalty":
            identities.append(Identity("loyalty", value))
        else:
            found = identity(value, network)
            if kind != found.kind and kind != "handle":
                raise BadRecord("bad_author", f"The author's {kind} cannot be one.")
            identities.append(found)
    if not identities:
        return None
    followers = None if fields.followers is None else fields.followers(document)
    counted = isinstance(followers, int) and not isinstance(followers, bool) and followers >= 0
    return Author(
        tuple(dict.fromkeys(identities)),
        (_optional(fields.name, document, "author") or "").strip()[:MAX_ID_LENGTH] or None,
        min(int(followers or 0), MAX_FOLLOWERS) if counted else None,
    )
