"""A server in X's place on this machine: keeps posts, messages and rules, and answers as X documents.

Every exchange is checked against X's published contract where that is at hand (`published`); what is not as
published stands in `breaches`. Users, posts and keys are invented.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from queue import SimpleQueue
from typing import Any

from connectors.x.reading import id_at, time_of
from tests.connectors.x.answers import PROBLEM, Answer, error, invalid, missing, shortened

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
KEYS = {
    "consumer_key": "standin-consumer-key",
    "consumer_secret": "standin-consumer-secret",
    "access_token": "900-standin-access-token",
    "access_token_secret": "standin-access-token-secret",
}
BEARER = "standin-bearer-token"
APP = {"oauth2_client_id": "standin-client-id", "oauth2_client_secret": "standin-client-secret"}
CODE = "standin-authorization-code"
BRAND = {
    "id": "900",
    "name": "Acme Parcels",
    "username": "acmeparcels",
    "public_metrics": {
        "followers_count": 5100,
        "following_count": 12,
        "tweet_count": 40,
        "listed_count": 3,
    },
}
_MENTION = re.compile(r"@(\w+)")


def user(number: int, username: str, name: str = "", followers: int = 7) -> dict[str, Any]:
    """A person at X."""
    metrics = {"followers_count": followers, "following_count": 1, "tweet_count": 2, "listed_count": 0}
    return {
        "id": str(number),
        "username": username,
        "name": name or username.title(),
        "public_metrics": metrics,
    }


@dataclass
class Request:
    """What was asked. `user` is True where it was signed with the account's keys."""

    method: str
    path: str
    params: dict[str, str]
    body: Any
    user: bool


