"""What routing takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sentiment.types import Analysis

Metric = Literal["first_reply_time", "next_reply_time"]
Status = Literal["new", "open", "pending", "on_hold", "snoozed", "solved", "closed"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a waiting conversation when it is put in its place.

    `spend_percentile` is 0..100 (100 = spends most), None for who never bought. `analysis` is that of the
    newest customer message, None where it is not analysed yet.
    """

    channel: str
    channel_kind: str
    metric: Metric
    tier: str | None = None
    spend_percentile: float | None = None
    followers: int | None = None
    analysis: Analysis | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """One line of why: `factor` is what it multiplies the weight by, `text` what a manager reads."""

    factor: float
    text: str


@dataclass(frozen=True, slots=True)
class Priority:
    """The promise and the worth of a conversation.

    `due_at` is the promise, `second_due_at` one more target later; `weight` is the product of the reasons'
    factors; `work_seconds` the expected handling time; `policy` the name of the rule that matched.
    """

    metric: Metric
    policy: str
    target_seconds: int
    due_at: datetime
    second_due_at: datetime
    weight: float
    reasons: tuple[Reason, ...]
    work_seconds: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A waiting conversation as the planner sees it.

    `work_seconds` is at least 1, `second_due_at` after `due_at`. `gave_way_at` is that of its last place,
    None where the first promise stands.
    """

    id: int
    due_at: datetime
    second_due_at: datetime
    weight: float
    work_seconds: int
    gave_way_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the plan puts a conversation.

    `gave_way_at` is when its first promise gave way, None while it stands; `gave_way_to` then counts the
    conversations of more weight that are served before it.
    """

    id: int
    reply_by: datetime
    gave_way_at: datetime | None = None
    gave_way_to: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The places in the order of serving, and what the manager wants to know of the hour ahead.

    `breaking` are the ids whose first promise the plan cannot keep, in the order of serving; `agents_needed`
    is how many would keep every promise of the next hour that can still be kept.
    """

    places: tuple[Place, ...]
    agents: int
    breaking: tuple[int, ...]
    agents_needed: int
