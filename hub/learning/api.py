"""Corrections, taught intents and model versions for programs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy.orm import Session

from hub.clock import utcnow
from hub.conversations.api import CorrectionOut, MessageOut, correction_out, message_out
from hub.conversations.models import Message
from hub.conversations.queries import find_message
from hub.errors import NotFound
from hub.http import ApiCaller, ApiUser, HubDep, RowId, SessionDep
from hub.learning.comparing import Comparison, compare
from hub.learning.corrections import all_corrections, correct, find_correction, withdraw
from hub.learning.lessons import refit
from hub.learning.models import ModelVersion, Reanalysis, TaughtIntentRow
from hub.learning.queries import (
    count_corrections,
    find_intent,
    intents_at_work,
    latest_reanalysis,
    list_versions,
)
from hub.learning.reanalysis import start_reanalysis, stop_reanalysis
from hub.learning.service import forget, teach, use
from hub.learning.versions import ACTIVE, SHIPPED, named_id
from hub.runtime import Hub
from sentiment.types import INTENTS, IntentLabel, SentimentLabel

router = APIRouter(tags=["learning"])


class CorrectionIn(BaseModel):
    """What is right: a sentiment, intents with the main one first, or both; what is left out stays."""

    sentiment: SentimentLabel | None = None
    intents: list[IntentLabel] | None = None


class CorrectionList(BaseModel):
    items: list[CorrectionOut]


class IntentIn(BaseModel):
    """An intent to be taught: a name, and five or more messages that have it."""

    name: Annotated[str, Field(max_length=200)]
    examples: Annotated[list[str], Field(max_length=1000)]


class TaughtOut(BaseModel):
    name: str
    by: str | None
    at: datetime
    examples: list[str]


class IntentList(BaseModel):
    """`known` are the intents that the model brings with it."""

    known: list[str]
    taught: list[TaughtOut]


class VersionOut(BaseModel):
    """What was learnt up to here, on top of the shipped model `base`; made out of version `parent` (null: of
    the shipped model). `figures` are what was measured before and after."""

    id: int
    active: bool
    parent: int | None
    base: str
    kind: str
    note: str
    figures: dict[str, Any]
    intents: int
    by: str | None
    at: datetime


class ReanalysisOut(BaseModel):
    """Messages being read again by the version at work, or that were; `skipped` ones kept their analysis."""

    since: datetime | None
    until: datetime | None
    total: int
    done: int
    skipped: int
    started_at: datetime
    finished_at: datetime | None
    stopped: bool


class CorrectionCountsOut(BaseModel):
    messages: int
    sentiments: int
    intents: int


class ModelOut(BaseModel):
    """`active` is the version that reads messages, null for the model as it is shipped."""

    active: int | None
    versions: list[VersionOut]
    corrections: CorrectionCountsOut
    reanalysis: ReanalysisOut | None


class UseIn(BaseModel):
    """A version by its number, or `base` for the model as it is shipped."""

    version: str


class RefitIn(BaseModel):
    """`dry_run` only tells what would come of it, `force` keeps what makes nothing better."""

    dry_run: bool = False
    force: bool = False


class LearntOut(BaseModel):
    """What came of a lesson: the version it became, null where it was not kept, and its figures."""

    version: int | None
    improved: bool
    figures: dict[str, Any]


class PairOut(BaseModel):
    matter: str
    a: str
    b: str
    messages: int


class DifferenceOut(BaseModel):
    message_id: int
    conversation_id: int
    text: str
    a: dict[str, str]
    b: dict[str, str]


class ComparisonOut(BaseModel):
    """Two versions, by the names that analyses have of them, on the newest messages: what each says in which
    matter, the most frequent difference first, and some messages on which they differ."""

    a: str
    b: str
    messages: int
    differing: int
    pairs: list[PairOut]
    examples: list[DifferenceOut]


class ReanalysisIn(BaseModel):
    """Messages sent from `since` to before `until`; without them all."""

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


@router.post("/messages/{message_id}/corrections", status_code=201)
def post_correction(user: ApiUser, session: SessionDep, message_id: RowId, body: CorrectionIn) -> MessageOut:
    """Say what is right of a message. It counts at once, and the model can learn from it."""
    message = find_message(session, message_id)
    correct(session, message, user=user, now=utcnow(), sentiment=body.sentiment, intents=body.intents)
    return message_out(message)


@router.get("/messages/{message_id}/corrections")
def get_corrections(user: ApiUser, session: SessionDep, message_id: RowId) -> CorrectionList:
    """Everything that people said of a message, the newest first, with what was taken back."""
    return CorrectionList(items=[correction_out(each) for each in all_corrections(session, message_id)])


@router.delete("/corrections/{correction_id}")
def delete_correction(user: ApiUser, session: SessionDep, correction_id: RowId) -> MessageOut:
    """Take a correction back: the one before counts again, or the model's word."""
    correction = find_correction(session, correction_id)
    withdraw(session, correction, utcnow())
    return message_out(session.get_one(Message, correction.message_id))


@router.get("/intents")
def get_intents(user: ApiUser, session: SessionDep) -> IntentList:
    """The intents that messages are read for."""
    return IntentList(known=list(INTENTS), taught=[taught_out(each) for each in intents_at_work(session)])


