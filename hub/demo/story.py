"""The story of the demo brand, told for a given present: who its customers are, what they bought and what they wrote.

Pure: no database and no clock. The same present and seed give the same story; every time is at most the present.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Literal
from zoneinfo import ZoneInfo

from connectors.base import Attachment, Author, InboundMessage
from hub.demo import shopping
from hub.demo.people import Agent, Brand, Person, brand, people, person
from hub.demo.script import Line, Scene, scenes
from hub.demo.timing import Present, times
from hub.demo.wording import Letter, Said, fill, own_words

SEED = 7
CUSTOMER_FIELDS = (
    "customer_id,name,email,handles,phone,loyalty_number,tier,points,currency,language,joined_at".split(",")
)
EVENT_FIELDS = "event_id,customer,kind,occurred_at,amount,currency,place,items,points".split(",")

TurnKind = Literal["customer", "agent", "note", "auto"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a thread. `agent` is the mail address of who wrote it, None for customers and machines.

    `inbound` is set on the customer's turns: the message as a connector would bring it.
    """

    kind: TurnKind
    at: datetime
    text: str
    external_id: str
    agent: str | None = None
    inbound: InboundMessage | None = None


@dataclass(frozen=True, slots=True)
class Thread:
    """One conversation. `customer` is a customer_id of the customers file, None for a stranger.

    `themes` are the intents a reader would see, `language` what it is written in: known truth, for comparing.
    """

    channel: str
    customer: str | None
    author: Author
    subject: str | None
    turns: tuple[Turn, ...]
    status_after: str
    language: str
    themes: tuple[str, ...]
    source: str

    @property
    def waiting(self) -> bool:
        return self.status_after in ("new", "open")


@dataclass(frozen=True, slots=True)
class Story:
    """All that the demo loads. The two CSV texts are what `hub customers import` and `hub events import` take."""

    brand: Brand
    agents: tuple[Agent, ...]
    customers_csv: str
    events_csv: str
    threads: tuple[Thread, ...]


@dataclass(frozen=True, slots=True)
class LiveMessage:
    """One message of the live feed; `inbound.sent_at` is None, the caller knows when it sends it."""

    channel: str
    inbound: InboundMessage
    language: str
    themes: tuple[str, ...]


def story(now: datetime, seed: int = SEED) -> Story:
    """The demo's past, up to `now`."""
    present = Present(now.astimezone(UTC), ZoneInfo(brand().timezone))
    told = [(scene, *_thread(scene, number, present, seed)) for number, scene in enumerate(_past(), start=1)]
    threads = sorted((thread for _, thread, _ in told), key=lambda t: (t.turns[0].at, t.source))
    purchases: dict[str, list[tuple[str, datetime]]] = {}
    for scene, thread, rng in told:
        for bought in scene.bought:
            at = thread.turns[0].at - timedelta(days=rng.uniform(3, 24))
            purchases.setdefault(scene.person, []).append((bought, at))
    happenings = shopping.history(present, people().values(), purchases)
    return Story(brand(), brand().agents, _customers_csv(present, happenings), _events_csv(happenings), tuple(threads))


def live(now: datetime, start: int = 0, seed: int = SEED) -> Iterator[tuple[float, LiveMessage]]:
    """An endless feed: how many seconds to wait, then a message. `start` goes on after that many messages.

    External ids never repeat. Once all texts are used they come again in another order, from other customers and
    in slightly other words.
    """
    present = Present(now.astimezone(UTC), ZoneInfo(brand().timezone))
    length = sum(len(scene.lines) for scene in _feed())
    index = start
    while True:
        turn, skip = divmod(index, length)
        for scene, number in _shuffled(turn, seed)[skip:]:
            yield _gap_seconds(Random(f"{seed} gap {index}")), _live(scene, number, turn, present, seed)  # noqa: S311
            index += 1


@cache
def _past() -> tuple[Scene, ...]:
    return tuple(scenes("threads"))


@cache
def _feed() -> tuple[Scene, ...]:
    return tuple(scenes("live"))


def _status(scene: Scene) -> str:
    if scene.status:
        return scene.status
    said = [line.kind for line in scene.lines if line.kind in ("customer", "agent")]
    if said[-1] == "agent":
        return "solved"
    return "open" if "agent" in said else "new"


def _digest(*parts: object) -> str:
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()


def _external_id(scene: Scene, place: object, author: str | None, thread_key: str | None) -> str:
    digest = _digest(scene.source, place)
    if scene.channel == "mail":
        domain = (author or brand().address).partition("@")[2]
        return f"<{digest[:20]}@{domain}>"
    if scene.channel == "form":
        return f"{thread_key}-{digest[:8]}"
    return str(10**17 * 3 + int(digest[:14], 16) % 10**17)


def _ids(scene: Scene, ticket: int, who: Person, places: Sequence[object]) -> tuple[str | None, list[str]]:
    """The key of the thread, None for mail, and the external id of every line. A place of None is the brand's."""
    key = f"LF-{ticket}" if scene.channel == "form" else None
    ids = [
        _external_id(scene, place, who.email if line.kind in ("customer", "away") else None, key)
        for line, place in zip(scene.lines, places, strict=True)
    ]
    return (ids[0] if scene.channel == "chirp" else key), ids


