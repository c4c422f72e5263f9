"""What routing takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, get_args

from sentiment.types import Analysis, IntentLabel

Metric = Literal["first_reply_time", "next_reply_time", "periodic_update_time", "resolution_time"]
METRICS: tuple[Metric, ...] = get_args(Metric)
"""Zendesk's names: https://developer.zendesk.com/api-reference/ticketing/business-rules/sla_policies/"""

Status = Literal["new", "open", "pending", "on_hold", "snoozed", "solved", "closed"]
STATUSES: tuple[Status, ...] = get_args(Status)

ChannelKind = Literal["social", "mail", "ticket"]
CHANNEL_KINDS: tuple[ChannelKind, ...] = get_args(ChannelKind)

Urgency = Literal["urgent", "high", "normal", "low"]
"""The priority that people or rules give a conversation, as helpdesks name it."""
URGENCIES: tuple[Urgency, ...] = get_args(Urgency)

EventKind = Literal[
    "conversation_opened",
    "message_received",
    "analysed",
    "reply_sent",
    "status_changed",
    "priority_changed",
    "tag_added",
    "promise_broken",
]
"""What can happen in a conversation that automations are asked of."""
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)

JourneyStage = Literal["prospect", "new", "active", "loyal", "at_risk", "lapsed"]
"""Where a customer stands with the brand; `routing.journey` says by what."""
JOURNEY_STAGES: tuple[JourneyStage, ...] = get_args(JourneyStage)


@dataclass(frozen=True, slots=True)
class Happened:
    """What happened: the status or priority `before`, the `tag` that was added, the `promise` that broke."""

    kind: EventKind
    before: str | None = None
    tag: str | None = None
    promise: Metric | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a conversation when a rule is asked of it, or when it is put in its place.

    `metric` is the promise that governs while the customer waits. `spend_percentile` is 0..100 (100 = spends
    most), None for who never bought; `lifetime_value` is in the policy's currency. `analysis` is that of the
    newest customer message, None where it is not analysed yet, and `text` its words. `valence` is how the
    customer has felt about the brand lately, from -1 to 1, None where too little is known; `contacts` counts
    their other conversations of the last 30 days. `reopened`: it was solved, and the customer came back.
    `waiting_minutes` is None where nobody waits or the asker does not care; `event` is what happened, where
    an automation is asked because of it.
    """

    channel: str
    channel_kind: str
    metric: Metric
    tier: str | None = None
    spend_percentile: float | None = None
    followers: int | None = None
    analysis: Analysis | None = None
    text: str | None = None
    status: Status | None = None
    urgency: Urgency = "normal"
    subject: str | None = None
    tags: tuple[str, ...] = ()
    messages: int | None = None
    reopened: bool = False
    waiting_minutes: float | None = None
    known: bool = False
    lifetime_value: float | None = None
    valence: float | None = None
    journey_stage: JourneyStage | None = None
    customer_language: str | None = None
    contacts: int | None = None
    customer_name: str | None = None
    event: Happened | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """One line of why: `factor` is what it multiplies the weight by, `text` what a manager reads."""

    factor: float
    text: str


@dataclass(frozen=True, slots=True)
class Priority:
    """The promise and the worth of a conversation.

    `due_at` is the promise, `second_due_at` one more target later; `weight` is the product of the reasons'
    factors; `work_seconds` the expected handling time, which is that of `work_intent`, None where no intent
    is known; `policy` the name of the rule that matched.
    """

    metric: Metric
    policy: str
    target_seconds: int
    due_at: datetime
    second_due_at: datetime
    weight: float
    reasons: tuple[Reason, ...]
    work_seconds: int
    work_intent: IntentLabel | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A waiting conversation as the planner sees it.

    `work_seconds` is at least 1, `second_due_at` after `due_at`. `gave_way_at` and `gave_way_to` are those of
    its last place, None and 0 where the first promise stands. `target_seconds` is what was promised, in the
    time of its calendar; None where it is as long as from one promise to the other.
    """

    id: int
    due_at: datetime
    second_due_at: datetime
    weight: float
    work_seconds: int
    gave_way_at: datetime | None = None
    gave_way_to: int = 0
    target_seconds: float | None = None


class Place(NamedTuple):
    """Where the plan puts a conversation.

    `gave_way_at` is when its first promise gave way, None while it stands; `gave_way_to` is how many
    conversations of more weight were then to be served before it, their promises kept: 0 where it could be
    kept no more, whoever else waits.
    """

    id: int
    reply_by: datetime
    gave_way_at: datetime | None = None
    gave_way_to: int = 0


@dataclass(frozen=True, slots=True)
class Fullest:
    """How full the queue was of late: at `at`, `seconds` of work waited, for all agents together."""

    seconds: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """The places in the order of serving, and what the manager wants to know of the hour ahead.

    `breaking` are the ids whose first promise the plan cannot keep, in the order of serving; `agents_needed`
    is how many would keep every promise of the next hour that can still be kept. `fullest` is what the next
    plan wants to know of this one, None where nobody was on duty.
    """

    places: tuple[Place, ...]
    agents: int
    breaking: tuple[int, ...]
    agents_needed: int
    fullest: Fullest | None = None
