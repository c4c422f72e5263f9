"""What every connector speaks: messages in, messages out, and errors named by what the caller should do.

A connector knows one vendor or protocol and nothing of the database. The hub gives it a configuration and a
cursor, stores what it yields, and only then stores the next cursor, so that a crash repeats and never skips.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

IdentityKind = Literal["email", "handle", "loyalty", "phone", "external"]
ChannelKind = Literal["social", "mail", "ticket"]
Cursor = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Identity:
    """One place where a person can be met; `place` names the network of a handle, else it is empty."""

    kind: IdentityKind
    value: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a message, as the vendor tells it. The first identity is the one replies go to."""

    identities: tuple[Identity, ...]
    name: str | None = None
    followers: int | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """What came with a message; only its description travels here."""

    name: str
    content_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One post, mail, direct message or ticket comment.

    `external_id` is unique within the channel. Messages that share `thread_key` are one conversation; where
    it is None the message is matched by `in_reply_to` (external ids, nearest first) and else opens a
    conversation. `sent_at` is aware and UTC; None where the source does not say. `incoming` is False for
    the brand's own words. `author` is None where the source has no authors at all.
    """

    external_id: str
    text: str
    author: Author | None = None
    sent_at: datetime | None = None
    subject: str | None = None
    html: str | None = None
    thread_key: str | None = None
    in_reply_to: tuple[str, ...] = ()
    incoming: bool = True
    automatic: bool = False
    attachments: tuple[Attachment, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that could not be read: kept raw, with a reason a person can act on.

    `reason` is a short stable code (`bad_encoding`, `missing_author`), `detail` the sentence, `where` the
    place in the source (`tweets.csv:17`). `raw` is whole, except where the reason is that the record is too
    long to be held.
    """

    raw: bytes
    reason: str
    detail: str
    where: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step of `fetch` brought, and the cursor to store once it is stored."""

    items: tuple[InboundMessage | Rejected, ...]
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP request that a vendor pushed to us, as it came."""

    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """An agent's reply on its way out. `idempotency_key` is the same for every try at the same reply."""

    idempotency_key: str
    text: str
    author_name: str
    recipient: Identity | None
    thread_key: str | None = None
    in_reply_to: str | None = None
    subject: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """The vendor's word that it has the message."""

    external_id: str | None = None
    detail: str = ""


class ConnectorError(Exception):
    """Something a vendor did; each subclass says what the caller should do about it."""


class RetryLater(ConnectorError):
    """The vendor did not take it, and may take it later."""

    def __init__(
        self, message: str, *, after_seconds: float | None = None, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds
        self.status = status


class AuthExpired(ConnectorError):
    """The credentials no longer serve; a person has to renew them."""


class Refused(ConnectorError):
    """The vendor looked at it and will never take it; do not try again."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class OutcomeUnknown(ConnectorError):
    """It may or may not have been taken; look before sending again, or let a person decide."""


class BadPayload(ConnectorError):
    """What came cannot be read at all; keep it raw and go on."""


class BadSignature(ConnectorError):
    """A pushed request is not from who it says; nothing of it is kept."""


class Config(BaseModel):
    """Settings of one channel. Fields of type `SecretStr` are stored encrypted and never shown again."""

    # A validation error that repeated the input would carry a secret into a log or an answer.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


@runtime_checkable
class Connector(Protocol):
    """One vendor or protocol. `kind` is the default kind of its channels."""

    name: ClassVar[str]
    kind: ClassVar[ChannelKind]
    config_type: ClassVar[type[Config]]
    max_length: ClassVar[int | None]

    def __init__(self, config: Any) -> None:
        """Take a `config_type`; nothing is contacted yet."""

    def fetch(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Yield what is new since `cursor`, inclusive; each batch carries the cursor to store after it.

        A cursor is plain JSON. Raises: RetryLater, AuthExpired, BadPayload (the settings point at something
        that cannot be read at all; the text says what to change).
        """

    def receive(self, delivery: Delivery) -> Batch:
        """Read one pushed request. Raises: BadPayload."""

    def verify(self, delivery: Delivery) -> str:
        """Check a pushed request's signature and give its delivery id. Raises: BadSignature."""

    def send(self, message: OutboundMessage) -> Sent:
        """Hand a reply to the vendor. Raises: RetryLater, AuthExpired, Refused, OutcomeUnknown."""

    def find_sent(self, idempotency_key: str) -> Sent | None:
        """What the vendor has under this key; None: surely nothing. Raises: OutcomeUnknown."""
