"""Settings of an `x` channel."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AwareDatetime, Field, HttpUrl, PositiveFloat, SecretStr, model_validator

from connectors.base import Config
from connectors.fields import MAX_BODY_BYTES
from connectors.x.spending import QUOTAS, Plan, Quota
from connectors.x.text import MAX_LENGTH

_FEW_READS = 1_000

Query = Annotated[str, Field(min_length=1, max_length=4096)]


class XConfig(Config):
    """Settings of an `x` channel; the README explains each."""

    consumer_key: SecretStr | None = Field(None, description="the app's API key (OAuth 1.0a)")
    consumer_secret: SecretStr | None = Field(None, description="the app's API key secret")
    access_token: SecretStr | None = Field(
        None, description="the account's access token, made with read and write permission"
    )
    access_token_secret: SecretStr | None = Field(None, description="the account's access token secret")
    oauth2_client_id: str | None = Field(None, description="the app's client id (OAuth 2.0)")
    oauth2_client_secret: SecretStr | None = Field(
        None, description="the app's client secret, where it is a confidential one"
    )
    oauth2_redirect_url: str = Field(
        "http://127.0.0.1/",
        pattern=r"^https?://\S+$",
        description="a callback address of the app; the browser ends there when somebody has signed in",
    )
    oauth2_access_token: SecretStr | None = Field(
        None, description="the account's token; `hub channels authorize` gets it, and the hub renews it"
    )
    oauth2_refresh_token: SecretStr | None = Field(None, description="what it is renewed with, once")
    oauth2_expires_at: AwareDatetime | None = Field(None, description="when it runs out")
    bearer_token: SecretStr | None = Field(
        None, description="the app's own token, for searches and the stream"
    )
    mentions: bool = Field(True, description="whether posts that mention the account are read")
    direct_messages: bool = Field(
        False, description="whether direct messages are read, where the plan and the permission allow it"
    )
    searches: tuple[Query, ...] = Field(
        (), description="queries in X's own language; what they overhear is addressed to nobody"
    )
    stream: bool = Field(
        True, description="whether the filtered stream is used, where there is a bearer token"
    )
    rule_tag: str = Field(
        "cem-hub",
        min_length=1,
        max_length=60,
        pattern=r"^[^:]+$",
        description="what the tags of our stream rules begin with; another one for each channel of one app",
    )
    whole_archive: bool = Field(
        False, description="whether searches reach further back than seven days; only some plans do"
    )
    plan: Plan = Field("pay_per_use", description="the plan of the app's project, which sets the quotas")
    posts_read_a_month: int | None = Field(
        None, ge=0, description="how many posts may be read in a month, instead of the plan's number"
    )
    posts_written_a_month: int | None = Field(
        None, ge=0, description="how many posts may be written in a month, instead of the plan's number"
    )
    month_begins_on: int = Field(1, ge=1, le=28, description="the day on which the plan's month begins")
    overheard_share: float = Field(
        0.8,
        gt=0,
        le=1,
        description="the part of the posts to be read that searches, history and looking again may use up",
    )
    recheck_posts: int | None = Field(
        None,
        ge=0,
        le=500,
        description="how many of the latest posts are looked at again, for deletions and edits; by default"
        " 100, and none where a month has fewer than 1,000 reads",
    )
    recheck_hours: PositiveFloat = Field(24.0, description="how often they are looked at again")
    country: str | None = Field(
        None,
        pattern=r"^[A-Z]{2}$",
        description="where the hub is (ISO 3166-1, as in DE): posts withheld there count as deleted",
    )
    max_length: int = Field(
        MAX_LENGTH, ge=1, le=25_000, description="how long the account's posts may be; more with X Premium"
    )
    max_body_bytes: int = Field(MAX_BODY_BYTES, ge=1, description="a longer text is rejected")
    timeout_seconds: PositiveFloat = Field(20.0, description="for connecting, and for each wait on X")
    base_url: HttpUrl | None = Field(
        None, description="a server to ask instead of X's own: for tests, or a proxy"
    )

    @model_validator(mode="after")
    def _keys_belong_together(self) -> Self:
        keys = (self.consumer_key, self.consumer_secret, self.access_token, self.access_token_secret)
        if any(keys) and not all(keys):
            raise ValueError(
                "consumer_key, consumer_secret, access_token and access_token_secret go together"
            )
        if self.access_token and not self.account_id.isdecimal():
            raise ValueError("access_token begins with the account's number and a -")
        if self.oauth2_client_id and any(keys):
            raise ValueError("the account signs in by OAuth 1.0a or by OAuth 2.0, not by both")
        if self.oauth2_access_token and not (self.oauth2_client_id and self.oauth2_refresh_token):
            raise ValueError("oauth2_access_token needs oauth2_client_id and oauth2_refresh_token")
        if self.whole_archive and self.bearer_token is None:
            raise ValueError("whole_archive needs a bearer_token")
        return self

    @property
    def keys(self) -> tuple[str, str, str, str] | None:
        """The four keys of the account, if it has them."""
        if not (
            self.consumer_key and self.consumer_secret and self.access_token and self.access_token_secret
        ):
            return None
        return (
            self.consumer_key.get_secret_value(),
            self.consumer_secret.get_secret_value(),
            self.access_token.get_secret_value(),
            self.access_token_secret.get_secret_value(),
        )

    @property
    def account_id(self) -> str:
        """The account's number, which its access token begins with; empty without a token."""
        return self.access_token.get_secret_value().partition("-")[0] if self.access_token else ""

    @property
    def quota(self) -> Quota:
        """The plan's, with the channel's own numbers before it."""
        plan = QUOTAS[self.plan]
        return Quota(
            plan.read if self.posts_read_a_month is None else self.posts_read_a_month,
            plan.written if self.posts_written_a_month is None else self.posts_written_a_month,
        )

    @property
    def posts_looked_at_again(self) -> int:
        """`recheck_posts`, or what suits the quota."""
        if self.recheck_posts is not None:
            return self.recheck_posts
        return 0 if self.quota.read is not None and self.quota.read < _FEW_READS else 100
