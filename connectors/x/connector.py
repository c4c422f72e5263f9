"""X both ways: mentions, searches, the filtered stream and direct messages; replies as posts and directly."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from connectors.base import (
    BadPayload,
    Batch,
    Budget,
    ChannelKind,
    Config,
    Connector,
    ConnectorError,
    Cursor,
    Deleted,
    Item,
    Media,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    RetryLater,
    Sent,
)
from connectors.media import MediaHosts
from connectors.x import parse, reading
from connectors.x.client import Client
from connectors.x.oauth import Tokens, user_token
from connectors.x.parse import Account, View
from connectors.x.reading import Source
from connectors.x.sending import MAX_DIRECT_MESSAGE, Sender
from connectors.x.settings import XConfig
from connectors.x.spending import Spending
from connectors.x.stream import Stream
from connectors.x.text import MAX_LENGTH, weighted_length

# Where X keeps pictures and films; those of direct messages open to who is in them only.
_MEDIA_HOSTS = ("pbs.twimg.com", "video.twimg.com", "ton.twitter.com")
_PRIVATE_MEDIA = "https://ton.twitter.com/"
_ASK_AGAIN = timedelta(hours=1)
_LOOKUP = 100


class XConnector(Connector):
    """Speaks with X as one account, as one app, or as both."""

    name: ClassVar[str] = "x"
    kind: ClassVar[ChannelKind] = "social"
    config_type: ClassVar[type[Config]] = XConfig
    max_length: ClassVar[int | None] = MAX_LENGTH
    poll_seconds: ClassVar[int] = 90
    scorecard: ClassVar[Mapping[str, str]] = {
        "fetch": "done",
        "push": "done",
        "backfill": "done",
        "threads": "done",
        "profile": "done",
        "edits": "done",
        "deletions": "done",
        "attachments": "done",
        "send": "done",
        "media": "done",
        "length": "done",
        "idempotent": "done",
        "budget": "done",
        "auth": "done",
        "tickets": "exempt: a post has neither",
    }
    steps: ClassVar[tuple[str, ...]] = (
        "Sign in at [console.x.com](https://console.x.com) with the brand's account, and make a project with"
        " an app on a plan that reads posts.",
        "In the app's *User authentication settings* choose **Read and write**, or **Read and write and"
        " Direct message** where direct messages are to be answered.",
        "By OAuth 2.0: choose a *Web App* there, give `http://127.0.0.1/` as a callback address,"
        " and enter **client id and secret** as `oauth2_client_id` and `oauth2_client_secret`; save, and run"
        " `hub channels authorize NAME`. The next two steps are then not needed.",
        "By OAuth 1.0a: under *Keys and tokens* make the **API key and secret**: they are `consumer_key` and"
        " `consumer_secret`.",
        "There, and only after the permission is set, make the **access token and secret** of the account:"
        " they are `access_token` and `access_token_secret`. They do not run out by themselves.",
        "For searches and the stream make the **bearer token** too: it is `bearer_token`.",
        "Choose `plan` as in the console, so that the hub keeps to its quotas.",
    )

    def __init__(self, config: XConfig, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._config = config
        self._clock = clock
        self._client = Client(
            keys=config.keys,
            bearer_token=config.bearer_token.get_secret_value() if config.bearer_token else None,
            base_url=str(config.base_url) if config.base_url else None,
            timeout_seconds=config.timeout_seconds,
            clock=clock,
            token=user_token(config),
        )
        self._sender = (
            Sender(self._client, self._account_id, config.max_length) if self._has_account else None
        )
        self._tokens = Tokens(config, self._client, clock)
        self._spending: Spending | None = None
        self._own_id = ""

    def check(self) -> str:
        """Ask X whose keys these are. Raises: RetryLater, AuthExpired, BadPayload."""
        config = self._config
        self._can_ask()
        told = [f"searches for {len(config.searches)} queries"] if config.searches else []
        if self._client.has_account:
            handle = f"@{self._client.me().get('username', '')}"
            told = [f"reads what is written to {handle}"] * config.mentions + told
            told += [f"replies as {handle}"]
        if self._client.bearer_token is not None:
            # Not every plan tells how much is used.
            with suppress(BadPayload):
                read = self._client.usage().get("project_usage", 0)
                told += [f"{read} posts read this month by the project"]
        return ", ".join(told)

    @property
    def fetches(self) -> bool:
        """Whether there are credentials, and something to read with them."""
        return bool(self._sources("1"))

    def fetch(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Mentions, direct messages and searches, each from where it was; then a look at the latest again.

        A list that X limits just now, or does not give, keeps no other waiting; its error comes at the end.
        The cursor is `{"sources", "spent", "account", "known", "rechecked_at"}`: the state of each walk
        (`reading`), the month's spending, whose account it is, and the latest posts by their ids.
        """
        self._can_ask()
        now = self._clock()
        state: dict[str, Any] = {"sources": {}, "spent": {}, "account": {}, "known": {}, **(cursor or {})}
        state.setdefault("rechecked_at", now.isoformat())
        spending = Spending.load(state["spent"], now, self._config.month_begins_on)
        spending = self._ask_account(state, spending, now)
        view = self._view(state["account"], now)
        trouble: list[RetryLater | BadPayload] = []
        for source in self._sources(state["account"].get("id", "")):
            place = state["sources"].get(source.name, {})
            try:
                self._afford(spending, now, source.overheard)
                for page, following in reading.news(source, place, now):
                    spending = self._spend(spending, source, page)
                    state = self._moved(state, source, page, following, spending)
                    yield Batch(self._items(source, page, view), state)
                    if "next" in following:
                        self._afford(spending, now, source.overheard)
            except RetryLater as error:
                trouble.append(error)
            except BadPayload as error:
                trouble.append(BadPayload(f"{source.name}: {error}"))
        try:
            yield from self._look_again(state, spending, view)
        except RetryLater as error:
            trouble.append(error)
        if trouble:
            raise min(trouble, key=_urgency)

    @property
    def streams(self) -> bool:
        """Whether there is a bearer token, and something to listen for."""
        config = self._config
        listens = bool(config.searches) or (config.mentions and self._client.has_account)
        return config.stream and self._client.bearer_token is not None and listens

    def stream(self, cursor: Cursor | None, stop: Callable[[], bool]) -> Iterator[Batch]:
        """What X pushes by rules that follow `searches` and the account's handle.

        The batches carry no cursor: `fetch` reads the same posts again, for which X asks no second time on
        the same day. Raises: RetryLater, AuthExpired, BadPayload.
        """
        account = dict((cursor or {}).get("account", {}))
        if self._client.has_account and "username" not in account:
            found = self._client.me()
            account = {"id": str(found["id"]), "username": str(found.get("username", ""))}
        stream = Stream(self._client)
        stream.keep_rules(self._rules(account.get("username", "")), f"{self._config.rule_tag}:")
        for line in stream.lines(stop):
            view = self._view(account, self._clock())
            yield Batch(() if line is None else parse.event(line, view))

    def backfill(self, since: datetime, cursor: Cursor | None) -> Iterator[Batch]:
        """History: the account's last 800 mentions, 30 days of direct messages, and searches of the last
        seven days, or of the whole archive where the plan has it.

        Raises: RetryLater, AuthExpired, BadPayload.
        """
        self._can_ask()
        now = self._clock()
        state: dict[str, Any] = {"done": [], "next": {}, "spent": {}, "account": {}, **(cursor or {})}
        spending = Spending.load(state["spent"], now, self._config.month_begins_on)
        spending = self._ask_account(state, spending, now)
        view = self._view(state["account"], now)
        for source in self._sources(state["account"].get("id", "")):
            if source.name in state["done"]:
                continue
            self._afford(spending, now, overheard=not source.private)
            for page, following in reading.history(source, since, state["next"].get(source.name), now):
                spending = self._spend(spending, source, page)
                state = {**state, "spent": spending.dump(), "next": {source.name: following}}
                if following is None:
                    state = {**state, "done": [*state["done"], source.name], "next": {}}
                yield Batch(self._items(source, page, view), state)
                if following is not None:
                    self._afford(spending, now, overheard=not source.private)

    @property
    def backfills(self) -> bool:
        """As `fetches`."""
        return self.fetches

    def budgets(self) -> tuple[Budget, ...]:
        """The month's posts by the plan, and X's limits as it told them last."""
        spent = self._spending.budgets(self._config.quota) if self._spending else ()
        return (*spent, *self._client.limits())

    def download(self, url: str, max_bytes: int) -> Media:
        """From the hosts where X keeps pictures and films; what came directly is asked for with the keys.

        Raises: RetryLater, AuthExpired, Refused.
        """
        config = self._config
        hosts = MediaHosts(_MEDIA_HOSTS, str(config.base_url) if config.base_url else None)
        private = url.startswith(_PRIVATE_MEDIA) and self._client.has_account
        return hosts.fetch(
            url, max_bytes, config.timeout_seconds, headers=self._client.signature if private else None
        )

    @property
    def renews_at(self) -> datetime | None:
        """Half an hour before the account's token runs out, where it does."""
        return self._tokens.renews_at

    def renew(self) -> Mapping[str, Any]:
        """The next tokens of the account; the refresh token serves once. Raises: RetryLater, AuthExpired."""
        return self._tokens.renewed()

    def authorization_url(self) -> str | None:
        """Where the brand's account is signed in to, with a client id of OAuth 2.0."""
        return self._tokens.url()

    def authorized(self, answer_url: str) -> Mapping[str, Any]:
        """The account's first tokens. Raises: BadPayload, RetryLater."""
        return self._tokens.first(answer_url)

    def length(self, text: str) -> int:
        """By X's weights: a link counts 23, an emoji or a Chinese character two."""
        return weighted_length(text)

    def limit(self, answered: Mapping[str, Any]) -> int | None:
        """`max_length` of the settings for a post; a direct message may be longer."""
        direct = answered.get("kind") == "direct_message"
        return MAX_DIRECT_MESSAGE if direct else self._config.max_length

    @property
    def replies(self) -> bool:
        """Whether there are the keys of an account."""
        return self._sender is not None

    def send(self, message: OutboundMessage) -> Sent:
        """Reply as the account: to a post with a post, to a direct message directly."""
        if self._sender is None:
            raise Refused(
                "This channel has no keys of an account; set the four of them, or answer elsewhere."
            )
        return self._sender.send(message)

    def find_sent(self, message: OutboundMessage) -> Sent | None:
        """Look for the same words in answer to the same message, in what the account wrote since."""
        if self._sender is None:
            raise OutcomeUnknown("This channel has no keys of an account to look with.")
        return self._sender.find(message)

    def close(self) -> None:
        """Give connections back."""
        self._client.close()

    def _can_ask(self) -> None:
        if self._config.oauth2_client_id and not self._has_account:
            raise BadPayload("Nobody has signed in yet: hub channels authorize NAME.")
        if not self.fetches:
            raise BadPayload(
                "There is nothing to read: set the four keys of an account, or a bearer_token and searches."
            )

    @property
    def _has_account(self) -> bool:
        return self._config.keys is not None or self._config.oauth2_access_token is not None

    def _account_id(self) -> str:
        """The account's number; X is asked once where the keys do not say it."""
        if not self._own_id:
            self._own_id = self._config.account_id or str(self._client.me()["id"])
        return self._own_id

    def _sources(self, account_id: str) -> list[Source]:
        """What is read, the most important first, so that nothing overheard uses up what mentions need."""
        config, client = self._config, self._client
        sources: list[Source] = []
        if client.has_account and config.mentions:
            sources.append(Source("mentions", lambda **page: client.mentions(account_id, **page)))
        if client.has_account and config.direct_messages:
            sources.append(Source("direct messages", client.direct_messages, private=True))
        if client.has_account or client.bearer_token:
            sources += [self._search(query) for query in config.searches]
        return sources

    def _search(self, query: str) -> Source:
        archive = self._config.whole_archive
        return Source(
            f"search {_short(query)}",
            lambda **page: self._client.search(_query(query), whole_archive=archive, **page),
            recent=not archive,
            overheard=True,
        )

    def _rules(self, username: str) -> dict[str, str]:
        tag = self._config.rule_tag
        rules = {f"{tag}:{_short(query)}": _query(query) for query in self._config.searches}
        if self._config.mentions and username:
            rules[f"{tag}:mentions"] = f"@{username} -is:retweet"
        return rules

    def _view(self, account: Mapping[str, str], now: datetime) -> View:
        known = Account(account["id"], account.get("username", "")) if account.get("id") else None
        return View(known, now, self._config.country, self._config.max_body_bytes)

    def _items(self, source: Source, page: Mapping[str, Any], view: View) -> tuple[Item, ...]:
        if source.private:
            return parse.direct_messages(page, view)
        return parse.posts(page, view, source.name)

    def _ask_account(self, state: dict[str, Any], spending: Spending, now: datetime) -> Spending:
        """Once an hour, whose account it is and what X itself counted; `state` gets to know it."""
        self._spending = spending
        account = state["account"]
        if account and datetime.fromisoformat(account["asked_at"]) > now - _ASK_AGAIN:
            return spending
        account = {"asked_at": now.isoformat()}
        if self._client.has_account:
            found = self._client.me()
            account |= {"id": str(found["id"]), "username": str(found.get("username", ""))}
            metrics = found.get("public_metrics")
            if isinstance(metrics, Mapping) and isinstance(metrics.get("tweet_count"), int):
                spending = spending.with_account_posts(metrics["tweet_count"])
        if self._client.bearer_token is not None:
            # Where X does not tell, our own count must do.
            with suppress(ConnectorError):
                read = self._client.usage().get("project_usage")
                spending = spending.as_counted_by_x(read) if isinstance(read, int) else spending
        state["account"] = account
        self._spending = spending
        return spending

    def _afford(self, spending: Spending, now: datetime, overheard: bool) -> None:
        limit = self._config.quota.read
        if limit is None:
            return
        share = self._config.overheard_share if overheard else 1.0
        if spending.read >= limit * share:
            raise RetryLater(
                f"{spending.read:,} of {limit:,} posts of the month are read.",
                after_seconds=(spending.ends_at() - now).total_seconds(),
            )

    def _spend(self, spending: Spending, source: Source, page: Mapping[str, Any]) -> Spending:
        self._spending = spending if source.private else spending.after_reading(_count(page))
        return self._spending

    def _moved(
        self,
        state: dict[str, Any],
        source: Source,
        page: Mapping[str, Any],
        following: reading.State,
        spending: Spending,
    ) -> dict[str, Any]:
        known = state["known"]
        if not source.private:
            known = self._latest({**known, **parse.known(page)})
        return {
            **state,
            "sources": {**state["sources"], source.name: dict(following)},
            "spent": spending.dump(),
            "known": known,
        }

    def _latest(self, known: Mapping[str, str]) -> dict[str, str]:
        """The newest of them, each first id once, under its latest id."""
        by_first = {first: latest for latest, first in sorted(known.items(), key=lambda each: int(each[0]))}
        kept = sorted(by_first.items(), key=lambda each: int(each[1]))
        kept = kept[len(kept) - self._config.posts_looked_at_again :] if kept else []
        return {latest: first for first, latest in kept}

    def _look_again(self, state: dict[str, Any], spending: Spending, view: View) -> Iterator[Batch]:
        """Ask for the latest posts by id, now and then: X tells small plans of no deletion by itself."""
        known = dict(state["known"])
        due = datetime.fromisoformat(state["rechecked_at"]) + timedelta(hours=self._config.recheck_hours)
        if not known or view.now < due:
            return
        items: list[Item] = []
        asked = dict(known)
        for start in range(0, len(known), _LOOKUP):
            part = dict(list(asked.items())[start : start + _LOOKUP])
            self._afford(spending, view.now, overheard=True)
            page = self._client.posts(list(part))
            spending = spending.after_reading(_count(page))
            found, newer = parse.changes(page, view, part)
            items += found
            if newer:
                page = self._client.posts(list(newer))
                spending = spending.after_reading(_count(page))
                items += parse.changes(page, view, newer, news=True)[0]
                known |= newer
        self._spending = spending
        gone = {item.external_id for item in items if isinstance(item, Deleted)}
        known = self._latest({latest: first for latest, first in known.items() if first not in gone})
        rechecked = {"known": known, "rechecked_at": view.now.isoformat(), "spent": spending.dump()}
        yield Batch(tuple(items), {**state, **rechecked})


def _query(query: str) -> str:
    # Reposts say nothing of their own, and each would cost like a post.
    return query if "is:retweet" in query else f"({query}) -is:retweet"


def _short(query: str) -> str:
    return hashlib.sha256(query.encode()).hexdigest()[:12]


def _count(page: Mapping[str, Any]) -> int:
    data = page.get("data")
    return len(data) if isinstance(data, list) else 0


def _urgency(error: RetryLater | BadPayload) -> float:
    """Settings that are wrong first, for a person to see; then what may be tried again soonest, so that no
    list waits for another."""
    if isinstance(error, BadPayload):
        return -1.0
    return float("inf") if error.after_seconds is None else error.after_seconds