class StandIn:
    """What X knows. Tests put things in and look at what came."""

    def __init__(self) -> None:
        self.url = ""
        self.now = NOW
        self.check = True
        self.users: dict[str, dict[str, Any]] = {"900": dict(BRAND)}
        self.posts: dict[str, dict[str, Any]] = {}
        self.media: dict[str, dict[str, Any]] = {}
        self.direct_messages: list[dict[str, Any]] = []
        self.rules: list[dict[str, str]] = []
        self.gone: dict[str, str] = {}
        self.usage: dict[str, Any] | None = {"project_usage": 0, "project_cap": 1000}
        self.requests: list[Request] = []
        self.breaches: list[str] = []
        self.exchanges = 0
        self.answers: list[tuple[str, Answer]] = []
        self.lines: SimpleQueue[bytes | None] = SimpleQueue()
        self.streams = 0
        self.listening = 0
        self.keep_alive_seconds = 0.02
        self.remaining: dict[str, int] = {}
        self.page_size = 100
        self.processing = 0
        self.user_tokens: list[str] = []
        self.refresh_token: str | None = None
        self.challenge = ""
        self.granted = 0
        self._serial = count(1)
        self._ids = count(1)

    def post(self, author: dict[str, Any], text: str, *, minutes_ago: float = 10, **more: Any) -> str:
        """Somebody writes; the id. A reply names its parent as `parent`."""
        self.users[author["id"]] = author
        made = self.now - timedelta(minutes=minutes_ago)
        number = str(id_at(made) + next(self._serial))
        parent = self.posts.get(more.pop("parent", ""))
        value: dict[str, Any] = {
            "id": number,
            "text": html.escape(text, quote=False),
            "author_id": author["id"],
            "conversation_id": parent["conversation_id"] if parent else number,
            "created_at": made.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "edit_history_tweet_ids": [number],
            "lang": "en",
            **more,
        }
        if parent:
            value["in_reply_to_user_id"] = parent["author_id"]
            value["referenced_tweets"] = [{"type": "replied_to", "id": parent["id"]}]
        names = {each["username"].lower(): each["id"] for each in self.users.values()}
        mentions = [
            {"start": m.start(), "end": m.end(), "username": m[1], "id": names[m[1].lower()]}
            for m in _MENTION.finditer(value["text"])
            if m[1].lower() in names
        ]
        if mentions:
            value.setdefault("entities", {})["mentions"] = mentions
        self.posts[number] = value
        return number

    def edit(self, number: str, text: str, *, minutes_ago: float) -> str:
        """Its author changes a post: that is a new one which knows of the old ones."""
        old = self.posts[number]
        author = self.users[old["author_id"]]
        history = old["edit_history_tweet_ids"]
        new = self.post(author, text, minutes_ago=minutes_ago, conversation_id=old["conversation_id"])
        self.posts[new]["edit_history_tweet_ids"] = [*history, new]
        for each in history:
            self.posts[each]["edit_history_tweet_ids"] = [*history, new]
        return new

    def write(self, sender: dict[str, Any], text: str, *, minutes_ago: float = 10, **more: Any) -> str:
        """Somebody writes to the brand directly; the id."""
        self.users[sender["id"]] = sender
        made = self.now - timedelta(minutes=minutes_ago)
        number = str(id_at(made) + next(self._serial))
        value = {
            "id": number,
            "event_type": "MessageCreate",
            "text": html.escape(text, quote=False),
            "sender_id": sender["id"],
            "dm_conversation_id": "77-900",
            "created_at": made.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            **more,
        }
        self.direct_messages.append(value)
        return number

    def next_answer(self, part: str, answer: Answer) -> None:
        """The next request whose method and path hold `part` is answered so; those after it as ever."""
        self.answers.append((part, answer))

    def asked(self, part: str) -> list[Request]:
        """The requests whose method and path hold `part`."""
        return [each for each in self.requests if part in f"{each.method} {each.path}"]

    def by_brand(self) -> list[dict[str, Any]]:
        """What the brand posted, oldest first."""
        return [post for post in self.posts.values() if post["author_id"] == "900"]

    def grant(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Tokens of the brand's account, as docs.x.com has them ("OAuth 2.0 Authorization Code Flow with
        PKCE"): a code or a refresh token serves once, a client secret goes in the header."""
        app = f"{APP['oauth2_client_id']}:{APP['oauth2_client_secret']}"
        if authorization != f"Basic {base64.b64encode(app.encode()).decode()}":
            told = "Missing valid authorization header"
            return 401, {"error": "unauthorized_client", "error_description": told}
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        fits = {
            "authorization_code": form.get("code") == CODE
            and base64.urlsafe_b64encode(verifier).decode().rstrip("=") == self.challenge,
            "refresh_token": form.get("refresh_token") == self.refresh_token is not None,
        }
        if not fits.get(form["grant_type"]):
            told = "Value passed for the token was invalid."
            return 400, {"error": "invalid_request", "error_description": told}
        self.granted += 1
        self.challenge, self.refresh_token = "", f"standin-refresh-{self.granted}"
        self.user_tokens = [f"standin-access-{self.granted}"]
        return 200, {
            "token_type": "bearer",
            "expires_in": 7200,
            "access_token": self.user_tokens[0],
            "refresh_token": self.refresh_token,
            "scope": "tweet.read users.read offline.access",
        }

    # What X does ------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Answer:
        """The answer to a request that is signed."""
        self.requests.append(request)
        told = f"{request.method} {request.path}"
        for place, (part, answer) in enumerate(self.answers):
            if part in told:
                del self.answers[place]
                if answer.cut == "after":
                    self._dispatch(request)
                return answer
        return self._dispatch(request)

    def _dispatch(self, request: Request) -> Answer:
        for pattern, deed in self._routes().items():
            method, _, path = pattern.partition(" ")
            if request.method == method and (found := re.fullmatch(path, request.path)):
                return deed(request, *found.groups())
        return error(404, "about:blank", "Not Found", f"{request.path} is no address here.")

    def _routes(self) -> dict[str, Callable[..., Answer]]:
        return {
            r"GET /2/users/me": self._me,
            r"GET /2/users/(\d+)/mentions": self._mentions,
            r"GET /2/users/(\d+)/tweets": self._own_posts,
            r"GET /2/tweets/search/(recent|all)": self._search,
            r"GET /2/tweets": self._lookup,
            r"POST /2/tweets": self._publish,
            r"GET /2/dm_events": self._dm_events,
            r"GET /2/dm_conversations/([\d-]+)/dm_events": self._dm_events,
            r"POST /2/dm_conversations/([\d-]+)/messages": self._dm_send,
            r"GET /2/usage/tweets": self._usage,
            r"GET /2/tweets/search/stream/rules": self._get_rules,
            r"POST /2/tweets/search/stream/rules": self._set_rules,
            r"POST /2/media/upload": self._upload,
            r"POST /2/media/upload/initialize": self._initialize,
            r"POST /2/media/upload/(\d+)/append": self._append,
            r"POST /2/media/upload/(\d+)/finalize": self._finalize,
            r"GET /2/media/upload": self._media_status,
            r"POST /2/media/metadata": self._describe,
        }

    def _me(self, request: Request) -> Answer:
        if not request.user:
            kind = f"{PROBLEM}unsupported-authentication"
            return error(403, kind, "Unsupported Authentication", "This endpoint needs a user context.")
        return Answer(body={"data": self.users["900"]})

    def _usage(self, request: Request) -> Answer:
        if self.usage is None:
            return error(403, "about:blank", "Forbidden", "The plan does not tell.")
        return Answer(body={"data": self.usage})

    def _mentions(self, request: Request, number: str) -> Answer:
        def fits(post: dict[str, Any]) -> bool:
            mentions = post.get("entities", {}).get("mentions", [])
            return any(each["id"] == number for each in mentions) or post.get("in_reply_to_user_id") == number

        return self._list(request, [post for post in self.posts.values() if fits(post)])

    def _own_posts(self, request: Request, number: str) -> Answer:
        return self._list(request, [post for post in self.posts.values() if post["author_id"] == number])

    def _search(self, request: Request, scope: str) -> Answer:
        oldest = self.now - timedelta(days=7)
        for name in ("since_id", "until_id"):
            if scope == "recent" and name in request.params and time_of(request.params[name]) < oldest:
                told = f"'{name}' must be a post id created after [{oldest:%Y-%m-%dT%H:%MZ}]."
                return invalid(name, request.params[name], told)
        start = request.params.get("start_time")
        if scope == "recent" and start and datetime.fromisoformat(start) < oldest:
            return invalid("start_time", start, "'start_time' must be on or after seven days ago.")
        if request.params["query"].count("(") != request.params["query"].count(")"):
            told = "There were errors processing your request: missing ')' at the end."
            return invalid("query", request.params["query"], told)
        words = re.findall(r"\w+", request.params["query"].partition(") -is:")[0].lower())
        found = [post for post in self.posts.values() if all(w in post["text"].lower() for w in words)]
        return self._list(request, [post for post in found if time_of(post["id"]) > oldest or scope == "all"])

    def _list(self, request: Request, found: list[dict[str, Any]]) -> Answer:
        params = request.params
        since, until = int(params.get("since_id", 0)), int(params.get("until_id", 1 << 62))
        start = datetime.fromisoformat(params.get("start_time", "1970-01-01T00:00:00Z"))
        kept = sorted(
            (
                post
                for post in found
                if since < int(post["id"]) < until
                and post["id"] not in self.gone
                and datetime.fromisoformat(post["created_at"]) >= start
                # A list shows an edited post as it is now.
                and post["edit_history_tweet_ids"][-1] == post["id"]
            ),
            key=lambda post: -int(post["id"]),
        )
        first = int(params.get("pagination_token", "a0")[1:])
        return self._page(kept, first, min(int(params.get("max_results", 10)), self.page_size))

    def _page(self, kept: list[dict[str, Any]], first: int, size: int) -> Answer:
        page = kept[first : first + size]
        meta: dict[str, Any] = {"result_count": len(page)}
        if first + size < len(kept):
            meta["next_token"] = f"a{first + size:015d}"
        if not page:
            return Answer(body={"meta": meta})
        if "author_id" in page[0]:
            meta |= {"newest_id": page[0]["id"], "oldest_id": page[-1]["id"]}
        return Answer(body={"data": page, **self._beside(page), "meta": meta})

    def _beside(self, page: list[dict[str, Any]]) -> dict[str, Any]:
        """Who wrote these and what hangs on them; who cannot be shown stands in `errors`."""
        people = {post.get("author_id") or post["sender_id"] for post in page}
        keys = {key for post in page for key in post.get("attachments", {}).get("media_keys", [])}
        includes: dict[str, Any] = {
            "users": [self.users[each] for each in sorted(people) if each not in self.gone],
            "media": [self.media[key] for key in sorted(keys)],
        }
        errors = [
            missing(each, "user", "author_id", "includes") for each in sorted(people & self.gone.keys())
        ]
        beside = {"includes": {name: value for name, value in includes.items() if value}, "errors": errors}
        return {name: value for name, value in beside.items() if value}

    def _lookup(self, request: Request) -> Answer:
        asked = request.params["ids"].split(",")
        found = [self.posts[each] for each in asked if each in self.posts and each not in self.gone]
        errors = [
            missing(each, "tweet", "ids", "data", self.gone.get(each, "resource-not-found"))
            for each in asked
            if each not in self.posts or each in self.gone
        ]
        body = {"data": found, **self._beside(found)} if found else {}
        errors += body.pop("errors", [])
        return Answer(body={**body, "errors": errors} if errors else body)

    def _publish(self, request: Request) -> Answer:
        if not request.user:
            return error(403, f"{PROBLEM}unsupported-authentication", "Unsupported", "Needs a user context.")
        text = request.body.get("text", "")
        parent = self.posts.get(request.body.get("reply", {}).get("in_reply_to_tweet_id", ""))
        if parent is None or parent["id"] in self.gone:
            told = "You attempted to reply to a Post that is deleted or not visible to you."
            return error(403, "about:blank", "Forbidden", told)
        if any(post.get("written") == text for post in self.by_brand()):
            told = "You are not allowed to create a Tweet with duplicate content."
            return error(403, "about:blank", "Forbidden", told)
        media_ids = request.body.get("media", {}).get("media_ids", [])
        if any(each not in self.media for each in media_ids):
            return invalid("media.media_ids", media_ids[0], "Your media IDs are invalid.")
        shown, urls = shortened(text, next(self._ids))
        author = self.users[parent["author_id"]]["username"]
        number = self.post(
            self.users["900"],
            html.unescape(f"@{author} {shown}"),
            minutes_ago=0,
            parent=parent["id"],
            written=text,
            entities={"urls": urls} if urls else {},
            media_ids=media_ids,
        )
        return Answer(status=201, body={"data": {"id": number, "text": self.posts[number]["text"]}})

    def _dm_events(self, request: Request, conversation: str = "") -> Answer:
        if not request.user:
            return error(403, f"{PROBLEM}unsupported-authentication", "Unsupported", "Needs a user context.")
        found = [
            each
            for each in self.direct_messages
            if not conversation or each["dm_conversation_id"] == conversation
        ]
        found.sort(key=lambda each: -int(each["id"]))
        first = int(request.params.get("pagination_token", "a0")[1:])
        return self._page(found, first, min(int(request.params.get("max_results", 100)), self.page_size))

    def _dm_send(self, request: Request, conversation: str) -> Answer:
        number = self.write(
            self.users["900"], request.body.get("text", ""), minutes_ago=0, dm_conversation_id=conversation
        )
        return Answer(status=201, body={"data": {"dm_conversation_id": conversation, "dm_event_id": number}})

    def _get_rules(self, request: Request) -> Answer:
        body: dict[str, Any] = {"meta": {"sent": "2026-03-02T12:00:00Z", "result_count": len(self.rules)}}
        return Answer(body={**body, "data": self.rules} if self.rules else body)

    def _set_rules(self, request: Request) -> Answer:
        sent = {"sent": "2026-03-02T12:00:00Z"}
        if "delete" in request.body:
            gone = set(request.body["delete"]["ids"])
            before = len(self.rules)
            self.rules = [rule for rule in self.rules if rule["id"] not in gone]
            summary: dict[str, Any] = {"deleted": before - len(self.rules), "not_deleted": 0}
            return Answer(body={"meta": {**sent, "summary": summary}})
        made: list[dict[str, str]] = []
        errors = []
        for rule in request.body["add"]:
            if rule["value"].count("(") != rule["value"].count(")"):
                kind = f"{PROBLEM}invalid-rules"
                errors.append(
                    {"type": kind, "title": "Invalid Rule", "detail": f"Missing ')' in {rule['value']}"}
                )
            else:
                made.append({**rule, "id": str(5000 + next(self._ids))})
        self.rules += made
        summary = {
            "created": len(made),
            "not_created": len(errors),
            "valid": len(made),
            "invalid": len(errors),
        }
        body: dict[str, Any] = {"meta": {**sent, "summary": summary}}
        if made:
            body["data"] = made
        if errors:
            body["errors"] = errors
        return Answer(status=201 if made else 200, body=body)

    def _upload(self, request: Request) -> Answer:
        number = str(7000 + next(self._ids))
        self.media[number] = {"content": request.body["media"], "type": request.body["media_type"]}
        return Answer(body={"data": {"id": number, "media_key": f"3_{number}"}, "meta": {}})

    def _initialize(self, request: Request) -> Answer:
        number = str(7000 + next(self._ids))
        self.media[number] = {"type": request.body["media_type"], "parts": {}, "states": self.processing}
        return Answer(body={"data": {"id": number, "media_key": f"7_{number}"}, "meta": {}})

    def _append(self, request: Request, number: str) -> Answer:
        self.media[number]["parts"][request.body["segment_index"]] = request.body["media"]
        return Answer(body={"data": {"expires_at": 1_900_000_000}, "meta": {}})

    def _finalize(self, request: Request, number: str) -> Answer:
        return self._media_state(number)

    def _media_status(self, request: Request) -> Answer:
        return self._media_state(request.params["media_id"])

    def _media_state(self, number: str) -> Answer:
        data: dict[str, Any] = {"id": number, "media_key": f"7_{number}"}
        left = self.media[number]["states"]
        self.media[number]["states"] = max(0, left - 1)
        state = "failed" if left < 0 else "in_progress" if left else "succeeded"
        data["processing_info"] = {"state": state, "check_after_secs": 0, "type": "invented"}
        return Answer(body={"data": data, "meta": {}})

    def _describe(self, request: Request) -> Answer:
        self.media[request.body["id"]]["alt_text"] = request.body["metadata"]["alt_text"]["text"]
        return Answer(body={"data": {"id": request.body["id"]}})
