"""Turns a scene of the script into a thread: real times and names, and messages as connectors bring them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Literal

from connectors.base import Attachment, Author, InboundMessage
from hub.demo.people import Agent, Person, brand, person
from hub.demo.script import Line, Scene
from hub.demo.timing import Present, times
from hub.demo.wording import Letter, Said, fill, own_words

TurnKind = Literal["customer", "agent", "note", "auto"]

_CONTENT_TYPES = {"jpg": "image/jpeg", "png": "image/png", "pdf": "application/pdf", "heic": "image/heic"}


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


def thread(scene: Scene, number: int, present: Present, rng: Random) -> Thread:
    """The scene as it happened. `number` is its place among all scenes; tickets are named by it."""
    who = person(scene.person, scene.language)
    language = scene.language or who.language
    moments = [at.astimezone(UTC) for at in times(scene, present, who.tier, rng)]
    thread_key, ids = identify(scene, number, who)
    agents = {agent.key: agent for agent in brand().agents}
    turns: list[Turn] = []
    said: list[Said] = []
    for index, (line, at, external_id) in enumerate(zip(scene.lines, moments, ids, strict=True)):
        agent = agents[line.agent] if line.agent else None
        text = words(line, at, scene, who, language, present, said)
        if line.kind == "customer" or line.kind == "away":
            inbound = inbound_message(scene, index, text, who, thread_key, ids)
            turns.append(Turn("customer", at, text, external_id, None, replace(inbound, sent_at=at)))
        else:
            turns.append(Turn(line.kind, at, text, external_id, agent.email if agent else None))
        if line.kind in ("customer", "agent"):
            said.append(Said(*_speaker(who, agent), at, own_words(text)))
    return Thread(
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


def identify(scene: Scene, number: int, who: Person, edition: int = 0) -> tuple[str | None, list[str]]:
    """The key of the scene's thread (None for mail) and each line's external id; `edition` makes them new."""
    key = f"LF-{20400 + number}" if scene.channel == "form" else None
    ids = []
    for index, line in enumerate(scene.lines):
        digest = digest_of(scene.source, index, edition)
        if scene.channel == "mail":
            writer = who.email if line.kind in ("customer", "away") else None
            ids.append(f"<{digest[:20]}@{(writer or brand().address).partition('@')[2]}>")
        elif scene.channel == "form":
            ids.append(f"{key}-{digest[:10]}")
        else:
            ids.append(str(10**17 * 3 + int(digest[:16], 16) % 10**17))
    return (ids[0] if scene.channel == "chirp" else key), ids


def words(
    line: Line,
    at: datetime,
    scene: Scene,
    who: Person,
    language: str,
    present: Present,
    before: Iterable[Said] = (),
) -> str:
    """A line with its names, dates and quotes."""
    values = {"name": who.name, "first": who.name.split()[0], "loyalty": who.loyalty_number or ""}
    letter = Letter(
        language=language,
        zone=present.zone,
        values=values,
        customer=Said(who.name, who.email or "", at, line.text),
        brand=(brand().name, brand().address),
        subject=scene.subject or "",
        before=tuple(before),
    )
    return fill(line.text, letter)


def inbound_message(
    scene: Scene, index: int, text: str, who: Person, thread_key: str | None, ids: Sequence[str]
) -> InboundMessage:
    """Line `index` of the scene as a connector brings it, without its time."""
    mail = scene.channel == "mail"
    subject = scene.subject
    if subject and index and mail and not subject.startswith("Re: "):
        subject = f"Re: {subject}"
    return InboundMessage(
        external_id=ids[index],
        text=text,
        author=who.author(scene.channel),
        subject=subject,
        thread_key=thread_key,
        in_reply_to=tuple(reversed(ids[:index])) if mail else (),
        automatic=scene.lines[index].kind == "away",
        attachments=_attachments(scene) if index == 0 else (),
    )


def digest_of(*parts: object) -> str:
    """A stable name for something the story invents, in hexadecimal."""
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()


def _speaker(who: Person, agent: Agent | None) -> tuple[str, str]:
    if agent is None:
        return who.name, who.email or ""
    return f"{agent.name.split()[0]} at {brand().name}", brand().address


def _status(scene: Scene) -> str:
    if scene.status:
        return scene.status
    if scene.when.anchor != "now":
        return "solved"
    said = [line.kind for line in scene.lines if line.kind in ("customer", "agent")]
    if said[-1] == "agent":
        return "pending"
    return "open" if "agent" in said else "new"


def _attachments(scene: Scene) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(name, _CONTENT_TYPES[name.rpartition(".")[2]], 80_000 + int(digest_of(name)[:5], 16) * 3)
        for name in scene.attachments
    )
