"""Which version of the model reads messages: the shipped one, or it with what it learnt from its users.

Every process asks the database before each batch which version is active, and makes its scorer anew, which
takes milliseconds, when that has changed: what is taught in one is at work in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol, runtime_checkable

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload, undefer

from hub import log
from hub.database import Database
from hub.errors import NotFound
from hub.learning.models import ModelVersion, TaughtIntentRow
from sentiment.adaptation import Adaptation, AdaptationError, Seen, Taught
from sentiment.taught import spoken
from sentiment.types import Analysis, Scorer

logger = log.get(__name__)
SHIPPED = "base"
"""What people call the model without any adaptation."""
ACTIVE = "active"


@runtime_checkable
class Adaptable(Protocol):
    """A scorer that can learn; see `sentiment.model.MessageScorer`."""

    name: str

    def score(self, texts: Sequence[str]) -> list[Analysis]:
        """As every scorer."""

    def see(self, texts: Sequence[str]) -> Seen:
        """What an adaptation is learnt from. Raises: AdaptationError where its readers do not show it."""

    def adapted(self, adaptation: Adaptation, name: str) -> Scorer:
        """The same with an adaptation. Raises: AdaptationError where it does not fit."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it reads messages; `id` is None for the shipped model.

    `trouble` says in words what of it is not at work, None where all is: one made for another shipped model
    has its taught intents at work only, and one that cannot be used, whose `adaptation` is None, nothing.
    """

    id: int | None
    adaptation: Adaptation | None
    scorer: Scorer
    trouble: str | None = None


class Versions:
    """The versions of a hub, as they read. Safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._base: Scorer | None = None
        self._latest: Version | None = None

    def active(self, base: Scorer) -> Version:
        """The version at work, on top of the loaded model."""
        with self._database.reading() as session:
            version_id = active_id(session)
        with self._lock:
            if self._latest is None or self._base is not base or self._latest.id != version_id:
                self._latest, self._base = self._made(base, version_id), base
            return self._latest

    def named(self, base: Scorer, name: str) -> Version:
        """The version that people call so: its id, `base` or `active`. Raises: NotFound."""
        with self._database.reading() as session:
            version_id = named_id(session, name)
        return self._made(base, version_id)

    def _made(self, base: Scorer, version_id: int | None) -> Version:
        if version_id is None:
            return Version(None, Adaptation(), base)
        with self._database.reading() as session:
            version = session.get_one(ModelVersion, version_id, options=[undefer(ModelVersion.payload)])
            made_for, payload = version.base, version.payload
            intents = {
                intent.name: [example.text for example in intent.examples]
                for intent in taught_in(session, version)
            }
        try:
            if made_for == base.name:
                adaptation = Adaptation.from_bytes(payload)
            else:
                adaptation = Adaptation(taught=_read_anew(adaptable(base), intents))
            scorer = adaptable(base).adapted(adaptation, f"{base.name}+{version_id}")
        except AdaptationError as error:
            # What reads messages must go on reading them.
            logger.error("version_not_used", version=version_id, model=base.name, why=str(error))
            return Version(version_id, None, base, str(error))
        other = f"made for {made_for}: only its taught intents are at work" if made_for != base.name else None
        return Version(version_id, adaptation, scorer, other)


def adaptable(base: Scorer) -> Adaptable:
    """The model as one that can learn. Raises: AdaptationError."""
    if not isinstance(base, Adaptable):
        raise AdaptationError(f"the model {base.name} cannot learn")
    return base


def active_id(session: Session) -> int | None:
    """The id of the version at work, None for the model as it is shipped."""
    return session.scalar(select(ModelVersion.id).where(ModelVersion.active))


def named_id(session: Session, name: str) -> int | None:
    """The id of the version that people call so: a number, `base` or `active`. Raises: NotFound."""
    if name == SHIPPED:
        return None
    if name == ACTIVE:
        return active_id(session)
    version_id = int(name) if name.isascii() and name.isdigit() and len(name) < 10 else 0
    if session.get(ModelVersion, version_id) is None:
        raise NotFound(f"no version {name!r}: name one by its number, or `base`, or `active`")
    return version_id


def taught_in(session: Session, version: ModelVersion | None) -> Sequence[TaughtIntentRow]:
    """The taught intents of a version with their examples, by name."""
    if version is None or not version.intent_ids:
        return []
    return session.scalars(
        select(TaughtIntentRow)
        .where(TaughtIntentRow.id.in_(version.intent_ids))
        .options(selectinload(TaughtIntentRow.examples), selectinload(TaughtIntentRow.user))
        .order_by(TaughtIntentRow.name, TaughtIntentRow.id)
    ).all()


def _read_anew(base: Adaptable, intents: dict[str, list[str]]) -> Taught:
    """The taught intents as another shipped model sees their examples."""
    taught = Taught()
    for name, texts in intents.items():
        seen = base.see([*texts, spoken(name)])
        *objections, unspoken = seen.objections
        readable = [row for row, objection in enumerate(objections) if objection is None]
        named = None if unspoken else seen.embeddings[-1]
        try:
            taught = taught.with_intent(name, seen.embeddings[readable], named)
        except AdaptationError as error:
            logger.error("intent_not_used", intent=name, model=base.name, why=str(error))
    return taught
