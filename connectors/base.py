"""What every connector speaks: messages in, messages out, and errors named by what the caller should do.

A connector knows one vendor or protocol and nothing of the database. The hub gives it a configuration and a
cursor, stores what it yields, and only then stores the next cursor, so that a crash repeats and never skips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from connectors.errors import AuthExpired as AuthExpired
from connectors.errors import BadPayload as BadPayload
from connectors.errors import BadSignature as BadSignature
from connectors.errors import ConnectorError as ConnectorError
from connectors.errors import OutcomeUnknown as OutcomeUnknown
from connectors.errors import Refused as Refused
from connectors.errors import RetryLater as RetryLater

IdentityKind = Literal["email", "handle", "loyalty", "phone", "external"]
ChannelKind = Literal["social", "mail", "ticket"]
Nature = Literal["bounce", "auto_reply", "list", "loop"]
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
    """What comes or goes with a message.

    `content` is None where it was left behind: too large by the channel's settings, or only described by the
    source; `url` is then where it can be had, if anywhere, and `fetchable` whether `Connector.download` may
    have it from there later. `content_id` names an image inside the HTML (RFC 2392). `description` is what
    those are told who cannot see it.
    """

    name: str
    content_type: str
    size_bytes: int
    content: bytes | None = field(default=None, repr=False)
    content_id: str | None = None
    url: str | None = None
    description: str | None = None
    fetchable: bool = False


@dataclass(frozen=True, slots=True)
class Media:
    """A file as its vendor keeps it."""

    content: bytes = field(repr=False)
    content_type: str


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One post, mail, direct message or ticket comment.

    `external_id` is unique within the channel. Messages that share `thread_key` are one conversation; where
    it is None the message is matched by `in_reply_to` (external ids, nearest first) and else opens a
    conversation. `sent_at` is aware and UTC; None where the source does not say. `incoming` is False for
    the brand's own words. `author` is None where the source has no authors at all.

    `addressed` is False for what a search or a firehose overheard: nobody has written to the brand. `nature`
    says what a message is that no person wrote for us (`automatic` is then True): it starts and stops no
    clock and is never answered by a machine. `url` is where people can see it. `meta` is kept as it is, and
    comes back as `answered` when somebody replies.

    `fingerprint` is for sources whose ids are given by the senders, and not always only once: two messages
    of one `external_id` with different fingerprints are two. It is the same in every run.
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
    nature: Nature | None = None
    addressed: bool = True
    url: str | None = None
    attachments: tuple[Attachment, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Edited:
    """Somebody changed a message at the vendor; what it said before is kept beside it."""

    external_id: str
    text: str
    html: str | None = None
    edited_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """A message is gone at the vendor: its author took it back, or the vendor withholds it.

    Where `thread_key` is given, the whole thread went, and every message of that thread with it.
    """

    external_id: str
    deleted_at: datetime | None = None
    thread_key: str | None = None


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A reply of ours that the vendor had taken did not arrive after all; `external_id` is the vendor's."""

    external_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a vendor keeps of a thread as a whole, beside its messages.

    `status` is in the hub's words (`new`, `open`, `pending`, `on_hold`, `solved`, `closed`), `tags` are all
    of them; None where the vendor does not say. `changed_at` is when the thread was changed last there: what
    is older than what is known already says nothing.
    """

    thread_key: str
    status: str | None = None
    tags: tuple[str, ...] | None = None
    changed_at: datetime | None = None


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


Item = InboundMessage | Edited | Deleted | Undelivered | Annotation | Rejected


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step of `fetch` brought, and the cursor to store once it is stored."""

    items: tuple[Item, ...]
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of a vendor's limit, as the vendor said it last; `name` is for people (`search`)."""

    name: str
    limit: int | None
    remaining: int | None
    resets_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP request that a vendor pushed to us, as it came."""

    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """An agent's reply on its way out. `idempotency_key` is the same for every try at the same reply.

    `in_reply_to` is the external id of the customer's message that it answers, and `answered` that message's
    `meta`. `references` are the ids of the messages before, oldest first. `automatic`: no person wrote it;
    where the vendor has a mark for that, it gets it.
    """

    idempotency_key: str
    text: str
    author_name: str
    recipient: Identity | None
    thread_key: str | None = None
    in_reply_to: str | None = None
    subject: str | None = None
    created_at: datetime | None = None
    references: tuple[str, ...] = ()
    answered: Mapping[str, Any] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """The vendor's word that it has the message."""

    external_id: str | None = None
    detail: str = ""


