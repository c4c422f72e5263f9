"""What was decided of a conversation over time: read from what was kept, whatever the policy says by now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from hub.queue.queries import decisions_of
from routing.explanations import Explained, from_text


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, by which version of the policy, and what it changed in words; nothing for the first."""

    at: datetime
    version: int
    told: Explained
    changed: Sequence[str]


def decided(session: Session, conversation_id: int) -> Sequence[Decided]:
    """The decisions of a conversation, the newest first, 200 at most. Raises: NotFound."""
    rows = decisions_of(session, conversation_id)
    told = [from_text(row.explanation) for row in rows]
    earlier = [*zip(rows, told, strict=True), None][1:]
    return [
        Decided(
            row.decided_at,
            row.policy_version_id,
            each,
            _changed(each, before[1], row.policy_version_id != before[0].policy_version_id) if before else (),
        )
        for row, each, before in zip(rows, told, earlier, strict=True)
    ]


def _changed(now: Explained, before: Explained, version: bool) -> Sequence[str]:
    """Each thing that is another than it was."""
    found = []
    if version:
        found.append("another version of the policy")
    if now.metric != before.metric:
        found.append("another promise")
    if now.policy != before.policy:
        found.append(f"another rule, before {before.policy}")
    if now.target_seconds != before.target_seconds and now.metric == before.metric:
        found.append("a shorter time" if now.target_seconds < before.target_seconds else "a longer time")
    elif now.due_at != before.due_at and now.metric == before.metric:
        found.append("counted from another moment")
    gone = [each.text for each in before.reasons if each not in now.reasons]
    came = [each.text for each in now.reasons if each not in before.reasons]
    found += [f"new: {text}" for text in came]
    found += [f"gone: {text}" for text in gone]
    return found
