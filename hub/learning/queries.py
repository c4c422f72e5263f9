"""Reading what the model has learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from hub.errors import NotFound
from hub.learning.models import Correction, ModelVersion, Reanalysis, TaughtIntentRow
from hub.learning.versions import taught_in


def list_versions(session: Session) -> Sequence[ModelVersion]:
    """Every version, the newest first."""
    return session.scalars(
        select(ModelVersion).options(joinedload(ModelVersion.user)).order_by(ModelVersion.id.desc())
    ).all()


def find_version(session: Session, version_id: int) -> ModelVersion:
    """One version. Raises: NotFound."""
    version = session.get(ModelVersion, version_id, options=[joinedload(ModelVersion.user)])
    if version is None:
        raise NotFound(f"no version {version_id}")
    return version


def intents_at_work(session: Session) -> Sequence[TaughtIntentRow]:
    """The taught intents of the version at work, with their examples, by name."""
    return taught_in(session, session.scalar(select(ModelVersion).where(ModelVersion.active)))


def find_intent(session: Session, name: str) -> TaughtIntentRow:
    """A taught intent of the version at work. Raises: NotFound."""
    for intent in intents_at_work(session):
        if intent.name.casefold() == name.casefold():
            return intent
    raise NotFound(f"no intent named {name!r} is taught")


@dataclass(frozen=True, slots=True)
class CorrectionCounts:
    """How many messages people have spoken on: at all, on the sentiment, on the intents."""

    messages: int
    sentiments: int
    intents: int


def count_corrections(session: Session) -> CorrectionCounts:
    """Corrections that count."""
    message = Correction.message_id
    row = session.execute(
        select(
            func.count(message.distinct()),
            func.count(message.distinct()).filter(Correction.sentiment.is_not(None)),
            func.count(message.distinct()).filter(Correction.intents.is_not(None)),
        ).where(Correction.withdrawn_at.is_(None))
    ).one()
    return CorrectionCounts(*row)


def latest_reanalysis(session: Session) -> Reanalysis | None:
    """The one that goes on, or the last that ended; None where there was none."""
    return session.scalar(select(Reanalysis).order_by(Reanalysis.id.desc()).limit(1))