class Config(BaseModel):
    """Settings of one channel. Fields of type `SecretStr` are stored encrypted and never shown again."""

    # A validation error that repeated the input would carry a secret into a log or an answer.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def local_files(cls, given: Mapping[str, Any]) -> tuple[str, ...]:
        """Which of these settings, not checked yet, name a file of the hub's machine. Only who works on that
        machine may give them: for anybody else they would be a way to look into it."""
        return ()


RULES: Mapping[str, str] = {
    "fetch": "brings what is new since a cursor",
    "push": "is told at once: a stream, IDLE or a webhook",
    "backfill": "brings history since a date, and goes on where it was interrupted",
    "threads": "keeps conversations together as the vendor does",
    "profile": "tells the author's name and reach",
    "edits": "follows changes at the vendor",
    "deletions": "follows deletions at the vendor",
    "attachments": "brings what came with a message",
    "send": "replies in the thread",
    "media": "sends files and pictures with a reply",
    "length": "knows the vendor's limit before sending",
    "idempotent": "looks before it sends again",
    "budget": "keeps to the vendor's rate limits and shows what is left",
    "auth": "says when credentials no longer serve",
    "tickets": "follows the status and the tags of a ticket, and tells ours",
}
"""What is asked of a connector; its `scorecard` says of each: "done", "todo: why" or "exempt: why"."""


