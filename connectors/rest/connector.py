"""A tracker that a description knows: what changed, what is pushed, and replies."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, model_validator

from connectors.base import (
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
    Item,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    RetryLater,
    Sent,
)
from connectors.fields import MAX_BODY_BYTES, BadRecord
from connectors.rest import signature
from connectors.rest.client import RestClient, Secrets
from connectors.rest.description import Description, DescriptionError, Reply, read_description
from connectors.rest.expressions import nearest
from connectors.rest.files import Fetching, beside
from connectors.rest.finding import find
from connectors.rest.paging import asked
from connectors.rest.parse import Reader
from connectors.rest.templates import Unfillable, fill, fill_path
from connectors.rest.walk import Place, Walk

_MAX_PUSHED = 1_000
# How long a comment may take to show, and how far back files are fetched where nothing says since when.
_LAG = timedelta(minutes=10)
_RECENT = timedelta(hours=1)
_MAX_ANSWER_BYTES = 50_000_000
_NEEDS = {"bearer": ("token",), "header": ("token",), "query": ("token",), "basic": ("username", "password")}


def shipped() -> tuple[str, ...]:
    """The names of the descriptions that come with the hub."""
    names = (each.name for each in files("connectors.rest").joinpath("examples").iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


def load(source: str | Mapping[str, Any]) -> Description:
    """The description that a setting names, is, or leads to. Raises: OSError, ValueError."""
    if not isinstance(source, str) or "\n" in source:
        return read_description(source)
    if source in shipped():
        example = files("connectors.rest").joinpath("examples", f"{source}.yaml")
        return read_description(example.read_text(encoding="utf-8"))
    path = Path(source)
    # Nothing else of this machine is anybody's business.
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        names = ", ".join(shipped())
        raise ValueError(
            f"there is no YAML file {source!r}; by name there are {names}{nearest(source, list(shipped()))}"
        )
    return read_description(path.read_text(encoding="utf-8"))


class RestConfig(Config):
    """Settings of a `rest` channel; the README explains each."""

    source: str | dict[str, Any] = Field(
        description="The description: `freshdesk`, `intercom`, the path of a YAML file, or the YAML itself."
    )
    base_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#]+[^\s?#]*$",
        description="Where the API is, if not where the description says.",
    )
    variables: dict[str, str] = Field(
        default={}, description="What the description leaves open, such as the `domain` of your account."
    )
    token: SecretStr | None = Field(default=None, description="The access token or API key.")
    username: SecretStr | None = Field(
        default=None, description="For basic authentication; with many vendors the API key goes here."
    )
    password: SecretStr | None = Field(default=None, description="For basic authentication.")
    webhook_secret: SecretStr | None = Field(
        default=None, description="The secret by which the vendor signs what it pushes."
    )
    timeout_seconds: PositiveFloat = Field(default=20.0, description="How long an answer may take to begin.")
    max_body_bytes: PositiveInt = Field(default=MAX_BODY_BYTES, description="The longest text taken.")
    max_attachment_bytes: int = Field(
        default=10_000_000, ge=0, description="A larger file stays where it is, with its address."
    )

    @classmethod
    def local_files(cls, given: Mapping[str, Any]) -> tuple[str, ...]:
        """`source`, unless it is the description or one that comes with the hub."""
        source = given.get("source")
        return (
            ("source",) if isinstance(source, str) and "\n" not in source and source not in shipped() else ()
        )

    @model_validator(mode="after")
    def _fits_its_description(self) -> Self:
        try:
            description = load(self.source)
        except OSError as error:
            raise ValueError(f"source cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError("source is not UTF-8") from None
        except DescriptionError as error:
            raise ValueError(f"source: {error}") from None
        for name in self.variables:
            if name not in description.variables:
                raise ValueError(
                    f"variables: unknown name {name}{nearest(name, list(description.variables))}"
                )
        for name, what in description.variables.items():
            value = self.variables.get(name, "")
            if not value:
                raise ValueError(f"variables: {name} is missing: {what}")
            # It may become part of the address that secrets are sent to.
            if not all(letter.isalnum() or letter in "._-@" for letter in value):
                raise ValueError(f"variables: {name} holds more than letters, digits and . _ - @")
        for name in _NEEDS.get(description.auth.type, ()):
            if getattr(self, name) is None:
                raise ValueError(
                    f"{name} is missing: {description.name} asks for it ({description.auth.type})"
                )
        return self


class RestConnector(Connector):
    """Speaks with any API that a description knows."""

    name: ClassVar[str] = "rest"
    kind: ClassVar[ChannelKind] = "ticket"
    config_type: ClassVar[type[Config]] = RestConfig
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
        "length": "exempt: each vendor has its own, checked before sending where the description says it",
        "idempotent": "done",
        "budget": "done",
        "auth": "done",
        "tickets": "todo: the description has no words for them",
    }
    steps: ClassVar[tuple[str, ...]] = (
        "Take a description that comes with the hub (`freshdesk`, `intercom`), or write one for your tracker"
        " after `connectors/rest/README.md`; that is `source`.",
        "Make an API key or access token at the vendor, for an agent who sees what the hub is to see.",
        "Give it as `token`, or as `username` and `password`, whichever the description's `auth` names.",
        "Give what the description leaves open as `variables`, such as the first part of your address there.",
        "Where the vendor pushes, enter the channel's address there; its signing secret is `webhook_secret`.",
    )

    def __init__(self, config: RestConfig, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._description = load(config.source)
        self._config = config
        self._clock = clock
        self._variables: dict[str, Any] = dict(config.variables)
        self._reader = Reader(self._description, config.max_body_bytes, config.max_attachment_bytes)
        base = config.base_url or fill(self._description.base_url, self._variables)
        self._client = RestClient(
            base,
            self._description.auth,
            Secrets(_shown(config.token), _shown(config.username), _shown(config.password)),
            fill(self._description.headers, self._variables),
            self._description.limits,
            timeout_seconds=config.timeout_seconds,
            max_answer_bytes=_MAX_ANSWER_BYTES,
            clock=clock,
        )
        self._files = Fetching(self._client, self._description.file_hosts, config.max_attachment_bytes)

    def check(self) -> str:
        """Ask the vendor who we are, or read a first page. Raises: RetryLater, AuthExpired, BadPayload."""
        found, host = self._description, self._client.host
        if found.check is not None:
            document = asked(self._client, found.check, self._variables).document()
            try:
                who = found.check.who(document)
            except BadRecord as bad:
                raise BadPayload(f"In what {found.check.path} answered: {bad.detail}") from None
            if not isinstance(who, str | int) or isinstance(who, bool) or who == "":
                raise BadPayload(
                    f"{found.check.who.text!r} finds nobody in what {found.check.path} answered."
                )
            return f"known at {host} as {who}"
        if found.tickets is not None:
            next(self._walk()(Place(self._clock()), overlap=timedelta(0)), None)
            return f"reads {found.name} at {host}"
        return f"{found.name} pushes by itself; there is nothing to ask"

    @property
    def fetches(self) -> bool:
        """Whether the description has `tickets`; else everything is pushed."""
        return self._description.tickets is not None

    @property
    def backfills(self) -> bool:
        """Whether the description can ask for tickets since a time."""
        return self._description.tickets is not None and self._description.tickets.since is not None

    def fetch(self, cursor: Cursor | None) -> Iterator[Batch]:
        """A batch for each ticket that changed. Raises: RetryLater, AuthExpired, BadPayload."""
        tickets = self._description.tickets
        if tickets is None:
            return iter(())
        since = tickets.since
        if cursor is not None:
            place = Place.read(cursor)
        elif since is not None:
            place = Place(self._clock() - timedelta(hours=since.first_hours))
        else:
            place = Place(None)
        overlap = timedelta(seconds=since.overlap_seconds if since and cursor is not None else 0)
        begun = place.since or self._clock() - _RECENT
        return self._files.batches(self._walk()(place, overlap=overlap), begun - overlap - _LAG)

    def backfill(self, since: datetime, cursor: Cursor | None) -> Iterator[Batch]:
        """Every ticket that changed since then. Raises: as `fetch`."""
        if self._description.tickets is None:
            return iter(())
        place = Place(since) if cursor is None else Place.read(cursor)
        return self._files.batches(self._walk()(place, overlap=timedelta(0)), since - _LAG)

    def budgets(self) -> tuple[Budget, ...]:
        """What is left by the vendor's headers, where the description names them."""
        return self._client.budgets()

    @property
    def pushes(self) -> bool:
        """Whether the description has a `push`."""
        return self._description.push is not None

    def verify(self, delivery: Delivery) -> str:
        """The id of a delivery that was signed with `webhook_secret`. Raises: BadSignature."""
        push, secret = self._description.push, self._config.webhook_secret
        if push is None:
            raise BadSignature("The description says nothing of pushed requests.")
        if secret is None or not secret.get_secret_value():
            raise BadSignature("This channel has no webhook_secret to check against; set one.")
        headers, body = delivery.headers, delivery.body
        signature.verify(push.signature, secret.get_secret_value(), headers, body, now=delivery.received_at)
        given = None
        if push.id_header is not None:
            lower = {name.lower(): value for name, value in headers.items()}
            given = lower.get(push.id_header.lower())
        elif push.id is not None:
            try:
                given = push.id(json.loads(body))
            except (ValueError, RecursionError, BadRecord):
                given = None
        named = isinstance(given, str | int) and not isinstance(given, bool) and 0 < len(str(given)) <= 200
        return str(given) if named else f"sha256:{hashlib.sha256(body).hexdigest()}"

    def receive(self, delivery: Delivery) -> Batch:
        """The messages in a delivery that was verified. Raises: BadPayload."""
        push = self._description.push
        if push is None:
            return super().receive(delivery)
        try:
            document = json.loads(delivery.body)
        except (ValueError, RecursionError):
            raise BadPayload("The body is not JSON.") from None
        expression = push.tickets or push.items
        try:
            found = expression(document) if expression else None
        except BadRecord as bad:
            raise BadPayload(bad.detail) from None
        several = found if isinstance(found, list) else [] if found is None else [found]
        if len(several) > _MAX_PUSHED:
            raise BadPayload(f"The body holds more than {_MAX_PUSHED:,} records.")
        now, items = delivery.received_at, list[Item]()
        if push.message is not None:
            items.extend(self._reader.messages(push.message, several, "pushed", now))
        else:
            for ticket in several:
                items.extend(self._reader.ticket(ticket, None, "pushed", now))
        return Batch(tuple(self._with_files(each, now - _LAG) for each in items))

    def _with_files(self, item: Item, fresh: datetime) -> Item:
        try:
            return self._files.item(item, fresh)
        except RetryLater:
            # What was pushed is pushed once: better its words and the addresses than nothing.
            return item

    @property
    def replies(self) -> bool:
        """Whether the description has a `reply`."""
        return self._description.reply is not None

    @property
    def sends_files(self) -> bool:
        """Whether the description says how."""
        return self._description.reply is not None and self._description.reply.files is not None

    def send(self, message: OutboundMessage) -> Sent:
        """Post the reply. Raises: RetryLater, AuthExpired, Refused, OutcomeUnknown."""
        reply = self._description.reply
        if reply is None:
            raise Refused("The description of this channel has no reply; answer elsewhere.")
        if reply.max_length is not None and len(message.text) > reply.max_length:
            raise Refused(f"The reply has {len(message.text):,} characters; {reply.max_length:,} are taken.")
        values = {**self._variables, **_holes(message)}
        try:
            url = self._client.url(fill_path(reply.path, values))
        except Unfillable as error:
            raise Refused(f"The reply cannot be addressed: {error}.") from None
        body, files = beside(reply.files, fill(reply.body, values), message.attachments)
        answer = self._client.write(
            reply.method,
            url,
            params=fill(reply.params, values),
            headers=_headers(reply, message, values),
            body=body,
            files=files,
            safe=reply.idempotency_header is not None,
        )
        try:
            given = reply.id(answer.document())
        except (BadPayload, BadRecord):
            given = None
        known = isinstance(given, str | int) and not isinstance(given, bool) and given != ""
        return Sent(str(given)[:200] if known else None, f"HTTP {answer.status}")

    def find_sent(self, message: OutboundMessage) -> Sent | None:
        """Look for the reply where the description says. Raises: OutcomeUnknown."""
        found = self._description.find
        if found is None:
            raise OutcomeUnknown("The description of this channel does not say where to look.")
        try:
            values = {**self._variables, **_holes(message)}
            return find(self._client, self._description, found, message, values, self._clock())
        except OutcomeUnknown:
            raise
        except ConnectorError as error:
            raise OutcomeUnknown(f"It cannot be looked for: {error}") from error

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def _walk(self) -> Walk:
        if self._description.tickets is None:
            raise BadPayload("The description has no tickets.")
        return Walk(self._client, self._description.tickets, self._reader, self._variables, self._clock)


def _shown(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _holes(message: OutboundMessage) -> dict[str, Any]:
    """What a reply's request may ask for."""
    return {
        "text": message.text,
        "html": html.escape(message.text, quote=False).replace("\n", "<br>\n"),
        "subject": message.subject,
        "author_name": message.author_name,
        "thread": message.thread_key,
        "in_reply_to": message.in_reply_to,
        "recipient": message.recipient.value if message.recipient else None,
        "key": message.idempotency_key,
        "created_at": message.created_at.isoformat() if message.created_at else None,
        "automatic": message.automatic,
        **{f"answered.{name}": value for name, value in message.answered.items()},
    }


def _headers(reply: Reply, message: OutboundMessage, values: Mapping[str, Any]) -> dict[str, str]:
    headers: dict[str, str] = fill(reply.headers, values)
    if reply.idempotency_header is not None:
        headers[reply.idempotency_header] = message.idempotency_key
    for name, value in headers.items():
        if not (str(value).isascii() and str(value).isprintable()):
            raise Refused(f"{name} would hold characters that no header can hold.")
    return {name: str(value) for name, value in headers.items()}
