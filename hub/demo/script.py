"""Reads the scripts under `brand/`: who wrote what, where, and who answered.

A script is plain text, so that the words need no quoting. A scene opens with `@@`, its turns with `::`:

    @@ mail mara_w d5 refund_return bought=skerry =open
    Subject: Zip
    The customer's first words, as many lines as they like.
    :: kira 40m
    The answer, 40 minutes later (without a time it is drawn).
    :: customer
    And so on.

Header words, after channel and person, in any order:
  `d5`, `d5-19:42`   five days ago, at a drawn or given local time; without a day, any of the last 13
  `ago`, `ago-25m`   the last turn lies a drawn or given time before now
  `crisis+14m`       14 minutes into the crisis
  `=open`            the status afterwards. Without it `solved`; where time counts from now, `pending` after
                     an agent's word, `open` after a customer's, `new` if no agent ever spoke
  `lang=fr`          the language, where it is not the customer's own
  `bought=ember@lyon`  a purchase to invent some days before (without a place: at home or online)
  `label=x`, `re=x`  a name for the scene; in the live feed, the scene that it goes on with
  `files=a.jpg,b.pdf`  attachments of the first message
  anything else      a theme, one of `sentiment.types.INTENTS`

A person is a key of `customers.csv` (the handle, else what stands before the @ of the address) or, for a
stranger, `?handle/Name_Surname` or `?address/Name_Surname`. Turns are `:: agent-key`, `:: customer`,
`:: away` (the customer's machine answers), `:: note agent-key` (private) or `:: auto` (the brand's).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Literal

from sentiment.types import INTENTS

LineKind = Literal["customer", "away", "agent", "note", "auto"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(\d+)([smhd])")


@dataclass(frozen=True, slots=True)
class Line:
    """One turn as written. `after_seconds` counts from the turn before; None where it is to be drawn."""

    kind: LineKind
    text: str
    agent: str | None = None
    after_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class When:
    """Where a scene lies in time. `anchor` is what `offset_seconds` counts from; None is to be drawn.

    `day`: the first turn, `days` ago (None: any), at `offset_seconds` of the local day. `now`: the last turn,
    that long ago. `crisis`: the first turn, that long into the crisis.
    """

    anchor: Literal["day", "now", "crisis"] = "day"
    days: int | None = None
    offset_seconds: int | None = None


@dataclass(slots=True)
class Scene:
    """One conversation as written; `source` is its file and its number in it."""

    source: str
    channel: str
    person: str
    when: When = field(default_factory=When)
    themes: tuple[str, ...] = ()
    status: str | None = None
    language: str | None = None
    bought: tuple[str, ...] = ()
    label: str | None = None
    follows: str | None = None
    attachments: tuple[str, ...] = ()
    subject: str | None = None
    lines: list[Line] = field(default_factory=list)


def scenes(folder: str) -> list[Scene]:
    """All scenes of the scripts in `brand/<folder>`, in the order of files and lines.

    Raises: ValueError, naming file and line, where a script cannot be read.
    """
    scripts = files("hub.demo").joinpath("brand", folder).iterdir()
    found: list[Scene] = []
    for script in sorted((s for s in scripts if s.name.endswith(".txt")), key=lambda s: s.name):
        found.extend(parse(script.read_text(encoding="utf-8"), script.name))
    return found


def parse(text: str, name: str) -> Iterator[Scene]:
    """The scenes of one script. Raises: ValueError, naming line and reason."""
    scene: Scene | None = None
    opener = ""
    body: list[str] = []
    count = 0
    for number, row in enumerate([*text.splitlines(), "@@"], start=1):
        if not row.startswith(("@@", "::")):
            body.append(row)
            continue
        try:
            if scene is not None:
                _close(scene, opener, body)
                if row.startswith("@@"):
                    yield scene
            elif "".join(body).strip():
                raise ValueError("words before the first scene")
            if row.startswith("@@") and row != "@@":
                count += 1
                scene = _header(row, f"{name}:{count}")
        except ValueError as error:
            raise ValueError(f"{name}, before line {number}: {error}") from error
        opener, body = row, []


def _close(scene: Scene, opener: str, body: list[str]) -> None:
    text = "\n".join(body).strip("\n").rstrip()
    if opener.startswith("@@") and text.startswith("Subject: "):
        first, _, text = text.partition("\n")
        scene.subject = first.removeprefix("Subject: ")
        text = text.strip("\n")
    if not text:
        raise ValueError(f"no words after {opener!r}")
    kind: LineKind = "customer"
    agent = after = None
    for word in opener.split()[1:] if opener.startswith("::") else ():
        if word in ("customer", "away", "auto", "note"):
            kind = word  # type: ignore[assignment]
        elif _SPAN.fullmatch(word):
            after = _seconds(word)
        else:
            agent = word
            kind = "note" if kind == "note" else "agent"
    scene.lines.append(Line(kind, text, agent, after))


def _header(row: str, source: str) -> Scene:
    _, channel, person, *words = row.split()
    scene = Scene(source, channel, person)
    for word in words:
        name, equals, value = word.partition("=")
        if word in INTENTS:
            scene.themes += (word,)
        elif word.startswith("="):
            scene.status = value
        elif equals and name == "lang":
            scene.language = value
        elif equals and name == "bought":
            scene.bought += (value,)
        elif equals and name == "label":
            scene.label = value
        elif equals and name == "re":
            scene.follows = value
        elif equals and name == "files":
            scene.attachments = tuple(value.split(","))
        else:
            scene.when = _when(word)
    return scene


def _when(word: str) -> When:
    if match := re.fullmatch(r"d(\d+)(?:-(\d\d):(\d\d))?", word):
        days, hour, minute = match.groups()
        return When("day", int(days), None if hour is None else int(hour) * 3600 + int(minute) * 60)
    if match := re.fullmatch(r"ago(?:-(\d+[smhd]))?", word):
        return When("now", None, _seconds(match[1]) if match[1] else None)
    if match := re.fullmatch(r"crisis\+(\d+[smhd])", word):
        return When("crisis", None, _seconds(match[1]))
    raise ValueError(f"unknown word {word!r}")


def _seconds(span: str) -> int:
    match = _SPAN.fullmatch(span)
    if match is None:
        raise ValueError(f"not a time span: {span!r}")
    return int(match[1]) * _UNITS[match[2]]
