"""Tokens of an account by OAuth 2.0: asked for in a browser with PKCE, and renewed before they run out.

https://docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code and RFC 7636. An access token
serves for two hours. A refresh token serves once: what comes for it brings the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import tweepy
from oauthlib.oauth2 import OAuth2Error

from connectors.base import AuthExpired, BadPayload
from connectors.x.client import Client, UserToken
from connectors.x.settings import XConfig
from connectors.x.transport import HOST

SCOPES = (
    "tweet.read",
    "tweet.write",
    "users.read",
    "dm.read",
    "dm.write",
    "media.write",
    "offline.access",
)
# So long before its end an access token is renewed; were the new one lost, the old one serves until then.
EARLY = timedelta(minutes=30)
_USUAL_SECONDS = 7200
_TOKEN_URL = f"{HOST}/2/oauth2/token"
_SIGN_IN = "Sign in again with the brand's account: hub channels authorize NAME."


def user_token(config: XConfig) -> UserToken | None:
    """The token of the settings; None where nobody has signed in."""
    if config.oauth2_access_token is None:
        return None
    ends_at = config.oauth2_expires_at or datetime.max.replace(tzinfo=UTC)
    return UserToken(config.oauth2_access_token.get_secret_value(), ends_at)


class Tokens:
    """How an account's tokens are had, with the app of these settings."""

    def __init__(self, config: XConfig, client: Client, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._client = client
        self._clock = clock
        self._opened: tweepy.OAuth2UserHandler | None = None

    @property
    def renews_at(self) -> datetime | None:
        """When they are renewed; None where there is nothing to renew."""
        ends_at = self._config.oauth2_expires_at
        if self._config.oauth2_refresh_token is None:
            return None
        return self._clock() if ends_at is None else ends_at - EARLY

    def url(self) -> str | None:
        """Where a person lets the app act for the account that is signed in there; None without an app."""
        return None if self._config.oauth2_client_id is None else str(self._session.get_authorization_url())

    def first(self, answer_url: str) -> dict[str, Any]:
        """The settings for the address at which the browser ended. Raises: BadPayload, RetryLater."""
        # Nobody asks that address; oauthlib reads none that begins with http.
        secure = answer_url.strip().replace("http://", "https://", 1)
        try:
            return self._settings(_granted(lambda: self._session.fetch_token(secure)))
        except (OAuth2Error, ValueError) as error:
            told = getattr(error, "description", None) or getattr(error, "error", None) or "unreadable"
            raise BadPayload(f"This is no answer to what was asked ({told}); begin anew.") from None
        except AuthExpired as error:
            raise BadPayload(f"X does not know the app by its id and secret: {error}") from None

    def renewed(self) -> dict[str, Any]:
        """The settings in place of these, whose refresh token then serves no more.

        Raises: RetryLater, AuthExpired.
        """
        known = self._config.oauth2_refresh_token
        refresh = known.get_secret_value() if known else ""
        try:
            found = _granted(
                lambda: self._session.refresh_token(
                    _TOKEN_URL,
                    refresh_token=refresh,
                    auth=self._session.auth,
                    client_id=self._config.oauth2_client_id,
                )
            )
        except (OAuth2Error, ValueError, BadPayload, AuthExpired) as error:
            told = getattr(error, "description", None) or error
            raise AuthExpired(f"X does not renew the account's token. {_SIGN_IN} ({told})") from None
        return self._settings({"refresh_token": refresh, **found})

    @property
    def _session(self) -> tweepy.OAuth2UserHandler:
        if self._opened is None:
            secret = self._config.oauth2_client_secret
            self._opened = tweepy.OAuth2UserHandler(
                client_id=self._config.oauth2_client_id,
                redirect_uri=self._config.oauth2_redirect_url,
                scope=list(SCOPES),
                client_secret=secret.get_secret_value() if secret else None,
            )
            self._client.mount(self._opened)
        return self._opened

    def _settings(self, found: Any) -> dict[str, Any]:
        access, refresh, seconds = (
            found.get(each) for each in ("access_token", "refresh_token", "expires_in")
        )
        if not isinstance(access, str) or not isinstance(refresh, str):
            raise BadPayload("X gave no lasting access; the scope offline.access is needed.")
        lasts = seconds if isinstance(seconds, int | float) and seconds > 0 else _USUAL_SECONDS
        return {
            "oauth2_access_token": access,
            "oauth2_refresh_token": refresh,
            "oauth2_expires_at": (self._clock() + timedelta(seconds=lasts)).isoformat(),
        }


def _granted(ask: Callable[[], Any]) -> Any:
    """What was given, also where somebody agreed to less than was asked for: oauthlib raises that."""
    try:
        return ask()
    except Warning as changed:
        return changed.token  # type: ignore[attr-defined]