def _thread(scene: Scene, number: int, present: Present, seed: int) -> tuple[Thread, Random]:
    rng = Random(f"{seed} {scene.source}")  # noqa: S311 - a story, not a secret
    who = person(scene.person, scene.language)
    language = scene.language or who.language
    moments = [at.astimezone(UTC) for at in times(scene, present, who.tier, rng)]
    thread_key, ids = _ids(scene, 20400 + number, who, range(len(scene.lines)))
    agents = {agent.key: agent for agent in brand().agents}
    turns: list[Turn] = []
    said: list[Said] = []
    for index, (line, at, external_id) in enumerate(zip(scene.lines, moments, ids, strict=True)):
        agent = agents[line.agent] if line.agent else None
        by_customer = line.kind in ("customer", "away")
        words = _said(line, at, who, agent)
        text = fill(words.text, _letter(words, who, language, present, scene, said)) if by_customer else words.text
        inbound = None
        if by_customer:
            inbound = _inbound(scene, line, text, who, external_id, thread_key, ids[:index][::-1])
            inbound = replace(inbound, sent_at=at, attachments=_attachments(scene, index))
        kind: TurnKind = "customer" if line.kind == "away" else line.kind
        turns.append(Turn(kind, at, text, external_id, agent.email if agent else None, inbound))
        if line.kind in ("customer", "agent"):
            said.append(replace(words, text=own_words(text if by_customer else line.text)))
    thread = Thread(
        channel=scene.channel,
        customer=who.customer_id,
        author=who.author(scene.channel),
        subject=scene.subject,
        turns=tuple(turns),
        status_after=_status(scene),
        language=language,
        themes=scene.themes,
        source=scene.source,
    )
    return thread, rng


def _said(line: Line, at: datetime, who: Person, agent: Agent | None) -> Said:
    if line.kind in ("customer", "away"):
        return Said(who.name, who.email or "", at, line.text)
    name = f"{agent.name.split()[0]} at {brand().name}" if agent else brand().name
    return Said(name, brand().address, at, line.text)


def _letter(
    words: Said, who: Person, language: str, present: Present, scene: Scene, before: Iterable[Said]
) -> Letter:
    values = {
        "name": who.name,
        "first": who.name.split()[0],
        "loyalty": who.loyalty_number or "",
    }
    sender = (brand().name, brand().address)
    return Letter(language, present.zone, values, words, sender, scene.subject or "", tuple(before))


def _inbound(
    scene: Scene,
    line: Line,
    text: str,
    who: Person,
    external_id: str,
    thread_key: str | None,
    before: Sequence[str],
) -> InboundMessage:
    subject = scene.subject
    if subject and before and scene.channel == "mail":
        subject = f"Re: {subject}"
    return InboundMessage(
        external_id=external_id,
        text=text,
        author=who.author(scene.channel),
        subject=subject,
        thread_key=thread_key,
        in_reply_to=tuple(before) if scene.channel == "mail" else (),
        automatic=line.kind == "away",
    )


def _attachments(scene: Scene, index: int) -> tuple[Attachment, ...]:
    kinds = {"jpg": "image/jpeg", "png": "image/png", "pdf": "application/pdf", "heic": "image/heic"}
    return tuple(
        Attachment(name, kinds[name.rpartition(".")[2]], 80_000 + int(_digest(name)[:5], 16) * 3)
        for name in (scene.attachments if index == 0 else ())
    )


def _customers_csv(present: Present, happenings: Sequence[shopping.Happening]) -> str:
    points = {customer.key: shopping.opening_points(customer) for customer in people().values()}
    for event in happenings:
        sign = {"points_earned": 1, "points_burned": -1}.get(event.kind, 0)
        points[event.person.key] += sign * (event.points or 0)
    rows = []
    for customer in people().values():
        rng = Random(f"joined {customer.key}")  # noqa: S311 - a story, not a secret
        joined = present.now - timedelta(days=rng.randrange(shopping.MONTHS_DAYS, 2600), seconds=rng.randrange(86400))
        rows.append(
            (
                customer.customer_id,
                customer.name,
                customer.email,
                f"chirp:@{customer.handle}" if customer.handle else "",
                customer.phone or "",
                customer.loyalty_number or "",
                customer.tier,
                points[customer.key] if customer.tier else "",
                customer.currency,
                customer.language,
                _stamp(joined),
            )
        )
    return _csv(CUSTOMER_FIELDS, rows)


def _events_csv(happenings: Sequence[shopping.Happening]) -> str:
    rows = []
    for event in happenings:
        stamp = _stamp(event.at)
        rows.append(
            (
                _digest("event", event.person.key, event.kind, stamp, event.amount, event.items)[:16],
                event.person.customer_id,
                event.kind,
                stamp,
                "" if event.amount is None else f"{event.amount:.2f}",
                "" if event.amount is None else event.person.currency,
                event.place,
                "; ".join(event.items),
                "" if event.points is None else event.points,
            )
        )
    return _csv(EVENT_FIELDS, rows)


def _csv(fields: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(fields)
    writer.writerows(rows)
    return out.getvalue()


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
