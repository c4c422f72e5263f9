"""Reads folders from a place on, in portions that fit into memory, and says after each where it stands.

The place in a folder is `{"uidvalidity", "uid"}`: all mails up to that number have been read. Numbers only
rise, and a mail under a number never changes, as long as UIDVALIDITY is the same (RFC 9051, 2.3.1.1), so
nothing is read twice for safety. Beside them may stand

- `since`: the day the very first reading began with. When UIDVALIDITY changes, the folder is read again from
  that day on, and what is known already is recognised by its Message-ID.
- `before`: while that goes on, the number from which all mails are new, whatever their day.
- `most`: how many mails to ask for at once, after the connection broke over more; it grows again.
- `stumbled`: the one mail at which it broke even alone, and how often.

There are servers that hang up over a single damaged mail, even when asked for its size; so the way past it
is found by halves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from connectors.base import Batch, Cursor, Item, Rejected, RetryLater
from connectors.email import parse
from connectors.email.imap import Folder, Mailbox, SaysNo, since
from connectors.mime_headers import read_headers

Place = dict[str, Any]

_BATCH_BYTES = 8 * 1024 * 1024
_BATCH_MAILS = 200
_LISTED = 1_000
_WINDOW = 5_000
_PATIENCE = 5


class Reader:
    """Reads the folders of one mailbox. `rules` are asked anew for each portion, since they know the time."""

    def __init__(
        self, mailbox: Mailbox, rules: Callable[[], parse.Rules], max_mail_bytes: int, recent_days: int
    ) -> None:
        self._mailbox = mailbox
        self._rules = rules
        self._max_mail_bytes = max_mail_bytes
        self._recent_days = recent_days

    def new(self, folders: Sequence[str], cursor: Cursor | None) -> Iterator[Batch]:
        """What came since `cursor`, by rising numbers. Raises: RetryLater, AuthExpired, BadPayload."""
        places: dict[str, Place] = {folder: dict(place) for folder, place in (cursor or {}).items()}
        for folder in folders:
            selected = self._mailbox.select(folder)
            known = places.get(folder)
            place = places[folder] = self._placed(selected, known)
            if place != known:
                yield Batch((), _copy(places))
            for listed in self._waiting(selected, place):
                yield from self._portions(folder, listed, places)
            # Nothing below the number that the next mail will have is unread, whatever was deleted there.
            done = {**place, "uid": max(place["uid"], selected.uidnext - 1)}
            done.pop("before", None)
            done.pop("most", None)
            if done != place:
                places[folder] = done
                yield Batch((), _copy(places))

    def history(self, folders: Sequence[str], day: date, cursor: Cursor | None) -> Iterator[Batch]:
        """What came on `day` or later, folder by folder. `cursor` has places of its own, as `new` has."""
        places: dict[str, Place] = {folder: dict(place) for folder, place in (cursor or {}).items()}
        for folder in folders:
            selected = self._mailbox.select(folder)
            place = places.get(folder)
            if place is None or place["uidvalidity"] != selected.uidvalidity:
                places[folder] = {"uidvalidity": selected.uidvalidity, "uid": 0}
            for listed in self._windows(places[folder], selected.uidnext, since(day)):
                yield from self._portions(folder, listed, places)

    def _placed(self, selected: Folder, place: Place | None) -> Place:
        if place is None:
            day = self._rules().now.date() - timedelta(days=self._recent_days)
            return {
                "uidvalidity": selected.uidvalidity,
                "uid": 0,
                "since": day.isoformat(),
                "before": selected.uidnext,
            }
        if place["uidvalidity"] == selected.uidvalidity:
            return place
        # Whether anything is where it was, nobody can say.
        again = {"uidvalidity": selected.uidvalidity, "uid": 0, "before": selected.uidnext}
        return {**again, "since": place["since"]} if "since" in place else again

    def _waiting(self, selected: Folder, place: Place) -> Iterator[list[int]]:
        """What is to be read, window by window."""
        before = int(place.get("before", 0))
        if selected.uidnext <= place["uid"] + 1:
            return
        if place["uid"] + 1 < before:
            day = since(date.fromisoformat(place["since"])) if "since" in place else ""
            yield from self._windows(place, before, day)
            place["uid"] = max(place["uid"], before - 1)
        end = max(place["uid"] + 1, selected.uidnext - _WINDOW)
        yield from self._windows(place, end, "")
        # And what came meanwhile. `n:*` always brings the last mail, even where its number is lower.
        start = max(place["uid"] + 1, end)
        yield [uid for uid in self._mailbox.uids(f"UID {start}:*") if uid >= start]

    def _windows(self, place: Place, end: int, criteria: str) -> Iterator[list[int]]:
        """The numbers from `place` on and below `end`, some at a time: a step asks for no more than it reads,
        however much lies behind it. Where numbers are sparse the windows grow."""
        start, width = int(place["uid"]) + 1, _WINDOW
        while start < end:
            last = min(start + width, end) - 1
            listed = self._mailbox.uids(f"UID {start}:{last} {criteria}".rstrip())
            width = _WINDOW if listed else 2 * width
            yield listed
            start = last + 1

    def _portions(self, folder: str, uids: Sequence[int], places: dict[str, Place]) -> Iterator[Batch]:
        place, rest = places[folder], list(uids)
        while rest:
            asked = listed = rest[: int(place.get("most", _LISTED))]
            try:
                if len(listed) == 1 and _times_stumbled(place, listed[0]) >= _PATIENCE:
                    place.pop("stumbled")
                    place["uid"] = listed[0]
                    yield Batch((_given_up(folder, listed[0]),), _copy(places))
                else:
                    sizes = self._mailbox.sizes(listed)
                    for asked in _portions(sizes, self._max_mail_bytes):
                        items = self._read(folder, asked, sizes)
                        place.pop("stumbled", None)
                        place["uid"] = asked[-1]
                        yield Batch(items, _copy(places))
            except RetryLater:
                place["most"] = max(1, len(asked) // 2)
                if len(asked) == 1:
                    place["stumbled"] = {"uid": asked[0], "times": _times_stumbled(place, asked[0]) + 1}
                yield Batch((), _copy(places))
                if len(asked) == 1:
                    raise
                # Where the server is gone, this says so.
                if self._mailbox.select(folder).uidvalidity != place["uidvalidity"]:
                    raise
            else:
                if place["uid"] < listed[-1] or "most" in place:
                    # What was gone before it could be read is behind us as well.
                    place["uid"] = listed[-1]
                    place["most"] = 2 * int(place.get("most", _LISTED))
                    if place["most"] > _LISTED:
                        place.pop("most")
                    yield Batch((), _copy(places))
            rest = [uid for uid in rest if uid > place["uid"]]

    def _read(self, folder: str, portion: Sequence[int], sizes: Mapping[int, int]) -> tuple[Item, ...]:
        if sizes[portion[0]] > self._max_mail_bytes:
            return (self._too_large(folder, portion[0], sizes[portion[0]]),)
        rules = self._rules()
        try:
            mails = self._mailbox.mails(portion)
        except SaysNo:
            mails = {}
        items: list[Item] = []
        for uid in portion:
            raw = mails.pop(uid, None)
            items += self._alone(folder, uid, rules) if raw is None else parse.read(raw, folder, rules)
        return tuple(items)

    def _alone(self, folder: str, uid: int, rules: parse.Rules) -> tuple[Item, ...]:
        """A mail that did not come with the others: deleted meanwhile, or one that the server cannot read."""
        why = "the server leaves it out"
        try:
            raw = self._mailbox.mails([uid]).get(uid)
        except SaysNo as error:
            raw, why = None, str(error)
        if raw is not None:
            return parse.read(raw, folder, rules)
        if uid not in self._mailbox.uids(f"UID {uid}"):
            return ()
        detail = f"The server does not give this mail out ({why})."
        return (self._rejected(folder, uid, "unreadable_at_server", detail),)

    def _too_large(self, folder: str, uid: int, size: int) -> Rejected:
        detail = (
            f"The mail has {size:,} bytes; at most {self._max_mail_bytes:,} are taken. It is in the mailbox."
        )
        return self._rejected(folder, uid, "mail_too_large", detail)

    def _rejected(self, folder: str, uid: int, reason: str, detail: str) -> Rejected:
        head = self._mailbox.head(uid)
        where = parse.place(folder, read_headers(head), head) if head else f"{folder}, UID {uid}"
        return Rejected(head, reason, detail, where)


def _given_up(folder: str, uid: int) -> Rejected:
    detail = f"The connection broke {_PATIENCE} times at this mail. It is in the mailbox."
    return Rejected(b"", "breaks_connection", detail, f"{folder}, UID {uid}")


def _portions(sizes: Mapping[int, int], max_mail_bytes: int) -> Iterator[list[int]]:
    """Numbers to be fetched at once, few and small enough; what is too large, alone."""
    portion: list[int] = []
    size = 0
    for uid in sorted(sizes):
        alone = sizes[uid] > max_mail_bytes
        if portion and (alone or len(portion) >= _BATCH_MAILS or size + sizes[uid] > _BATCH_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(uid)
        size += sizes[uid]
        if alone:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _times_stumbled(place: Place, uid: int) -> int:
    stumbled = place.get("stumbled")
    return int(stumbled["times"]) if stumbled and stumbled["uid"] == uid else 0


def _copy(places: Mapping[str, Place]) -> dict[str, Place]:
    return {folder: dict(place) for folder, place in places.items()}


def day_of(moment: datetime) -> date:
    """The day to search from: servers count days in zones of their own."""
    return (moment - timedelta(days=1)).date()