@router.post("/intents", status_code=201)
def post_intent(user: ApiCaller, hub: HubDep, body: IntentIn) -> TaughtOut:
    """Teach an intent by example messages. It is at work from the next message on, in every process."""
    teach(hub, body.name, body.examples, user_id=user.id)
    return _taught(hub, body.name)


@router.get("/intents/{name:path}")
def get_intent(user: ApiUser, session: SessionDep, name: str) -> TaughtOut:
    """A taught intent with its examples."""
    return taught_out(find_intent(session, name))


@router.delete("/intents/{name:path}")
def delete_intent(user: ApiCaller, hub: HubDep, name: str) -> IntentList:
    """Let the model know a taught intent no more; those that are left. An older version still knows it."""
    forget(hub, name, user_id=user.id)
    with hub.database.reading() as session:
        return get_intents(user, session)


@router.get("/model")
def get_model(user: ApiUser, session: SessionDep) -> ModelOut:
    """What the model has learnt, version by version, the newest first."""
    return model_out(session)


@router.put("/model/active")
def put_active(user: ApiUser, session: SessionDep, body: UseIn) -> ModelOut:
    """Put a version to work, from the next message on, in every process."""
    use(session, named_id(session, body.version))
    return model_out(session)


@router.post("/model/refit")
def post_refit(user: ApiCaller, hub: HubDep, body: RefitIn) -> LearntOut:
    """Learn from what people corrected, judged by a share of it that is never learnt from."""
    learnt = refit(hub, user_id=user.id, keep=not body.dry_run, force=body.force)
    return LearntOut(
        version=learnt.version_id, improved=learnt.lesson.improved, figures=learnt.lesson.figures
    )


@router.get("/model/comparison")
def get_comparison(
    user: ApiCaller,
    hub: HubDep,
    a: str = SHIPPED,
    b: str = ACTIVE,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> ComparisonOut:
    """On which of the newest messages two versions differ: each by its number, `base` or `active`."""
    return comparison_out(compare(hub, a, b, limit=limit))


@router.get("/model/reanalysis")
def get_reanalysis(user: ApiUser, session: SessionDep) -> ReanalysisOut:
    """How far the reading of stored messages is. 404 where there never was one."""
    latest = latest_reanalysis(session)
    if latest is None:
        raise NotFound("no messages were read again yet")
    return reanalysis_out(latest)


@router.post("/model/reanalysis", status_code=202)
def post_reanalysis(user: ApiUser, session: SessionDep, body: ReanalysisIn) -> ReanalysisOut:
    """Have stored messages read again by the version at work; new messages go before them."""
    return reanalysis_out(
        start_reanalysis(session, user=user, since=body.since, until=body.until, now=utcnow())
    )


@router.delete("/model/reanalysis")
def delete_reanalysis(user: ApiUser, session: SessionDep) -> ReanalysisOut:
    """Stop it; what was read again stays."""
    return reanalysis_out(stop_reanalysis(session, utcnow()))


def model_out(session: Session) -> ModelOut:
    """The model as the API and `hub model list --json` show it."""
    versions = list_versions(session)
    latest = latest_reanalysis(session)
    counts = count_corrections(session)
    return ModelOut(
        active=next((each.id for each in versions if each.active), None),
        versions=[version_out(each) for each in versions],
        corrections=CorrectionCountsOut.model_validate(counts, from_attributes=True),
        reanalysis=reanalysis_out(latest) if latest else None,
    )


def comparison_out(found: Comparison) -> ComparisonOut:
    """A comparison as the API and `hub model compare --json` show it."""
    return ComparisonOut(
        a=found.a,
        b=found.b,
        messages=found.messages,
        differing=found.differing,
        pairs=[
            PairOut(matter=matter, a=one, b=other, messages=count)
            for (matter, one, other), count in found.pairs.most_common()
        ],
        examples=[DifferenceOut(**asdict(each)) for each in found.examples],
    )


def version_out(version: ModelVersion) -> VersionOut:
    """A version as the API shows it."""
    return VersionOut(
        id=version.id,
        active=version.active,
        parent=version.parent_id,
        base=version.base,
        kind=version.kind,
        note=version.note,
        figures=version.figures,
        intents=len(version.intent_ids),
        by=version.user.name if version.user else None,
        at=version.created_at,
    )


def taught_out(intent: TaughtIntentRow) -> TaughtOut:
    """A taught intent as the API shows it."""
    return TaughtOut(
        name=intent.name,
        by=intent.user.name if intent.user else None,
        at=intent.created_at,
        examples=[example.text for example in intent.examples],
    )


def reanalysis_out(each: Reanalysis) -> ReanalysisOut:
    """A re-analysis as the API shows it."""
    return ReanalysisOut(
        since=each.since,
        until=each.until,
        total=each.total,
        done=each.done,
        skipped=each.skipped,
        started_at=each.created_at,
        finished_at=each.finished_at,
        stopped=each.stopped,
    )


def _taught(hub: Hub, name: str) -> TaughtOut:
    with hub.database.reading() as session:
        return taught_out(find_intent(session, " ".join(name.split())))