class Connector:
    """One vendor or protocol: the base of every connector. What a vendor does not offer stays as it is here.

    Nothing is contacted before a method is called. An instance is used by one thread.
    """

    name: ClassVar[str]
    kind: ClassVar[ChannelKind]
    config_type: ClassVar[type[Config]]
    max_length: ClassVar[int | None] = None
    scorecard: ClassVar[Mapping[str, str]]
    steps: ClassVar[tuple[str, ...]] = ()
    """How a person comes to the credentials, a sentence each, in Markdown."""
    poll_seconds: ClassVar[int] = 60
    """How often to fetch, where the channel does not say it."""
    local: ClassVar[bool] = False
    """Whether its settings name files of the hub's own machine: then only who is there may add a channel."""

    def __init__(self, config: Any) -> None:
        """Take a `config_type`."""

    def check(self) -> str:
        """Contact the vendor and say as whom we are known there ("reads INBOX of help@acme.example").

        Raises: RetryLater, AuthExpired, BadPayload (the settings are wrong; the text says what to change).
        """
        return "There is nobody to contact."

    def fetch(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Yield what is new since `cursor`, inclusive; each batch carries the cursor to store after it.

        A cursor is plain JSON. None is the first time: then it begins where the vendor is now, or with the
        little that is recent; history is for `backfill`. Raises: RetryLater, AuthExpired, BadPayload (the
        settings point at something that cannot be read at all; the text says what to change).
        """
        return iter(())

    @property
    def fetches(self) -> bool:
        """Whether `fetch` is worth calling, with these settings."""
        return type(self).fetch is not Connector.fetch

    @property
    def streams(self) -> bool:
        """Whether `stream` is worth opening, with these settings."""
        return False

    def stream(self, cursor: Cursor | None, stop: Callable[[], bool]) -> Iterator[Batch]:
        """Yield what arrives, as it arrives, until `stop()`; an empty batch at least every ten seconds.

        The first batch, empty or not, says that the line is open: whoever listens fetches then from the
        cursor, so that nothing falls between. A batch has a cursor only where this line has told everything
        since `cursor`. Returns, or raises what `fetch` raises, when the line is lost.
        """
        return iter(())

    def backfill(self, since: datetime, cursor: Cursor | None) -> Iterator[Batch]:
        """Yield history from `since` until now in batches, in any order. A `cursor` of its own says where to
        go on; it has nothing to do with that of `fetch`. Raises: as `fetch`."""
        return iter(())

    @property
    def backfills(self) -> bool:
        """Whether there is history to be had by `backfill`, with these settings."""
        return type(self).backfill is not Connector.backfill

    def budgets(self) -> tuple[Budget, ...]:
        """What is left of the vendor's limits, by what it said to the calls so far."""
        return ()

    def length(self, text: str) -> int:
        """How long a reply is as the vendor counts, to compare with `max_length`."""
        return len(text)

    def limit(self, answered: Mapping[str, Any]) -> int | None:
        """How long a reply may be, as `length` counts, to a message with this `meta`; None: no limit.

        By default `max_length`; a vendor may give more room to some accounts, or in private.
        """
        return self.max_length

    @property
    def pushes(self) -> bool:
        """Whether the vendor may push requests to the channel's address, with these settings."""
        return type(self).receive is not Connector.receive

    def receive(self, delivery: Delivery) -> Batch:
        """Read one pushed request; the vendor may be asked for what it only names.

        What the vendor does not tell then is left to `fetch`. Raises: BadPayload.
        """
        raise BadPayload(f"A {self.name} channel takes no pushed requests.")

    def verify(self, delivery: Delivery) -> str:
        """Check a pushed request's signature and give its delivery id. Raises: BadSignature."""
        raise BadSignature(f"A {self.name} channel takes no pushed requests.")

    def download(self, url: str, max_bytes: int) -> Media:
        """The file that an attachment of a message names by its `url`, from the vendor's own hosts alone
        (`connectors.media`).

        Raises: RetryLater, AuthExpired; Refused where it will never be had: it is gone, larger than
        `max_bytes`, at somebody else's, or neither picture nor film.
        """
        raise Refused(f"A {self.name} channel fetches no files.")

    @property
    def renews_at(self) -> datetime | None:
        """When to `renew`, well before the credentials of these settings run out; None: they do not."""
        return None

    def renew(self) -> Mapping[str, Any]:
        """Credentials in place of those that run out, as settings by their names.

        They are to be stored before anything is asked with them: what they replace may serve no more. One
        caller at a time. Raises: RetryLater, AuthExpired.
        """
        return {}

    def authorization_url(self) -> str | None:
        """Where a person lets the hub act for their account, in a browser; None where that is not done."""
        return None

    def authorized(self, answer_url: str) -> Mapping[str, Any]:
        """The credentials, as settings by their names, that the address means at which the browser ended.

        Asked of the connector that gave the `authorization_url`. Raises: BadPayload, RetryLater.
        """
        raise BadPayload(f"A {self.name} channel is not signed in to by a browser.")

    @property
    def replies(self) -> bool:
        """Whether `send` has somewhere to send to, with these settings."""
        return True

    @property
    def sends_files(self) -> bool:
        """Whether a reply may carry attachments, with these settings."""
        return self.scorecard.get("media") == "done"

    def send(self, message: OutboundMessage) -> Sent:
        """Hand a reply to the vendor. Raises: RetryLater, AuthExpired, Refused, OutcomeUnknown."""
        raise Refused(f"A {self.name} channel does not reply.")

    def find_sent(self, message: OutboundMessage) -> Sent | None:
        """What the vendor has of this very reply; None: surely nothing. Raises: OutcomeUnknown."""
        raise OutcomeUnknown(f"A {self.name} channel cannot look for what was sent.")

    @property
    def annotates(self) -> bool:
        """Whether `annotate` has somebody to tell, with these settings."""
        return type(self).annotate is not Connector.annotate

    def annotate(
        self,
        thread_key: str,
        *,
        status: str | None = None,
        add_tags: tuple[str, ...] = (),
        remove_tags: tuple[str, ...] = (),
    ) -> Annotation | None:
        """Tell the vendor what the hub knows of a conversation: its status, in the hub's words, and tags.

        Gives what the vendor keeps of it then, where it says so. Doing it again changes nothing, and no
        message comes of it. Raises: RetryLater, AuthExpired, Refused (the vendor has no such thing, or does
        not take it), OutcomeUnknown (do it again).
        """
        raise Refused(f"A {self.name} channel keeps neither statuses nor tags.")

    def close(self) -> None:
        """Give connections back."""
