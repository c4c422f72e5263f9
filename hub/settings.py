"""Every setting of the hub, from `HUB_*` variables or a `.env` file; `docs/settings.md` is the same table."""

from __future__ import annotations

import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sentiment.types import Precision


class Settings(BaseSettings):
    """The defaults run everything in one process on one SQLite file under `home`; nothing needs to be set."""

    model_config = SettingsConfigDict(
        env_prefix="HUB_", env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    brand: str = Field("cem-hub", description="The brand's name, as the pages show it.")
    home: Path = Field(
        Path("var"),
        description="Folder for the database, the generated secret, the attachments and the outboxes.",
    )
    database_url: str = Field(
        "",
        description="SQLAlchemy URL, `postgresql+psycopg://…` or `sqlite:///…`; empty: `hub.db` in `home`.",
    )
    broker_url: str = Field(
        "",
        description="Celery broker, `redis://…` or `amqp://…`; "
        "empty: background work runs in the web process.",
    )
    secret_key: SecretStr | None = Field(
        None, description="Signs sessions and encrypts stored secrets; empty: generated once into `home`."
    )
    policy_file: Path | None = Field(
        None,
        description="The policy in YAML; empty: `policy.yaml` in `home` if there, else the built-in one.",
    )
    public_url: str = Field("http://127.0.0.1:8000", description="Where people reach the hub; used in links.")
    secure_cookies: bool = Field(False, description="Send cookies over HTTPS only; set it behind TLS.")
    model: str = Field(
        "default",
        description="The sentiment model: `default`, a Hugging Face model id, or a folder with one.",
    )
    intent_model: str = Field(
        "", description="A model of its own for intents, where `model` is not the default."
    )
    model_threads: int = Field(
        0, ge=0, description="CPU threads for the model; 0: as many as there are cores."
    )
    model_precision: Precision = Field(
        "fp32",
        description="`fp32`, or `bf16`: faster where the processor multiplies bfloat16 (elsewhere the same "
        "as `fp32`, with a warning); about one label in a thousand differs.",
    )
    analysis_batch: int = Field(64, ge=1, le=1024, description="How many messages are scored together.")
    analysis_lease_seconds: int = Field(
        60, ge=1, description="After this long an unfinished batch is claimed again by another worker."
    )
    fetch_lease_seconds: int = Field(
        30, ge=1, description="After this long a channel whose worker died is fetched by another."
    )
    delivery_lease_seconds: int = Field(
        60, ge=1, description="After this long an unfinished sending counts as interrupted."
    )
    delivery_attempts: int = Field(
        8, ge=1, description="How often a refused delivery is tried before it fails."
    )
    webhook_max_bytes: int = Field(5_000_000, ge=1_000, description="The largest webhook request accepted.")
    attachment_max_bytes: int = Field(
        30_000_000,
        ge=1_000,
        description="The largest attachment kept, and the most that all files of one reply may have.",
    )
    smtp_url: SecretStr | None = Field(
        None,
        description="Where mails to colleagues leave, so far warnings: `smtps://user:password@host` (TLS), "
        "`smtp://…` (STARTTLS), `smtp+plain://host:25` (inside a trusted network); empty: none are sent.",
    )
    mail_from: str = Field("", description="The address that mails to colleagues come from.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much is logged.")
    log_json: bool = Field(False, description="Log lines as JSON instead of text.")

    @model_validator(mode="after")
    def _mails_leave_from_somewhere(self) -> Self:
        if self.smtp_url is not None and self.smtp_url.get_secret_value():
            url = urlsplit(self.smtp_url.get_secret_value())
            if url.scheme not in ("smtps", "smtp", "smtp+plain") or not url.hostname:
                raise ValueError("smtp_url is smtps://host, smtp://host or smtp+plain://host")
            if "@" not in self.mail_from:
                raise ValueError("to send mails, mail_from is needed: the address that they come from")
        return self

    @property
    def resolved_database_url(self) -> str:
        """The database URL with the default filled in."""
        return self.database_url or f"sqlite:///{(self.home / 'hub.db').absolute()}"

    @cached_property
    def key(self) -> str:
        """The secret key; generated into `home/secret.key`, readable by its owner only, where none is set."""
        if self.secret_key and self.secret_key.get_secret_value():
            return self.secret_key.get_secret_value()
        path = self.home / "secret.key"
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            # Linked into place whole, so that two processes starting together agree on one key.
            fresh = path.with_suffix(f".{os.getpid()}")
            fresh.touch(mode=0o600)
            fresh.write_text(secrets.token_urlsafe(48))
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink(missing_ok=True)
        return path.read_text().strip()
