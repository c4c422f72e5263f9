"""The calls of X's API v2 that the connector makes, through tweepy: https://docs.x.com/x-api."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import requests
import tweepy

from connectors.base import Budget, OutcomeUnknown, RetryLater
from connectors.x.transport import HOST, Transport, explanation

# These write whole requests at the level DEBUG, the Authorization header included.
for _name in ("tweepy.client", "requests_oauthlib", "oauthlib"):
    logging.getLogger(_name).setLevel(logging.INFO)

POST_FIELDS = {
    "tweet_fields": [
        "attachments",
        "author_id",
        "conversation_id",
        "created_at",
        "edit_history_tweet_ids",
        "entities",
        "in_reply_to_user_id",
        "lang",
        "note_tweet",
        "referenced_tweets",
        "text",
        "withheld",
    ],
    "expansions": ["author_id", "attachments.media_keys"],
    "user_fields": ["name", "public_metrics", "username"],
    "media_fields": ["alt_text", "media_key", "preview_image_url", "type", "url", "variants"],
}
"""What is asked of every post."""

DM_FIELDS = {
    "dm_event_fields": [
        "attachments",
        "created_at",
        "dm_conversation_id",
        "entities",
        "event_type",
        "sender_id",
        "text",
    ],
    "event_types": "MessageCreate",
    "expansions": ["sender_id", "attachments.media_keys"],
    "user_fields": POST_FIELDS["user_fields"],
    "media_fields": POST_FIELDS["media_fields"],
}
"""What is asked of every direct message."""


@dataclass(frozen=True, slots=True)
class UserToken:
    """A token of the account (OAuth 2.0), and when it runs out."""

    value: str = field(repr=False)
    ends_at: datetime


class Client:
    """The calls that the connector makes. Each raises: RetryLater, AuthExpired; those that read BadPayload,
    those that send Refused, those that publish OutcomeUnknown too."""

    def __init__(
        self,
        *,
        keys: tuple[str, str, str, str] | None,
        bearer_token: str | None,
        base_url: str | None,
        timeout_seconds: float,
        clock: Callable[[], datetime],
        token: UserToken | None = None,
    ) -> None:
        self.has_account = keys is not None or token is not None
        self.bearer_token = bearer_token
        self._token = token
        self._clock = clock
        # By keys each request is signed; a token of the account stands where that of the app would.
        self._signs = keys is not None
        consumer_key, consumer_secret, access_token, access_token_secret = keys or (None, None, None, None)
        self._trust_env = base_url is None
        self._transport = Transport(base_url, timeout_seconds, clock)
        self._app = tweepy.Client(bearer_token, return_type=requests.Response)
        self._user = tweepy.Client(
            token.value if token else None,
            consumer_key,
            consumer_secret,
            access_token,
            access_token_secret,
            return_type=requests.Response,
        )
        for each in (self._app, self._user):
            self.mount(each.session)

    def mount(self, session: requests.Session) -> None:
        """Let a session of tweepy's go our way; its host is fixed in the library."""
        session.mount(HOST, self._transport)
        # The machine's proxy is for the way to X, not for the one to a server of one's own.
        session.trust_env = self._trust_env

    def hang_up(self) -> None:
        """End the open stream, if there is one."""
        self._transport.hang_up()

    def limits(self) -> tuple[Budget, ...]:
        """What X said last of its limits."""
        return tuple(self._transport.limits.values())

    def me(self) -> Mapping[str, Any]:
        """The account: `id`, `username`, `name`, `public_metrics`."""
        found = _read(self._account.get_me(user_fields=["public_metrics"], user_auth=self._signs))
        data = found.get("data")
        if not isinstance(data, dict) or not str(data.get("id", "")).isdecimal():
            raise RetryLater(f"X does not say whose account this is. {explanation(found)}".strip())
        return data

    def mentions(self, user_id: str, **params: Any) -> Mapping[str, Any]:
        """GET /2/users/:id/mentions, of the last 800."""
        return _page(
            self._account.get_users_mentions(user_id, user_auth=self._signs, **POST_FIELDS, **params)
        )

    def search(self, query: str, *, whole_archive: bool, **params: Any) -> Mapping[str, Any]:
        """GET /2/tweets/search/recent (seven days), or /all where the plan has it."""
        if whole_archive:
            return _page(self._app.search_all_tweets(query, **POST_FIELDS, **params))
        return _page(
            self._reader.search_recent_tweets(query, user_auth=self._reads_signed, **POST_FIELDS, **params)
        )

    def posts(self, ids: list[str]) -> Mapping[str, Any]:
        """GET /2/tweets of up to 100 ids."""
        return _read(self._reader.get_tweets(ids, user_auth=self._reads_signed, **POST_FIELDS))

    def own_posts(self, user_id: str, **params: Any) -> Mapping[str, Any]:
        """GET /2/users/:id/tweets, newest first."""
        fields = ["created_at", "entities", "note_tweet", "referenced_tweets", "text"]
        return _page(
            self._account.get_users_tweets(
                user_id, user_auth=self._signs, max_results=100, tweet_fields=fields, **params
            )
        )

    def direct_messages(self, **params: Any) -> Mapping[str, Any]:
        """GET /2/dm_events, of the last 30 days, or those of one `dm_conversation_id`."""
        return _page(self._account.get_direct_message_events(user_auth=self._signs, **DM_FIELDS, **params))

    def usage(self) -> Mapping[str, Any]:
        """GET /2/usage/tweets: how many posts the project has read this month, and may."""
        data = self._get("/2/usage/tweets", {"usage.fields": "cap_reset_day,project_cap,project_usage"})
        found = data.get("data")
        return found if isinstance(found, dict) else {}

    def publish(self, text: str, in_reply_to: str, media_ids: list[str]) -> Mapping[str, Any]:
        """POST /2/tweets: a reply. What it gives has `id`."""
        self._fresh_connection()
        return _written(
            self._account.create_tweet(
                text=text or None,
                in_reply_to_tweet_id=in_reply_to,
                media_ids=media_ids or None,
                user_auth=self._signs,
            )
        )

    def write_directly(self, text: str, dm_conversation_id: str, media_ids: list[str]) -> Mapping[str, Any]:
        """POST /2/dm_conversations/:id/messages. What it gives has `dm_event_id`."""
        self._fresh_connection()
        return _written(
            self._account.create_direct_message(
                user_auth=self._signs,
                dm_conversation_id=dm_conversation_id,
                text=text or None,
                media_id=media_ids[0] if media_ids else None,
            )
        )

    def post_json(self, route: str, content: Any) -> Mapping[str, Any]:
        """Any other POST of the account, with what it gives as `data`; tweepy has no method for media."""
        found = _read(self._account.request("POST", route, json=content, user_auth=self._signs))
        data = found.get("data")
        return data if isinstance(data, dict) else {}

    def get_as_account(self, route: str, params: Mapping[str, str]) -> Mapping[str, Any]:
        """Any other GET of the account."""
        found = _read(self._account.request("GET", route, params=dict(params), user_auth=self._signs))
        data = found.get("data")
        return data if isinstance(data, dict) else {}

    def signature(self, url: str) -> Mapping[str, str]:
        """The headers by which the account asks for what lies at `url`. Raises: RetryLater."""
        user = self._account
        if not self._signs:
            return {"Authorization": f"Bearer {user.bearer_token}"}
        auth = tweepy.OAuth1UserHandler(
            user.consumer_key, user.consumer_secret, user.access_token, user.access_token_secret
        ).apply_auth()
        signed = requests.Request("GET", url, auth=auth).prepare().headers["Authorization"]
        return {"Authorization": signed if isinstance(signed, str) else signed.decode()}

    def close(self) -> None:
        """Give connections back."""
        self._app.session.close()
        self._user.session.close()

    @property
    def _account(self) -> tweepy.Client:
        """Who asks as the account. Raises: RetryLater where its token has run out."""
        if self._token is not None and self._token.ends_at <= self._clock():
            raise RetryLater("The account's token has run out, and is being renewed.", after_seconds=5)
        return self._user

    @property
    def _reader(self) -> tweepy.Client:
        # An app has its own limits, wider ones mostly.
        return self._account if self.bearer_token is None else self._app

    @property
    def _reads_signed(self) -> bool:
        return self.bearer_token is None and self._signs

    def _get(self, route: str, params: Mapping[str, str]) -> Mapping[str, Any]:
        return _read(self._app.request("GET", route, params=dict(params)))

    def _fresh_connection(self) -> None:
        # One that was kept could be cut while we write, and leave us guessing.
        self._user.session.close()


def _read(response: requests.Response) -> Mapping[str, Any]:
    try:
        found = response.json()
    except (ValueError, RecursionError, requests.RequestException):
        raise RetryLater("X answered with something that is not JSON.") from None
    if not isinstance(found, dict):
        raise RetryLater("X answered with something that is no object.")
    return found


def _page(response: requests.Response) -> Mapping[str, Any]:
    """A page of a list. What could not be shown stands in `errors` beside the rest; errors alone are none."""
    found = _read(response)
    if found.get("errors") and "data" not in found and "meta" not in found:
        raise RetryLater(f"X gives no answer: {explanation(found)}")
    return found


def _written(response: requests.Response) -> Mapping[str, Any]:
    try:
        data = json.loads(response.content)["data"]
    except (ValueError, RecursionError, KeyError, TypeError, requests.RequestException):
        data = None
    if not isinstance(data, dict):
        raise OutcomeUnknown("X answered to the reply, but does not say which post it is.")
    return data
