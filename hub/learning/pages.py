"""Corrections, and the model's page: versions, taught intents, reading history again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response

from hub.clock import utcnow
from hub.conversations.models import Message
from hub.conversations.queries import find_message
from hub.errors import Conflict
from hub.http import HubDep, PageCaller, PageUser, RowId, SessionDep
from hub.learning.comparing import compare
from hub.learning.corrections import correct, find_correction, withdraw
from hub.learning.figures import in_words
from hub.learning.lessons import refit
from hub.learning.models import ModelVersion, Reanalysis
from hub.learning.queries import (
    count_corrections,
    intents_at_work,
    latest_reanalysis,
    list_versions,
)
from hub.learning.reanalysis import start_reanalysis, stop_reanalysis
from hub.learning.service import Learnt, forget, teach, use
from hub.learning.versions import ACTIVE, SHIPPED, active_id, named_id
from hub.pages import go, page, toast
from hub.paging import LARGEST
from hub.runtime import Hub
from sentiment.taught import FEWEST

router = APIRouter()
# How many of the newest messages a page compares two versions on: what takes a second or two.
COMPARED = 200
# How far back history can be read again, in days; 0 is all of it.
REACHES = (
    ("7", "The last 7 days"),
    ("30", "The last 30 days"),
    ("365", "The last year"),
    ("0", "Everything"),
)


@router.post("/corrections")
def do_correct(
    request: Request,
    session: SessionDep,
    user: PageUser,
    message_id: Annotated[int, Form(ge=1, le=LARGEST)],
    sentiment: Annotated[str | None, Form()] = None,
    intents: Annotated[list[str] | None, Form()] = None,
) -> Response:
    message = find_message(session, message_id)
    chosen = _main_first(intents or [], message)
    made = correct(session, message, user=user, now=utcnow(), sentiment=sentiment, intents=chosen or None)
    toast(request, "Corrected.", undo=(f"/corrections/{made.id}/withdraw", {}))
    return go(f"/conversations/{message.conversation_id}")


@router.post("/corrections/{correction_id}/withdraw")
def do_withdraw(session: SessionDep, user: PageUser, correction_id: RowId) -> Response:
    correction = find_correction(session, correction_id)
    withdraw(session, correction, utcnow())
    message = session.get_one(Message, correction.message_id)
    return go(f"/conversations/{message.conversation_id}")


@router.get("/model")
def model_page(request: Request, session: SessionDep, user: PageUser) -> Response:
    versions = list_versions(session)
    latest = latest_reanalysis(session)
    active = next((each.id for each in versions if each.active), None)
    return page(
        request,
        session,
        user,
        "model.html",
        "model",
        fewest=FEWEST,
        active=active,
        versions=[_version_view(each) for each in versions],
        intents=[
            {
                "name": each.name,
                "by": each.user.name if each.user else None,
                "at": each.created_at,
                "examples": [example.text for example in each.examples],
            }
            for each in intents_at_work(session)
        ],
        corrections=count_corrections(session),
        reaches=REACHES,
        reanalysis=_reanalysis_view(latest) if latest else None,
    )


@router.post("/model/intents")
def do_teach(
    request: Request,
    hub: HubDep,
    user: PageCaller,
    name: Annotated[str, Form()],
    examples: Annotated[str, Form()],
) -> Response:
    learnt = teach(hub, name, examples.splitlines(), user_id=user.id)
    _tell(request, hub, learnt, f"Taught. Messages are read for “{name}” from now on.")
    return go("/model")


@router.post("/model/intents/forget")
def do_forget(request: Request, hub: HubDep, user: PageCaller, name: Annotated[str, Form()]) -> Response:
    learnt = forget(hub, name, user_id=user.id)
    _tell(request, hub, learnt, f"“{name}” is forgotten.")
    return go("/model")


@router.post("/model/use")
def do_use(
    request: Request,
    session: SessionDep,
    user: PageUser,
    version: Annotated[str, Form()],
    instead_of: Annotated[str, Form()] = "",
) -> Response:
    before = active_id(session)
    if instead_of not in ("", _name(before)):
        raise Conflict("the model was changed since; choose a version from the list")
    version_id = named_id(session, version)
    use(session, version_id)
    said = f"Version {version_id} reads" if version_id else "The model as it is shipped reads"
    toast(request, f"{said} messages now.", undo=_undo(before, version_id))
    return go("/model")


@router.post("/model/refit")
def do_refit(request: Request, hub: HubDep, user: PageCaller) -> Response:
    learnt = refit(hub, user_id=user.id)
    if learnt.version_id is None:
        toast(request, "Nothing was changed: what people corrected makes the model no better yet.", "info")
    else:
        _tell(request, hub, learnt, f"Learnt from {learnt.lesson.figures['corrections']} corrected messages.")
    return go("/model")


@router.get("/model/compare")
def compare_page(
    request: Request, hub: HubDep, user: PageCaller, a: str = SHIPPED, b: str = ACTIVE
) -> Response:
    found = compare(hub, a, b, limit=COMPARED)
    with hub.database.reading() as session:
        return page(
            request,
            session,
            user,
            "model_compare.html",
            "model",
            a=_called(named_id(session, a)),
            b=_called(named_id(session, b)),
            found=found,
            pairs=found.pairs.most_common(),
        )


@router.post("/model/reanalysis")
def do_reanalyse(
    session: SessionDep, user: PageUser, days: Annotated[int, Form(ge=0, le=36_500)]
) -> Response:
    now = utcnow()
    start_reanalysis(
        session, user=user, since=now - timedelta(days=days) if days else None, until=None, now=now
    )
    return go("/model")


@router.post("/model/reanalysis/stop")
def do_stop(session: SessionDep, user: PageUser) -> Response:
    stop_reanalysis(session, utcnow())
    return go("/model")


def _tell(request: Request, hub: Hub, learnt: Learnt, said: str) -> None:
    """Say what was learnt; it can be taken back."""
    with hub.database.reading() as session:
        parent_id = session.get_one(ModelVersion, learnt.version_id).parent_id
    toast(request, said, undo=_undo(parent_id, learnt.version_id))


def _undo(before: int | None, now: int | None) -> tuple[str, dict[str, str]]:
    """To put the version back that was at work before, while nothing else happened."""
    return "/model/use", {"version": _name(before), "instead_of": _name(now)}


def _called(version_id: int | None) -> str:
    return "The model as shipped" if version_id is None else f"Version {version_id}"


def _name(version_id: int | None) -> str:
    return SHIPPED if version_id is None else str(version_id)


def _version_view(version: ModelVersion) -> dict[str, Any]:
    return {
        "id": version.id,
        "active": version.active,
        "kind": version.kind,
        "note": version.note,
        "figures": in_words(version.figures),
        "by": version.user.name if version.user else None,
        "at": version.created_at,
    }


def _reanalysis_view(each: Reanalysis) -> dict[str, Any]:
    return {
        "total": each.total,
        "done": each.done,
        "skipped": each.skipped,
        "finished_at": each.finished_at,
        "stopped": each.stopped,
        "share": min(1.0, each.done / each.total) if each.total else 1.0,
    }


def _main_first(chosen: Sequence[str], message: Message) -> list[str]:
    """Boxes have no order: what was said before goes first; displeasure stands beside a topic."""
    said = [each["label"] for each in message.analysis.intents] if message.analysis else []
    return sorted(
        chosen,
        key=lambda each: (each == "complaint", said.index(each) if each in said else len(said)),
    )
