"""Reading policies: their versions, what changed between two, and how far a change has come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from hub.conversations.models import Conversation
from hub.paging import Page, after, page
from hub.policies.models import PolicyActivation, PolicyVersion
from hub.policies.service import active_since

CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Ruled:
    """That a version began to rule; `active` is the newest."""

    activation: PolicyActivation
    active: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a diff, with its number in either text; a `gap` stands for the equal lines left out."""

    kind: Literal["same", "added", "removed", "gap"]
    old: int | None
    new: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Replacing:
    """How many of the conversations in which something is owed are placed by the version that rules."""

    version_id: int
    since: datetime
    open: int
    placed: int

    @property
    def left(self) -> int:
        """How many are still placed by an earlier version."""
        return self.open - self.placed


def list_activations(session: Session, cursor: str | None = None, limit: int = 50) -> Page[Ruled]:
    """When which version ruled, the newest first."""
    newest = active_since(session).id
    query = select(PolicyActivation).options(
        joinedload(PolicyActivation.version), joinedload(PolicyActivation.user)
    )
    query = after(query, (PolicyActivation.id,), (int,), cursor, descending=True)
    found = session.scalars(query.limit(limit + 1)).all()
    return page([Ruled(each, each.id == newest) for each in found], limit, lambda row: (row.activation.id,))


def replacing(session: Session) -> Replacing:
    """How far the change to the version that rules has come, from one index."""
    active = active_since(session)
    rows = session.execute(
        select(Conversation.policy_version_id, func.count())
        .where(Conversation.placed_for.is_not(None))
        .group_by(Conversation.policy_version_id)
    )
    counts: dict[int | None, int] = {row[0]: row[1] for row in rows}
    return Replacing(
        active.version_id, active.activated_at, sum(counts.values()), counts.get(active.version_id, 0)
    )


def compare(old: PolicyVersion, new: PolicyVersion) -> list[Line]:
    """What changed from one version to another, with a few lines around each change; empty where nothing."""
    return compare_texts(old.source, new.source)


def compare_texts(old: str, new: str) -> list[Line]:
    """The same for a text that is no version yet."""
    return list(_changes(old.splitlines(), new.splitlines()))


def _changes(old: list[str], new: list[str]) -> Iterator[Line]:
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for number, group in enumerate(matcher.get_grouped_opcodes(CONTEXT)):
        if number:
            yield Line("gap", None, None, "")
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                for offset, text in enumerate(old[old_from:old_to]):
                    yield Line("same", old_from + offset + 1, new_from + offset + 1, text)
                continue
            for offset, text in enumerate(old[old_from:old_to]):
                yield Line("removed", old_from + offset + 1, None, text)
            for offset, text in enumerate(new[new_from:new_to]):
                yield Line("added", None, new_from + offset + 1, text)
