"""Changing what the model has learnt: each change is a version, and an older one can be put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from hub.clock import utcnow
from hub.database import take_turns
from hub.errors import Conflict, Invalid, NotFound
from hub.learning.models import LONGEST_NAME, IntentExample, Kind, ModelVersion, TaughtIntentRow
from hub.learning.versions import active_id, adaptable, taught_in
from hub.runtime import Hub
from sentiment.adaptation import Adaptation, AdaptationError
from sentiment.taught import FEWEST, spoken
from sentiment.types import INTENTS

TRIES = 10
LONGEST_EXAMPLE = 10_000
_TURN = "model versions"


@dataclass(frozen=True, slots=True)
class Lesson:
    """What may become a version: an adaptation, what was measured of it, whether it is better than what is at
    work, whether to keep it, and the name and examples of an intent that is new in it."""

    kind: Kind
    adaptation: Adaptation
    note: str
    figures: dict[str, Any] = field(default_factory=dict)
    new: tuple[str, Sequence[str]] | None = None
    improved: bool = True
    keep: bool = True


@dataclass(frozen=True, slots=True)
class Learnt:
    """A lesson, and the version that it became; None where it was not kept."""

    version_id: int | None
    lesson: Lesson


def learn(hub: Hub, user_id: int | None, lesson: Callable[[Adaptation], Lesson]) -> Learnt:
    """Let the lesson that is made of what is at work be the version at work, where it is to be kept.

    The model is asked with no transaction open. Where somebody else changed the version meanwhile, the lesson
    is made anew of theirs, so that of two lessons at once none is lost. Raises: Conflict, and whatever making
    the lesson raises.
    """
    for _ in range(TRIES):
        before = hub.active_version()
        if before.adaptation is None:
            raise Conflict(f"version {before.id} cannot be used, so use another first: {before.trouble}")
        made = lesson(before.adaptation)
        if not made.keep:
            return Learnt(None, made)
        with hub.database.session() as session:
            take_turns(session, _TURN)
            if active_id(session) == before.id:
                return Learnt(_store(session, hub.base_scorer.name, before.id, user_id, made), made)
    raise Conflict("others change the model all the time; try again later")


def use(session: Session, version_id: int | None) -> None:
    """Put a version to work, None for the model as it is shipped; from the next batch on, everywhere."""
    take_turns(session, _TURN)
    _activate(session, version_id)


def teach(hub: Hub, name: str, texts: Sequence[str], *, user_id: int | None) -> Learnt:
    """Teach an intent by example messages.

    Raises: Invalid for a name or examples that cannot be used, Conflict where the name is taught already.
    """
    name = " ".join(name.split())
    _check_name(name)
    examples = _distinct(texts)
    if len(examples) < FEWEST:
        raise Invalid(
            f"an intent is taught by {FEWEST} different example messages or more, these are {len(examples)}",
            field="examples",
        )
    try:
        seen = adaptable(hub.base_scorer).see([*examples, spoken(name)])
    except AdaptationError as error:
        raise Conflict(str(error)) from error
    *objections, unspoken = seen.objections
    unread = [f"{text[:40]!r}: {why}" for text, why in zip(examples, objections, strict=True) if why]
    if unread:
        raise Invalid(f"the model cannot read every example: {'; '.join(unread)}", field="examples")

    def lesson(before: Adaptation) -> Lesson:
        if known := _known(before, name):
            raise Conflict(f"an intent named {known!r} is taught already; forget it first", field="name")
        try:
            named = None if unspoken else seen.embeddings[-1]
            taught = before.taught.with_intent(name, seen.embeddings[:-1], named)
        except AdaptationError as error:
            raise Invalid(str(error), field="examples") from error
        return Lesson(
            "teach", replace(before, taught=taught), name, {"examples": len(examples)}, new=(name, examples)
        )

    return learn(hub, user_id, lesson)


def forget(hub: Hub, name: str, *, user_id: int | None) -> Learnt:
    """Let the model know a taught intent no more. Raises: NotFound."""

    def lesson(before: Adaptation) -> Lesson:
        known = _known(before, name)
        if known is None:
            raise NotFound(f"no intent named {name!r} is taught")
        return Lesson("forget", replace(before, taught=before.taught.without(known)), known)

    return learn(hub, user_id, lesson)


def _store(session: Session, base: str, parent_id: int | None, user_id: int | None, lesson: Lesson) -> int:
    now = utcnow()
    parent = session.get(ModelVersion, parent_id) if parent_id is not None else None
    names = lesson.adaptation.taught.names
    intent_ids = [intent.id for intent in taught_in(session, parent) if intent.name in names]
    if lesson.new is not None:
        intent_ids.append(_store_intent(session, *lesson.new, user_id, now))
    version = ModelVersion(
        parent_id=parent_id,
        base=base,
        kind=lesson.kind,
        note=lesson.note,
        figures=lesson.figures,
        intent_ids=intent_ids,
        payload=lesson.adaptation.to_bytes(),
        user_id=user_id,
        created_at=now,
    )
    session.add(version)
    session.flush()
    _activate(session, version.id)
    return version.id


def _store_intent(
    session: Session, name: str, texts: Sequence[str], user_id: int | None, now: datetime
) -> int:
    intent = TaughtIntentRow(
        name=name, user_id=user_id, created_at=now, examples=[IntentExample(text=text) for text in texts]
    )
    session.add(intent)
    session.flush()
    return intent.id


def _activate(session: Session, version_id: int | None) -> None:
    # In two steps: at no moment are two active.
    session.execute(update(ModelVersion).where(ModelVersion.active).values(active=False))
    if version_id is not None:
        session.execute(update(ModelVersion).where(ModelVersion.id == version_id).values(active=True))


def _known(adaptation: Adaptation, name: str) -> str | None:
    """The taught intent of that name, however it is written."""
    return next((each for each in adaptation.taught.names if _plain(each) == _plain(name)), None)


def _check_name(name: str) -> None:
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise Invalid(f"an intent's name is one line of 1 to {LONGEST_NAME} characters", field="name")
    if _plain(name) in INTENTS:
        raise Invalid(f"{name!r} is an intent that the model knows already", field="name")


def _plain(name: str) -> str:
    return "_".join(name.casefold().replace("-", " ").replace("_", " ").split())


def _distinct(texts: Sequence[str]) -> list[str]:
    """Each text once, without those that are empty. Raises: Invalid for what no database can hold."""
    found: dict[str, str] = {}
    for number, text in enumerate((text.strip() for text in texts if text.strip()), start=1):
        if len(text) > LONGEST_EXAMPLE:
            raise Invalid(f"example {number} has over {LONGEST_EXAMPLE:,} characters", field="examples")
        if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
            raise Invalid(f"example {number} holds characters that are none", field="examples")
        found.setdefault(" ".join(text.casefold().split()), text)
    return list(found.values())
