"""Through all tickets that changed since a time, so that nothing is skipped wherever one is interrupted.

Where the vendor lists the oldest change first, each page is asked for anew from the last change seen: a
ticket that changes meanwhile moves to the end and shifts the others, and counting pages would step over one.
Otherwise pages are counted, or followed by the vendor's cursor, and the time moves on only after the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.base import BadPayload, Batch, Cursor, Item, Rejected
from connectors.fields import BadRecord
from connectors.rest.client import RestClient, Status
from connectors.rest.description import Since, Tickets
from connectors.rest.paging import Page, Position, asked, read_all, read_page
from connectors.rest.parse import Reader, rejected

_GONE = (404, 410)
_LOST_PLACE = (400, 404, 410, 422)


@dataclass(frozen=True, slots=True)
class Place:
    """How far one has come: `since` where it began, `position` the page, `at` how many of it are done.

    `newest` is the latest change seen on the way, `began_at` when it began; both count only in between.
    """

    since: datetime | None
    position: Position | None = None
    at: int = 0
    newest: datetime | None = None
    began_at: datetime | None = None

    def cursor(self) -> Cursor:
        """As plain JSON."""
        return {
            "since": _text(self.since),
            "position": self.position,
            "at": self.at,
            "newest": _text(self.newest),
            "began_at": _text(self.began_at),
        }

    @classmethod
    def read(cls, cursor: Cursor) -> Place:
        """Raises: BadPayload where this is no cursor of ours."""
        try:
            position = cursor["position"]
            if not (position is None or isinstance(position, str | int)):
                raise TypeError
            return cls(
                _time(cursor["since"]),
                position,
                int(cursor["at"]),
                _time(cursor["newest"]),
                _time(cursor["began_at"]),
            )
        except (KeyError, TypeError, ValueError):
            raise BadPayload("The cursor is not one of this connector.") from None


class Walk:
    """Goes through changed tickets, and yields a batch for each."""

    def __init__(
        self,
        client: RestClient,
        tickets: Tickets,
        reader: Reader,
        variables: dict[str, Any],
        clock: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._tickets = tickets
        self._reader = reader
        self._variables = variables
        self._clock = clock

    def __call__(self, place: Place, *, overlap: timedelta) -> Iterator[Batch]:
        """What changed since `place.since` less `overlap`. Raises: as RestClient.read, and BadPayload."""
        since = self._tickets.since
        if since is not None and since.order == "ascending":
            return self._ascending(since, place, overlap)
        return self._counted(since, place, overlap)

    def _ascending(self, since: Since, place: Place, overlap: timedelta) -> Iterator[Batch]:
        begun = newest = place.since or self._clock()
        asking, position = _whole(begun - overlap), None
        while True:
            page = self._page(asking, position)
            for ticket in page.items:
                items, changed_at = self._ticket(since, ticket)
                newest = max(newest, changed_at or newest)
                yield Batch(items, Place(newest).cursor())
            if page.next is None:
                if not page.items:
                    yield Batch((), Place(newest).cursor())
                return
            again = _whole(newest)
            if again > asking:
                asking, position = again, None
            else:
                position = page.next

    def _counted(self, since: Since | None, place: Place, overlap: timedelta) -> Iterator[Batch]:
        if place.began_at is None:
            began = place.since and _whole(place.since - overlap)
            place = Place(began, newest=place.since, began_at=self._clock())
        while True:
            try:
                page = self._page(place.since, place.position)
            except Status as error:
                if place.position is None or error.status not in _LOST_PLACE:
                    raise
                # The vendor no longer knows where we were: from the start, which repeats and skips nothing.
                place = replace(place, position=None, at=0)
                continue
            waiting = page.items[place.at :]
            last = len(page.items)
            for number, ticket in enumerate(waiting, place.at + 1):
                items, changed_at = self._ticket(since, ticket)
                if changed_at and (place.newest is None or changed_at > place.newest):
                    place = replace(place, newest=changed_at)
                place = replace(place, at=number)
                following = self._turned(place, page) if number == last else place
                yield Batch(items, following.cursor())
            following = self._turned(place, page)
            if page.next is None:
                if not waiting:
                    yield Batch((), following.cursor())
                return
            place = following

    def _turned(self, place: Place, page: Page) -> Place:
        """Where one is after a page: on the next, or at the end, from where the time moves on."""
        if page.next is not None:
            return replace(place, position=page.next, at=0)
        if place.since is None:
            return Place(None)
        # What changed after we began may have changed after we passed it.
        reached = min(place.newest or place.since, place.began_at or place.since)
        return Place(max(place.since, reached))

    def _page(self, asking: datetime | None, position: Position | None) -> Page:
        values = dict(self._variables)
        since = self._tickets.since
        if since is not None and asking is not None:
            # Who answers only with what came after would leave out the rest of that second.
            exclusive = timedelta(seconds=0 if since.inclusive else 1)
            values["since"] = _as(since.format, asking - exclusive)
        return read_page(self._client, self._tickets, values, position)

    def _ticket(self, since: Since | None, ticket: Any) -> tuple[tuple[Item, ...], datetime | None]:
        """The messages of a ticket, and when it changed last."""
        now = self._clock()
        where = self._tickets.path
        bad: list[Rejected] = []
        changed_at = None
        try:
            own_id = self._reader.ticket_id(ticket)
        except BadRecord as error:
            return (rejected(ticket, error, where),), None
        try:
            changed_at = self._reader.changed_at(since, ticket, now) if since is not None else None
        except BadRecord as error:
            bad.append(rejected(ticket, error, f"{where}, ticket {own_id[:200]}"))
        values = {**self._variables, "ticket": own_id}
        comments = None
        try:
            whole = ticket
            if self._tickets.detail is not None:
                whole = asked(self._client, self._tickets.detail, values).document()
            if self._tickets.comments is not None and self._tickets.comments.path is not None:
                comments = list(read_all(self._client, self._tickets.comments, values))
        except Status as error:
            if error.status not in _GONE:
                raise
            gone = BadRecord("gone", "The ticket went away while it was read.")
            return (*bad, rejected(ticket, gone, f"{where}, ticket {own_id[:200]}")), changed_at
        return (*bad, *self._reader.ticket(whole, comments, where, now)), changed_at


def _as(form: str, moment: datetime) -> str | int:
    seconds = int(moment.timestamp())
    if form == "iso":
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return seconds * (1000 if form == "epoch_ms" else 1)


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _time(text: Any) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
