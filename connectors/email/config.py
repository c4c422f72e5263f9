"""Settings of a mailbox."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    StringConstraints,
    model_validator,
)

from connectors.base import Config
from connectors.fields import MAX_BODY_BYTES

Security = Literal["tls", "starttls", "none"]

_IMAP_PORTS: dict[Security, int] = {"tls": 993, "starttls": 143, "none": 143}
_SMTP_PORTS: dict[Security, int] = {"tls": 465, "starttls": 587, "none": 25}
_MEGABYTE = 1_000_000


def _one_line(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().isprintable():
        raise ValueError("a secret is one line")
    return secret


Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$")]
Address = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, pattern=r"^([^\s@<>(),;:\"\\]+@[^\s@<>(),;:\"\\]+)?$"
    ),
]
Secret = Annotated[SecretStr, AfterValidator(_one_line)]
Port = Annotated[int, Field(ge=1, le=65_535)]


class EmailConfig(Config):
    """Settings of an `email` channel; the README explains each."""

    address: Address = Field(default="", description="The brand's address: replies are sent from it")
    aliases: tuple[Address, ...] = Field(default=(), description="Other addresses that are the brand's own")
    brand_name: Line = Field(default="", description="Shown behind an agent's name: Ana (Acme)")

    user: Line = Field(default="", description="Name to sign in with; empty: the address")
    password: Secret | None = Field(default=None, description="Password, or app password")
    access_token: Secret | None = Field(default=None, description="XOAUTH2: a token that serves for now")
    oauth_token_url: str | None = Field(
        default=None, pattern=r"^https?://", description="XOAUTH2: where tokens are renewed"
    )
    oauth_client_id: Line = Field(default="", description="XOAUTH2: client id of the registered application")
    oauth_client_secret: Secret | None = Field(default=None, description="XOAUTH2: its secret, if it has one")
    oauth_refresh_token: Secret | None = Field(default=None, description="XOAUTH2: what renews the token")

    imap_host: Line = Field(default="", description="IMAP server; empty: nothing is read")
    imap_port: Port | None = Field(default=None, description="IMAP port; empty: 993 with tls, else 143")
    imap_security: Security = Field(
        default="tls", description="tls, starttls, or none inside a trusted network"
    )
    folders: tuple[Line, ...] = Field(default=("INBOX",), min_length=1, description="Folders to read")
    recent_days: NonNegativeInt = Field(default=1, description="How far back the very first reading goes")
    idle_seconds: PositiveFloat = Field(
        default=300, le=28 * 60, description="How long one IDLE lasts before it is issued again"
    )

    smtp_host: Line = Field(default="", description="SMTP server; empty: nothing is sent")
    smtp_port: Port | None = Field(default=None, description="SMTP port; empty: 465, 587 or 25")
    smtp_security: Security = Field(default="starttls", description="tls, starttls, or none")
    smtp_user: Line = Field(default="", description="Name at the SMTP server, where it is another one")
    smtp_password: Secret | None = Field(default=None, description="Password at the SMTP server, likewise")
    smtp_sign_in: bool = Field(default=True, description="Whether the SMTP server wants a name and password")

    sent_folder: Line = Field(default="", description="Folder of sent mails, to look in before sending again")
    append_sent: bool = Field(
        default=False, description="Put a copy there; off where the server does it itself"
    )
    reply_secret: Secret | None = Field(
        default=None, description="Signs the token in replies; any long secret"
    )
    former_reply_secrets: tuple[Secret, ...] = Field(default=(), description="Secrets that signed before")
    reply_plus: bool = Field(
        default=False, description="Answers go to help+TOKEN@…, which the server delivers"
    )
    own_lists: tuple[Line, ...] = Field(default=(), description="List-Ids that are the brand's own way in")

    ca_file: Path | None = Field(default=None, description="Certificates to trust instead of the system's")
    timeout_seconds: PositiveFloat = Field(
        default=30, description="For connecting, and each wait for an answer"
    )
    max_mail_bytes: PositiveInt = Field(default=50 * _MEGABYTE, description="A larger mail is rejected")
    max_attachment_bytes: NonNegativeInt = Field(
        default=30 * _MEGABYTE, description="A larger attachment is described only"
    )
    max_body_bytes: PositiveInt = Field(default=MAX_BODY_BYTES, description="A longer text is rejected")

    @classmethod
    def local_files(cls, given: Mapping[str, Any]) -> tuple[str, ...]:
        """`ca_file`."""
        return ("ca_file",) if given.get("ca_file") else ()

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if (self.smtp_host or self.sent_folder) and not self.address:
            raise ValueError("to send, an address to send from is needed")
        if self.append_sent and not self.sent_folder:
            raise ValueError("append_sent needs a sent_folder")
        if self.sent_folder and not self.imap_host:
            raise ValueError("a sent_folder needs an imap_host to look with")
        if self.reply_plus and self.reply_secret is None:
            raise ValueError("reply_plus needs a reply_secret")
        if self.oauth_refresh_token is not None and self.oauth_token_url is None:
            raise ValueError("an oauth_refresh_token needs an oauth_token_url")
        return self

    @property
    def own(self) -> frozenset[str]:
        """All addresses that are the brand's own."""
        return frozenset((self.address, *self.aliases)) - {""}

    @property
    def login(self) -> str:
        """The name at the IMAP server."""
        return self.user or self.address

    @property
    def imap_place(self) -> tuple[str, int]:
        return self.imap_host, self.imap_port or _IMAP_PORTS[self.imap_security]

    @property
    def smtp_place(self) -> tuple[str, int]:
        return self.smtp_host, self.smtp_port or _SMTP_PORTS[self.smtp_security]

    @property
    def signing(self) -> tuple[str, ...]:
        """The secrets of the reply tokens, the one in use first."""
        found = (self.reply_secret, *self.former_reply_secrets)
        return tuple(secret.get_secret_value() for secret in found if secret is not None)
