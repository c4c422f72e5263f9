"""Replies on their way out, and those that may have gone already."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from connectors.base import Attachment, OutboundMessage, OutcomeUnknown, Refused, RetryLater, Sent
from connectors.fields import BadRecord, clean
from connectors.mastodon import parse
from connectors.mastodon.client import Client
from connectors.mastodon.parse import Reader
from connectors.mastodon.writing import Visibility, addressed, at_most, counted, key

_MAX_FILES = 4
_FIRST_LOOK_SECONDS = 0.5
_LONGEST_LOOK_SECONDS = 5.0
_REMEMBERED = 1_000
_PAGES = 10
_CLOCKS_APART = timedelta(minutes=5)


class Sending:
    """Writes as one account. `about` is what the server says of itself, `limit` the characters of a post."""

    def __init__(
        self,
        client: Client,
        reader: Callable[[], Reader],
        about: Callable[[], Mapping[str, Any]],
        limit: Callable[[], int],
        *,
        most_public: Visibility,
        patience_seconds: float,
        pause: Callable[[float], None],
    ) -> None:
        self._client = client
        self._reader = reader
        self._about = about
        self._limit = limit
        self._most_public = most_public
        self._patience_seconds = patience_seconds
        self._pause = pause
        self._uploads: OrderedDict[str, dict[int, str]] = OrderedDict()
        self._sent: OrderedDict[str, str] = OrderedDict()

    def send(self, message: OutboundMessage) -> Sent:
        """Raises: RetryLater, AuthExpired, Refused, OutcomeUnknown, BadPayload (no sense is made)."""
        text, parent = self._words(message)
        told = self._told(message, parent)
        warning = str(told.get("spoiler_text") or "")
        length, limit = counted(text) + counted(warning), self._limit()
        if length > limit:
            raise Refused(
                f"The reply has {length} characters with the mention and the content warning; "
                f"this server takes {limit}."
            )
        visibility = at_most(str(told.get("visibility") or ""), self._most_public)
        files = [self._file(message, number) for number in self._files(message)]
        external_id = self._client.post(
            text,
            in_reply_to_id=parent,
            media_ids=files or None,
            visibility=visibility,
            spoiler_text=warning or None,
            sensitive=bool(warning),
            language=told.get("language") or None,
            idempotency_key=key(message.idempotency_key),
        )
        if external_id is not None:
            _remember(self._sent, external_id, message.idempotency_key)
        self._uploads.pop(message.idempotency_key, None)
        return Sent(external_id, f"visible: {visibility}")

    def find(self, message: OutboundMessage) -> Sent | None:
        """Raises: OutcomeUnknown, and what reading raises."""
        if message.created_at is None:
            raise OutcomeUnknown("Nobody knows since when to look for this reply.")
        text, parent = self._words(message)
        since = message.created_at - _CLOCKS_APART
        for status in self._written(since):
            found = parse.identifier(status)
            # Words that are known to be another reply's do not count.
            another = self._sent.get(found or "", message.idempotency_key) != message.idempotency_key
            if found is None or another or parse.answered_id(status) != parent:
                continue
            source = self._client.source(found)
            if source is not None and source.strip() == text.strip():
                return Sent(found, "found among the account's statuses")
        return None

    def _words(self, message: OutboundMessage) -> tuple[str, str | None]:
        """The text as it goes out, and what it answers. Raises: Refused."""
        parent = message.in_reply_to or message.thread_key
        recipient = message.recipient
        named = recipient is not None and recipient.kind == "handle" and recipient.value
        if parent is None and not named:
            raise Refused("Nobody is said to whom this goes.")
        try:
            text = clean(message.text, "text")
            handle = clean(recipient.value, "handle") if named and recipient is not None else ""
        except BadRecord as bad:
            raise Refused(bad.detail) from None
        return (addressed(text, handle, self._reader().domain) if handle else text), parent

    def _told(self, message: OutboundMessage, parent: str | None) -> Mapping[str, Any]:
        """Visibility, content warning and language of what is answered; from the server, where we were not
        told. What answers nothing goes to its recipient alone."""
        if message.answered.get("visibility"):
            return message.answered
        if parent is None:
            return {"visibility": "direct"}
        status = self._client.status(parent) if parse.is_id(parent) else None
        if status is None:
            raise Refused("What this answers is gone, or not for this account to see.", status=404)
        return status

    def _files(self, message: OutboundMessage) -> range:
        most = _number(self._about(), "statuses", "max_media_attachments") or _MAX_FILES
        if len(message.attachments) > most:
            raise Refused(f"A post on this server carries {most} files, not {len(message.attachments)}.")
        for file in message.attachments:
            self._fits(file)
        return range(len(message.attachments))

    def _fits(self, file: Attachment) -> None:
        if file.content is None:
            raise Refused(f"{file.name} is not here any more, only its name.")
        rules = self._about().get("configuration", {})
        kinds = (
            rules.get("media_attachments", {}).get("supported_mime_types")
            if isinstance(rules, dict)
            else None
        )
        if isinstance(kinds, list) and kinds and file.content_type not in kinds:
            raise Refused(f"This server does not take {file.content_type} ({file.name}).")
        family = file.content_type.partition("/")[0]
        most = _number(self._about(), "media_attachments", f"{family}_size_limit")
        if most is not None and len(file.content) > most:
            raise Refused(f"{file.name} has {len(file.content):,} bytes; this server takes {most:,}.")

    def _file(self, message: OutboundMessage, number: int) -> str:
        """Upload a file, once for all tries at this reply, and wait until the server is done with it."""
        here = self._uploads.setdefault(message.idempotency_key, {})
        while len(self._uploads) > _REMEMBERED:
            self._uploads.popitem(last=False)
        if number not in here:
            here[number] = self._client.upload(message.attachments[number])
        waited, step = 0.0, _FIRST_LOOK_SECONDS
        try:
            while not self._client.uploaded(here[number]):
                if waited >= self._patience_seconds:
                    raise RetryLater("The server is still working on an upload.", after_seconds=30)
                self._pause(step)
                waited, step = waited + step, min(2 * step, _LONGEST_LOOK_SECONDS)
        except Refused as error:
            # Gone, or it could not be worked on: the next try must upload anew.
            self._uploads.pop(message.idempotency_key, None)
            if error.status == 404:
                raise RetryLater("The server has lost an upload.") from None
            raise
        return here[number]

    def _written(self, since: Any) -> Iterator[Any]:
        """Our own statuses since then, newest first. Raises: OutcomeUnknown where they are too many."""
        reader = self._reader()
        before: str | None = None
        for _ in range(_PAGES):
            page = self._client.statuses_of(str(reader.own_id), before=before)
            for status in page:
                written = parse.written_at(status, reader.now)
                if written is None or written >= since:
                    yield status
            ids = [each for status in page if (each := parse.identifier(status))]
            oldest = parse.written_at(page[-1], reader.now) if page else None
            if not ids or (oldest is not None and oldest < since):
                return
            before = ids[-1]
        raise OutcomeUnknown("The account has written too much since to look through.")


def _remember(known: OrderedDict[str, str], name: str, value: str) -> None:
    known[name] = value
    while len(known) > _REMEMBERED:
        known.popitem(last=False)


def _number(about: Mapping[str, Any], group: str, name: str) -> int | None:
    rules = about.get("configuration")
    found = rules.get(group) if isinstance(rules, dict) else None
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
