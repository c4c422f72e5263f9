"""Comments of Zendesk tickets in, public comments, statuses and tags out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, model_validator

from connectors.base import (
    Annotation,
    Attachment,
    AuthExpired,
    BadPayload,
    BadSignature,
    Batch,
    Budget,
    ChannelKind,
    Config,
    Connector,
    ConnectorError,
    Cursor,
    Delivery,
    InboundMessage,
    Item,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    RetryLater,
    Sent,
)
from connectors.fields import MAX_BODY_BYTES, BadRecord
from connectors.zendesk import parse, signature
from connectors.zendesk.client import Page, ZendeskClient

_BATCH_TICKETS = 20
_BACKFILL_SHARE = 0.3
_MAX_UPLOAD_BYTES = 50_000_000  # "Ticket Attachments"
_LOOK_BACK = timedelta(hours=1)  # how far the clocks of the hub and of Zendesk may be apart
_LAG = timedelta(minutes=10)  # how long a comment may take to reach the export
_STATUSES = {
    "open": "open",
    "pending": "pending",
    "on_hold": "hold",
    "snoozed": "hold",
    "solved": "solved",
    "closed": "closed",
}


class ZendeskConfig(Config):
    """Settings of a `zendesk` channel; the README explains each."""

    subdomain: str = Field(
        default="",
        pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$",
        description="what stands before .zendesk.com",
    )
    email: str = Field(default="", description="the address of the admin whose API token it is")
    api_token: SecretStr | None = Field(default=None, description="an API token, used with email")
    oauth_token: SecretStr | None = Field(
        default=None, description="an OAuth access token with the scopes read and write, instead of both"
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="the signing secret of a webhook that calls the channel's address"
    )
    first_hours: PositiveInt = Field(default=24, description="how far back the first fetch looks")
    page_size: int = Field(default=100, ge=1, le=1000, description="tickets asked for at once")
    max_attachment_bytes: int = Field(
        default=10_000_000, ge=0, description="a larger file is left at Zendesk, with its address"
    )
    max_body_bytes: PositiveInt = Field(default=MAX_BODY_BYTES, description="a longer comment is rejected")
    timeout_seconds: PositiveFloat = Field(default=30.0, description="for connecting, and for each wait")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.api_token and self.oauth_token:
            raise ValueError("give api_token or oauth_token, not both")
        if self.api_token and not self.email:
            raise ValueError("api_token needs the email of the admin whose it is")
        return self


class ZendeskConnector(Connector):
    """Reads the tickets of one account by its incremental export, and answers in them."""

    name: ClassVar[str] = "zendesk"
    kind: ClassVar[ChannelKind] = "ticket"
    config_type: ClassVar[type[Config]] = ZendeskConfig
    max_length: ClassVar[int | None] = 65_535
    scorecard: ClassVar[Mapping[str, str]] = {
        "fetch": "done",
        "push": "done",
        "backfill": "done",
        "threads": "done",
        "profile": "done",
        "edits": "done",
        "deletions": "done",
        "attachments": "done",
        "send": "done",
        "media": "done",
        "length": "done",
        "idempotent": "done",
        "budget": "done",
        "auth": "done",
        "tickets": "done",
    }
    steps: ClassVar[tuple[str, ...]] = (
        "Sign in at `https://SUBDOMAIN.zendesk.com/admin` as an admin: only admins may use the incremental "
        "export.",
        "Open *Apps and integrations > APIs > Zendesk API* and allow *Token access*.",
        "Choose *Add API token*, name it after the hub, and copy it: it is shown once.",
        "Enter the subdomain, the admin's mail address and the token here.",
        "For messages within seconds: *Apps and integrations > Webhooks > Create webhook > Zendesk events*, "
        "the events of tickets, and the channel's own address as *Endpoint URL* (`POST`, `JSON`).",
        "*Reveal secret* of that webhook shows the `webhook_secret`.",
    )

    def __init__(
        self, config: ZendeskConfig, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._config = config
        self._clock = clock
        self._opened: ZendeskClient | None = None
        self._read_at: dict[int, datetime] = {}

    def check(self) -> str:
        """Ask Zendesk whose credentials these are. Raises: RetryLater, AuthExpired, BadPayload."""
        try:
            me = self._client.me()
        except Refused as refused:
            raise _of_the_settings(refused) from refused
        if not isinstance(me.get("id"), int):
            raise AuthExpired("Zendesk does not know these credentials.")
        if me.get("role") != "admin":
            raise BadPayload(f"{me.get('name')} is no admin there; only admins may export tickets.")
        return f"reads the tickets of {self._config.subdomain}.zendesk.com as {me.get('name')}"

    def fetch(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Comments of the tickets that changed; up to a minute ago, as Zendesk gives nothing younger."""
        if cursor is None:
            since = self._clock() - timedelta(hours=self._config.first_hours)
            cursor = _beginning(since)
        return self._export(cursor, backfilling=False)

    def backfill(self, since: datetime, cursor: Cursor | None) -> Iterator[Batch]:
        """The same from `since`; it stops with RetryLater where it would take the last third of the limit."""
        return self._export(cursor or _beginning(since), backfilling=True)

    @property
    def pushes(self) -> bool:
        """Always: the address is needed before Zendesk gives the secret out."""
        return True

    def verify(self, delivery: Delivery) -> str:
        """The id of a delivery that was signed with `webhook_secret`. Raises: BadSignature."""
        secret = _secret(self._config.webhook_secret)
        if not secret:
            raise BadSignature("This channel has no webhook_secret to check against; set one.")
        return signature.verify(delivery.headers, delivery.body, secret, now=delivery.received_at)

    def receive(self, delivery: Delivery) -> Batch:
        """Ask for the ticket that changed, whole: a push names authors without their addresses.

        Where that cannot be had, or would take what replies need, the export brings it a minute later.
        Raises: BadPayload.
        """
        found = parse.pushed(delivery.body)
        if found.ticket_id is None or not self.replies:
            return Batch(())
        if found.deleted:
            return Batch((parse.gone(found.ticket_id),))
        read_at = self._read_at.get(found.ticket_id)
        if read_at is not None and read_at >= delivery.received_at:
            # Of several changes at once each is pushed.
            return Batch(())
        now, ticket = self._clock(), None
        try:
            self._client.spare(_BACKFILL_SHARE)
            ticket = self._client.ticket(found.ticket_id)
            items = self._items(ticket, parse.head(ticket), delivery.received_at)
        except BadRecord as bad:
            return Batch((parse.rejected(ticket, bad, f"ticket {found.ticket_id}, pushed"),))
        except ConnectorError:
            return Batch(())
        self._read_at[found.ticket_id] = now
        return Batch(tuple(items))

    def budgets(self) -> tuple[Budget, ...]:
        """The account's requests a minute, and the limits of single endpoints as far as Zendesk says them."""
        return self._opened.budgets() if self._opened else ()

    def length(self, text: str) -> int:
        """In bytes of UTF-8, of which a comment holds 64 KB."""
        return len(text.encode(errors="replace"))

    @property
    def replies(self) -> bool:
        """Whether there are credentials."""
        return self._config.subdomain != "" and bool(self._config.api_token or self._config.oauth_token)

    def send(self, message: OutboundMessage) -> Sent:
        """Add a public comment to the ticket, unless one with this key is there already.

        The key stands in the audit's custom metadata. Raises: RetryLater, AuthExpired, Refused (a closed
        ticket, an unknown one, too long), OutcomeUnknown.
        """
        ticket_id = self._ticket_id(message.thread_key)
        if self.length(message.text) > (self.max_length or 0):
            raise Refused(f"A comment has at most {self.max_length:,} bytes.")
        try:
            if (found := self._find(ticket_id, message)) is not None:
                return found
            comment: dict[str, Any] = {"body": message.text, "public": True}
            if message.attachments:
                comment["uploads"] = [self._upload(each) for each in message.attachments]
            change = {"comment": comment, "metadata": {parse.MARK: message.idempotency_key}}
            _, audit = self._client.update(ticket_id, change)
        except BadPayload as error:
            raise RetryLater(f"Nothing was sent: {error}") from error
        external_id = parse.comment_id(audit)
        if external_id is None:
            raise OutcomeUnknown("Zendesk took the update without naming the comment.")
        return Sent(external_id, f"ticket {ticket_id}")

    def find_sent(self, message: OutboundMessage) -> Sent | None:
        """Look for the reply's key in the audits of its ticket. Raises: OutcomeUnknown."""
        try:
            return self._find(self._ticket_id(message.thread_key), message)
        except ConnectorError as error:
            raise OutcomeUnknown(f"The ticket cannot be looked through: {error}") from error

    @property
    def annotates(self) -> bool:
        """Whether there are credentials."""
        return self.replies

    def annotate(
        self,
        thread_key: str,
        *,
        status: str | None = None,
        add_tags: tuple[str, ...] = (),
        remove_tags: tuple[str, ...] = (),
    ) -> Annotation | None:
        """Set a ticket's status and change single tags; those of others stay. A comment comes of neither.

        A snoozed conversation is a ticket on hold. Raises: as `send`.
        """
        ticket_id = self._ticket_id(thread_key)
        if status is not None and status not in _STATUSES:
            raise Refused(f"A ticket cannot become {status!r}.")
        if add_tags:
            self._client.tag(ticket_id, "PUT", add_tags)
        if remove_tags:
            self._client.tag(ticket_id, "DELETE", remove_tags)
        try:
            if status is not None:
                ticket, _ = self._client.update(ticket_id, {"status": _STATUSES[status]})
            else:
                ticket = self._client.ticket(ticket_id)
            return parse.annotation(ticket, self._clock())
        except (BadPayload, BadRecord) as error:
            raise OutcomeUnknown(f"Zendesk did not say what became of the ticket: {error}") from error

    def close(self) -> None:
        """Give connections back."""
        if self._opened is not None:
            self._opened.close()

    @property
    def _client(self) -> ZendeskClient:
        if not self.replies:
            raise BadPayload("Set subdomain and either email and api_token, or oauth_token.")
        if self._opened is None:
            self._opened = ZendeskClient(
                subdomain=self._config.subdomain,
                email=self._config.email,
                api_token=_secret(self._config.api_token),
                oauth_token=_secret(self._config.oauth_token),
                timeout_seconds=self._config.timeout_seconds,
                clock=self._clock,
            )
        return self._opened

    def _export(self, cursor: Cursor, backfilling: bool) -> Iterator[Batch]:
        """Batches of tickets from a cursor: `start` or `after`, the tickets of that page that are `done`, and
        since when files are `fresh`, as nobody has them yet."""
        begun_at = self._clock()
        try:
            while True:
                page = self._page(cursor)
                for batch in self._batches(page, cursor, backfilling):
                    cursor = batch.cursor or cursor
                    yield batch
                fresh = begun_at.isoformat() if page.last else cursor["fresh"]
                following = {**cursor, "after": page.after or cursor.get("after"), "done": [], "fresh": fresh}
                if following != cursor:
                    cursor = following
                    yield Batch((), cursor)
                if page.last:
                    return
        except Refused as refused:
            raise _of_the_settings(refused) from refused

    def _page(self, cursor: Cursor) -> Page:
        after = cursor.get("after")
        try:
            start, _ = (datetime.fromisoformat(cursor[name]) for name in ("start", "fresh"))
        except (KeyError, TypeError, ValueError):
            raise BadPayload("The stored cursor is not one of a zendesk channel.") from None
        # "Data isn't provided for the most recent minute", and a later start is refused.
        start = min(start, self._clock() - timedelta(minutes=1, seconds=5))
        return self._client.tickets(start, after, self._config.page_size)

    def _batches(self, page: Page, cursor: Cursor, backfilling: bool) -> Iterator[Batch]:
        """A page in small steps, so that a limit reached in the middle of it costs little."""
        done: list[str] = list(cursor.get("done", ()))
        fresh = datetime.fromisoformat(cursor["fresh"])
        for first in range(0, len(page.tickets), _BATCH_TICKETS):
            items: list[Item] = []
            for ticket in page.tickets[first : first + _BATCH_TICKETS]:
                try:
                    head = parse.head(ticket)
                except BadRecord as bad:
                    items.append(parse.rejected(ticket, bad, "the incremental export"))
                    continue
                if head.changed not in done:
                    if backfilling:
                        self._client.spare(_BACKFILL_SHARE)
                    items += self._items(ticket, head, fresh)
                    done.append(head.changed)
            if items:
                yield Batch(tuple(items), {**cursor, "done": list(done)})

    def _items(self, ticket: Any, head: parse.TicketHead, fresh: datetime) -> list[Item]:
        if head.deleted:
            return [parse.gone(head.id)]
        try:
            comments, users = self._client.comments(head.id)
        except Refused as refused:
            if refused.status == 404:
                # Deleted since the export was made: the next one says so.
                return [parse.gone(head.id)]
            raise
        url = f"https://{self._config.subdomain}.zendesk.com/agent/tickets/{head.id}"
        items = parse.messages(
            ticket,
            comments,
            users,
            url=url,
            now=self._clock(),
            max_body_bytes=self._config.max_body_bytes,
        )
        return [*(self._with_files(item, fresh) for item in items), self._annotation(ticket)]

    def _annotation(self, ticket: Any) -> Item:
        try:
            return parse.annotation(ticket, self._clock())
        except BadRecord as bad:
            return parse.rejected(ticket, bad, "the incremental export")

    def _with_files(self, item: Item, fresh: datetime) -> Item:
        """What is older than the last run was brought by it: a ticket is read whole whenever it changes."""
        if not isinstance(item, InboundMessage) or not item.attachments:
            return item
        if item.sent_at is not None and item.sent_at < fresh - _LAG:
            return item
        return replace(item, attachments=tuple(self._with_content(each) for each in item.attachments))

    def _with_content(self, found: Attachment) -> Attachment:
        limit = self._config.max_attachment_bytes
        if not found.url or found.size_bytes > limit:
            return found
        return replace(found, content=self._client.download(found.url, limit))

    def _upload(self, attachment: Attachment) -> str:
        if attachment.content is None:
            raise Refused(f"The content of {attachment.name!r} is not here.")
        if len(attachment.content) > _MAX_UPLOAD_BYTES:
            raise Refused(
                f"{attachment.name!r} is larger than the {_MAX_UPLOAD_BYTES:,} bytes Zendesk takes."
            )
        return self._client.upload(attachment.name, attachment.content_type, attachment.content)

    def _find(self, ticket_id: int, message: OutboundMessage) -> Sent | None:
        """Audits are asked for newest first, and those before the reply was written are left unread; but only
        where they are seen to come so: "not there" has to be certain."""
        earliest = message.created_at - _LOOK_BACK if message.created_at else None
        before: datetime | None = None
        for audit in self._client.audits(ticket_id):
            if parse.key(audit) == message.idempotency_key:
                return Sent(parse.comment_id(audit), "found by its key")
            made_at = parse.created_at(audit)
            falling = made_at is not None and before is not None and made_at < before
            if falling and earliest is not None and made_at is not None and made_at < earliest:
                return None
            before = made_at
        return None

    def _ticket_id(self, thread_key: str | None) -> int:
        if not self.replies:
            raise Refused("This channel has no credentials; set them, or answer elsewhere.")
        if not (thread_key and thread_key.isascii() and thread_key.isdecimal()):
            raise Refused("The conversation is no ticket of Zendesk.")
        return int(thread_key[:18])


def _beginning(since: datetime) -> dict[str, Any]:
    moment = since.astimezone(UTC).isoformat()
    return {"start": moment, "after": None, "done": [], "fresh": moment}


def _of_the_settings(refused: Refused) -> ConnectorError:
    """Who may not read needs other credentials; what is not there needs another subdomain."""
    if refused.status == 403:
        return AuthExpired(f"The credentials must be an admin's: {refused}")
    return BadPayload(f"Zendesk does not export the tickets; see to the subdomain: {refused}")


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value else None
