"""The live feed of the demo: customers who go on writing while one looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from random import Random
from zoneinfo import ZoneInfo

import yaml

from connectors.base import InboundMessage
from hub.demo.people import Person, brand, people, person
from hub.demo.script import Scene, scenes
from hub.demo.threads import identify, inbound_message, words
from hub.demo.timing import Present

_TICKETS_FROM = 10_000


@dataclass(frozen=True, slots=True)
class LiveMessage:
    """One message of the live feed; `inbound.sent_at` is None, since the caller knows when it is sent."""

    channel: str
    inbound: InboundMessage
    language: str
    themes: tuple[str, ...]


def live(now: datetime, start: int = 0, seed: int = 7) -> Iterator[tuple[float, LiveMessage]]:
    """An endless feed: how many seconds to wait, then a message. `start` goes on after that many messages.

    External ids never repeat. Once all texts are used they come again in another order, mostly
    from other customers and in slightly other words.
    """
    present = Present(now.astimezone(UTC), ZoneInfo(brand().timezone))
    length = sum(len(scene.lines) for scene in _feed())
    edition, skip = divmod(start, length)
    while True:
        for place, (scene, index) in list(enumerate(_order(edition, seed)))[skip:]:
            rng = Random(f"{seed} gap {edition} {place}")  # noqa: S311 - a story, not a secret
            yield _gap_seconds(rng), _message(scene, index, edition, present)
        edition, skip = edition + 1, 0


@cache
def _feed() -> tuple[Scene, ...]:
    return tuple(scenes("live"))


@cache
def _past() -> dict[str, tuple[int, Scene]]:
    return {
        scene.label: (number, scene) for number, scene in enumerate(scenes("threads"), start=1) if scene.label
    }


@cache
def _again() -> dict[str, dict[str, list[str]]]:
    text = files("hub.demo").joinpath("brand", "live", "again.yaml").read_text(encoding="utf-8")
    again: dict[str, dict[str, list[str]]] = yaml.safe_load(text)
    return again


def _order(edition: int, seed: int) -> list[tuple[Scene, int]]:
    """All lines of the feed, shuffled; a scene's second line comes some messages after its first."""
    rng = Random(f"{seed} order {edition}")  # noqa: S311 - a story, not a secret
    placed: list[tuple[float, Scene, int]] = []
    for scene in _feed():
        at = rng.uniform(0, len(_feed()))
        for index in range(len(scene.lines)):
            placed.append((at, scene, index))
            at += rng.uniform(6, 25)
    placed.sort(key=lambda entry: entry[0])
    return [(scene, index) for _, scene, index in placed]


def _gap_seconds(rng: Random) -> float:
    """About 12 seconds on average, in bursts and lulls."""
    mean = rng.choices((2.0, 9.0, 27.0), (25, 50, 25))[0]
    return round(min(90.0, 0.5 + rng.expovariate(1 / mean)), 1)


def _message(scene: Scene, index: int, edition: int, present: Present) -> LiveMessage:
    rng = Random(f"{scene.source} {edition}")  # noqa: S311 - a story, not a secret
    who = person(scene.person, scene.language)
    language = scene.language or who.language
    if edition and who.customer_id and not scene.follows:
        who = _stand_in(scene.channel, language, rng)
    number = _TICKETS_FROM * (edition + 1) + _feed().index(scene)
    thread_key, ids = identify(scene, number, who, edition + 1)
    text = words(scene.lines[index], present.now, scene, who, language, present)
    if edition:
        text = _reworded(text, scene.channel, language, rng)
    inbound = inbound_message(scene, index, text, who, thread_key, ids)
    if scene.follows:
        inbound = _following(inbound, scene.follows)
    return LiveMessage(scene.channel, inbound, language, scene.themes)


def _following(inbound: InboundMessage, label: str) -> InboundMessage:
    number, scene = _past()[label]
    thread_key, ids = identify(scene, number, person(scene.person, scene.language))
    subject = f"Re: {scene.subject}" if scene.subject and scene.channel == "mail" else scene.subject
    before = inbound.in_reply_to + tuple(reversed(ids)) if scene.channel == "mail" else ()
    return replace(inbound, subject=subject, thread_key=thread_key, in_reply_to=before)


def _stand_in(channel: str, language: str, rng: Random) -> Person:
    fitting = [
        who for who in people().values() if who.language == language and (who.handle or channel != "chirp")
    ]
    return rng.choice(fitting)


def _reworded(text: str, channel: str, language: str, rng: Random) -> str:
    phrases = _again()[language]
    if channel == "chirp":
        return f"{rng.choice(phrases['openers'])} {text} {rng.choice(phrases['closers'])}".strip()
    return f"{text}\n\n{rng.choice(phrases['postscripts'])}"
