"""An account's tokens by OAuth 2.0: asked for with PKCE, renewed once each, and used like the keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.base import AuthExpired, BadPayload, InboundMessage, OutboundMessage, RetryLater
from connectors.x.connector import XConnector
from connectors.x.settings import XConfig
from tests.connectors.x.standin import APP, BEARER, CODE, KEYS, NOW, StandIn, user

MARA = user(50, "mara")


def connector(x: StandIn, clock: Callable[[], datetime] = lambda: NOW, **settings: Any) -> XConnector:
    config = {**APP, "base_url": x.url, "timeout_seconds": 2, **settings}
    return XConnector(XConfig.model_validate(config), clock)


def signed_in(x: StandIn, **settings: Any) -> dict[str, Any]:
    """The settings of somebody who has agreed in a browser."""
    asking = connector(x, **settings)
    address = asking.authorization_url()
    assert address is not None
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert address.startswith("https://")
    assert asked["client_id"] == APP["oauth2_client_id"]
    assert asked["code_challenge_method"] == "S256"
    assert {"offline.access", "tweet.write", "dm.read", "media.write"} <= set(asked["scope"].split())
    x.challenge = asked["code_challenge"]
    given = asking.authorized(f"{asked['redirect_uri']}?state={asked['state']}&code={CODE}")
    return {**settings, **given}


def test_somebody_signs_in_with_a_browser_and_the_account_reads_and_writes(x: StandIn) -> None:
    settings = signed_in(x, bearer_token=BEARER, direct_messages=True)
    assert settings["oauth2_expires_at"] == (NOW + timedelta(hours=2)).isoformat()
    number = x.post(MARA, "@acmeparcels where is it?")
    x.write(MARA, "here is my number")
    account = connector(x, **settings)
    assert account.check().startswith("reads what is written to @acmeparcels")
    assert account.replies
    items = [item for batch in account.fetch(None) for item in batch.items]
    assert sorted(item.text for item in items if isinstance(item, InboundMessage)) == [
        "@acmeparcels where is it?",
        "here is my number",
    ]
    [mention] = [item for item in items if isinstance(item, InboundMessage) and item.external_id == number]
    reply = OutboundMessage(
        "reply-1",
        "On its way.",
        "Ana",
        None,
        thread_key=mention.thread_key,
        in_reply_to=mention.external_id,
        answered=mention.meta,
        created_at=NOW,
    )
    assert account.send(reply).external_id is not None
    assert connector(x, **settings).find_sent(reply) is not None
    assert all(request.user for request in x.asked("GET /2/users/"))
    assert account.renews_at == NOW + timedelta(hours=1, minutes=30)


def test_a_refresh_token_serves_once_and_brings_the_next(x: StandIn) -> None:
    settings = signed_in(x)
    later = NOW + timedelta(hours=3)
    old = connector(x, lambda: later, **settings)
    with pytest.raises(RetryLater, match="is being renewed"):
        list(old.fetch(None))
    with pytest.raises(RetryLater, match="is being renewed"):
        old.check()
    renewed = old.renew()
    assert renewed["oauth2_refresh_token"] != settings["oauth2_refresh_token"]
    assert renewed["oauth2_expires_at"] == (later + timedelta(hours=2)).isoformat()
    assert connector(x, lambda: later, **{**settings, **renewed}).check()
    with pytest.raises(AuthExpired, match="hub channels authorize") as told:
        connector(x, **settings).renew()
    assert settings["oauth2_refresh_token"] not in str(told.value)


def test_an_app_that_x_does_not_know_or_an_answer_to_something_else_is_told(x: StandIn) -> None:
    asking = connector(x)
    assert asking.authorization_url()
    for wrong in ("http://127.0.0.1/?state=other&code=c", "http://127.0.0.1/?error=access_denied", "hello"):
        with pytest.raises(BadPayload, match="begin anew"):
            asking.authorized(wrong)
    settings = signed_in(x)
    stranger = connector(x, **{**settings, "oauth2_client_secret": "another"})
    with pytest.raises(AuthExpired, match="hub channels authorize"):
        stranger.renew()
    with pytest.raises(BadPayload, match="Nobody has signed in yet"):
        connector(x).check()


def test_a_token_that_is_taken_back_needs_somebody_to_sign_in(x: StandIn) -> None:
    settings = signed_in(x)
    x.user_tokens.clear()
    with pytest.raises(AuthExpired, match="sign in again"):
        connector(x, **settings).check()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({**APP, **KEYS}, "not by both"),
        ({"oauth2_access_token": "a"}, "needs oauth2_client_id"),
        ({**APP, "oauth2_redirect_url": "javascript:1"}, "oauth2_redirect_url"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        XConfig.model_validate(settings)
