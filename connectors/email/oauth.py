"""Access tokens for XOAUTH2, renewed by a refresh token (RFC 6749, section 6)."""

from __future__ import annotations

import ssl
import time

import httpx2
from pydantic import SecretStr

from connectors.base import AuthExpired, RetryLater
from connectors.email.config import EmailConfig

_EARLY_SECONDS = 60
_USUAL_SECONDS = 3600


class AccessTokens:
    """The token to sign in with, asked anew shortly before it ends."""

    def __init__(self, config: EmailConfig) -> None:
        self._config = config
        self._token = config.access_token
        self._ends_at = float("inf") if config.oauth_refresh_token is None else 0.0

    @property
    def wanted(self) -> bool:
        """Whether this mailbox signs in by XOAUTH2 at all."""
        return self._config.access_token is not None or self._config.oauth_refresh_token is not None

    def token(self) -> str:
        """A token that serves now. Raises: RetryLater, AuthExpired."""
        if time.monotonic() > self._ends_at:
            self._renew()
        return self._token.get_secret_value() if self._token else ""

    def forget(self) -> None:
        """The server did not take the token: ask for another one next time."""
        if self._config.oauth_refresh_token is not None:
            self._ends_at = 0.0

    def _renew(self) -> None:
        config = self._config
        refresh, secret = config.oauth_refresh_token, config.oauth_client_secret
        form = {
            "grant_type": "refresh_token",
            "client_id": config.oauth_client_id,
            "refresh_token": refresh.get_secret_value() if refresh else "",
            **({"client_secret": secret.get_secret_value()} if secret else {}),
        }
        trusted = ssl.create_default_context(cafile=config.ca_file)
        try:
            with httpx2.Client(
                timeout=config.timeout_seconds, follow_redirects=False, verify=trusted
            ) as client:
                answer = client.post(config.oauth_token_url or "", data=form)
        except httpx2.HTTPError as error:
            raise RetryLater(f"The token cannot be renewed: {type(error).__name__}.") from None
        if answer.status_code == 429 or answer.status_code >= 500:
            wait = answer.headers.get("retry-after", "")
            raise RetryLater(
                f"The token cannot be renewed: HTTP {answer.status_code}.",
                after_seconds=float(wait[:9]) if wait.isdecimal() else None,
                status=answer.status_code,
            )
        try:
            told = answer.json() if answer.status_code == 200 else {}
            token, seconds = str(told["access_token"]), float(told.get("expires_in", _USUAL_SECONDS))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise AuthExpired(
                f"The refresh token no longer serves (HTTP {answer.status_code}); authorize the mailbox anew."
            ) from None
        self._token = SecretStr(token)
        self._ends_at = time.monotonic() + max(seconds - _EARLY_SECONDS, 0)
