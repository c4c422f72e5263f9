"""Signed pushes in, signed pushes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Self
from urllib.parse import quote
from uuid import uuid4

from pydantic import AfterValidator, Field, HttpUrl, PositiveFloat, PositiveInt, SecretStr, model_validator
from standardwebhooks import Webhook

from connectors.base import (
    Annotation,
    BadSignature,
    Batch,
    ChannelKind,
    Config,
    Connector,
    Delivery,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    Sent,
)
from connectors.fields import MAX_BODY_BYTES
from connectors.webhook import parse, signature
from connectors.webhook.client import WebhookClient

_MIN_SECRET_LENGTH = 32  # 24 bytes in base64, the least that Standard Webhooks allows


def _usable(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    try:
        Webhook(value)
    except Exception as error:  # the package lets whatever base64 raises through
        raise ValueError("a secret is base64, with or without whsec_ before it") from error
    if len(value.removeprefix("whsec_")) < _MIN_SECRET_LENGTH:
        raise ValueError("a secret has at least 24 bytes before base64")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_usable)]


class WebhookConfig(Config):
    """Settings of a `webhook` channel; the README explains each."""

    secrets: tuple[Secret, ...] = Field(
        default=(),
        description="What your system signs with: `whsec_` and base64 of at least 24 bytes. Several while one"
        " is being replaced.",
    )
    tolerance_seconds: PositiveInt = Field(
        default=300, description="How old, or how far ahead of the hub's clock, a push may be."
    )
    reply_url: HttpUrl | None = Field(
        default=None, description="Where replies are pushed to; without it the channel only listens."
    )
    reply_secret: Secret | None = Field(default=None, description="What the hub signs replies with.")
    status_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^{}]*\{key\}[^{}]*$",
        description="Where one can ask whether a reply arrived, such as `https://shop.example/replies/{key}`.",
    )
    timeout_seconds: PositiveFloat = Field(
        default=10.0, description="For connecting, and for each wait on your system."
    )
    network: str = Field(
        default="", description="The network whose handles the authors' ids are; empty: the channel's own."
    )
    max_body_bytes: PositiveInt = Field(
        default=MAX_BODY_BYTES, description="A longer text is rejected, in bytes."
    )
    max_attachment_bytes: int = Field(
        default=10_000_000, ge=0, description="A larger file is only named, in bytes."
    )
    reply_files: bool = Field(
        default=False, description="Whether replies may carry files; your system must then look for them."
    )
    push_changes: bool = Field(
        default=False, description="Whether statuses and tags that agents set are pushed to `reply_url` too."
    )
    kind: ChannelKind = Field(default="ticket", description="What it is to the rules of your policy.")

    @model_validator(mode="after")
    def _replies_are_signed(self) -> Self:
        if (self.reply_url is not None or self.status_url is not None) and self.reply_secret is None:
            raise ValueError("reply_url and status_url need a reply_secret to sign with")
        if self.reply_url is None and (self.reply_files or self.push_changes):
            raise ValueError("reply_files and push_changes need a reply_url to go to")
        return self


class WebhookConnector(Connector):
    """Takes messages that a brand's own systems push, and pushes replies back."""

    name: ClassVar[str] = "webhook"
    kind: ClassVar[ChannelKind] = "ticket"
    config_type: ClassVar[type[Config]] = WebhookConfig
    scorecard: ClassVar[Mapping[str, str]] = {
        "fetch": "exempt: messages come by themselves",
        "push": "done",
        "backfill": "exempt: the other side pushes what it has",
        "threads": "done",
        "profile": "done",
        "edits": "done",
        "deletions": "done",
        "attachments": "done",
        "send": "done",
        "media": "done",
        "length": "exempt: the other side sets none",
        "idempotent": "done",
        "budget": "done",
        "auth": "done",
        "tickets": "done",
    }

    steps: ClassVar[tuple[str, ...]] = (
        "Make a secret: `echo whsec_$(openssl rand -base64 24)`. It goes under `secrets` here and into your"
        " system.",
        "Have your system push each message to the channel's own address, signed by"
        " [Standard Webhooks](https://www.standardwebhooks.com); there are libraries for most languages.",
        "For replies give your system an address, that is `reply_url`, and a second secret, `reply_secret`,"
        " by which it knows the hub.",
        "Where it can say by the reply's key whether it has a reply, give that address as `status_url`: then"
        " no crash makes the hub ask a person.",
    )

    def __init__(
        self, config: WebhookConfig, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._config = config
        self._clock = clock
        secret = config.reply_secret
        self._client = (
            WebhookClient(secret.get_secret_value(), config.timeout_seconds, clock) if secret else None
        )

    def verify(self, delivery: Delivery) -> str:
        """The `webhook-id` of a delivery that any of the secrets signed around the time it came.

        Raises: BadSignature.
        """
        if not self._config.secrets:
            raise BadSignature("This channel has no secret to check against; set one.")
        return signature.verify(
            delivery.headers,
            delivery.body,
            [secret.get_secret_value() for secret in self._config.secrets],
            now=delivery.received_at,
            tolerance_seconds=self._config.tolerance_seconds,
        )

    def receive(self, delivery: Delivery) -> Batch:
        """What is in a delivery that was verified. Raises: BadPayload."""
        items = parse.items_of(
            delivery.body,
            delivery_id=signature.lower(delivery.headers).get("webhook-id", ""),
            network=self._config.network,
            now=delivery.received_at,
            max_body_bytes=self._config.max_body_bytes,
            max_attachment_bytes=self._config.max_attachment_bytes,
        )
        return Batch(items)

    @property
    def replies(self) -> bool:
        """Whether there is a `reply_url`."""
        return self._config.reply_url is not None

    @property
    def sends_files(self) -> bool:
        """Whether the settings say so: who does not look for files would lose them."""
        return self._config.reply_files

    def send(self, message: OutboundMessage) -> Sent:
        """Push the reply; `webhook-id` is its key on every try, so that the other side can know it again.

        Raises: RetryLater (not taken: no connection, 408, 425, 429 or 5xx), AuthExpired (401, 403), Refused
        (any other answer but 2xx), OutcomeUnknown (the connection broke or stayed silent after the request
        was sent).
        """
        if self._config.reply_url is None or self._client is None:
            raise Refused("This channel has no reply_url; set one, or answer elsewhere.")
        return self._client.push(str(self._config.reply_url), message.idempotency_key, parse.reply(message))

    @property
    def annotates(self) -> bool:
        """Whether the settings say so."""
        return self._config.push_changes

    def annotate(
        self,
        thread_key: str,
        *,
        status: str | None = None,
        add_tags: tuple[str, ...] = (),
        remove_tags: tuple[str, ...] = (),
    ) -> Annotation | None:
        """Push the change. Each push has an id of its own: what changes back and forth is not the same again.

        Raises: as `send`.
        """
        if not self._config.push_changes or self._client is None:
            raise Refused("This channel pushes no changes; set push_changes.")
        body = parse.change(thread_key, status, add_tags, remove_tags, self._clock())
        self._client.push(str(self._config.reply_url), f"change-{uuid4().hex}", body)
        return None

    def find_sent(self, message: OutboundMessage) -> Sent | None:
        """Ask `status_url`. Raises: OutcomeUnknown where there is none, or it does not say."""
        if self._config.status_url is None or self._client is None:
            raise OutcomeUnknown("This channel has no status_url where one could ask.")
        url = self._config.status_url.replace(
            "{key}", quote(message.idempotency_key, safe="", errors="replace")
        )
        return self._client.ask(url, message.idempotency_key)
