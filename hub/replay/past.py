"""The hub's own past as a source of replays: every wait that was promised an answer.

What nobody recorded is estimated, and said to be: how long an agent worked on an answer, from when they had
the conversation and had answered the one before; who was on duty, from who answered when.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session, aliased

from hub.assignment.models import Assignment
from hub.channels.models import Channel
from hub.conversations.analysis import to_analysis
from hub.conversations.models import AnalysisRow, Conversation, Message, Promise
from hub.customers.models import Customer
from hub.customers.spend import spend_percentiles
from hub.errors import Invalid
from hub.replay.files import Problems
from hub.replay.service import Source
from routing.replay.jobs import Staffing
from routing.replay.records import Record
from routing.types import Facts, Metric, Urgency

_REPLIES = ("first_reply_time", "next_reply_time")
# Who has answered nobody for so long was not at work in between.
_BREAK = timedelta(minutes=45)
# Before their first answer they were working on it.
_BEFORE_FIRST = timedelta(minutes=5)
# Longer than this nobody works on one answer: they did something else.
_LONGEST = timedelta(hours=2)
_BATCH = 400

Answered = tuple[datetime, int]
"""When a person answered, and who."""


def from_past(session: Session, since: datetime, until: datetime, agents: int | None) -> Source:
    """The waits that began between two moments. `agents` are on duty at all times; None: who answered then.

    Raises: hub.errors.Invalid where nobody waited, or nobody answered and no number of agents is given.
    """
    rows = session.execute(_waits(since, until)).all()
    if not rows:
        raise Invalid(f"nobody began to wait between {since:%Y-%m-%d %H:%M} and {until:%Y-%m-%d %H:%M} UTC")
    answers = _answers(session, since, until + _LONGEST)
    handled = _handled(rows, answers, _assigned(session, since, until))
    percentiles = _percentiles(session, {row.Conversation.customer_id for row in rows})
    records: dict[int, Record] = {}
    for row in rows:
        conversation, customer, promise = row.Conversation, row.Customer, row.Promise
        facts = Facts(
            channel=row.channel,
            channel_kind=row.kind,
            metric=cast("Metric", promise.metric),
            tier=promise.tier,
            spend_percentile=percentiles.get(customer.id),
            followers=customer.followers,
            analysis=to_analysis(row.AnalysisRow) if row.AnalysisRow else None,
            text=row.body,
            urgency=cast("Urgency", conversation.priority),
            subject=conversation.subject,
            tags=tuple(conversation.tags),
            known=customer.external_id is not None,
            customer_language=customer.language,
        )
        # Of several messages of the same moment the first counts.
        records.setdefault(
            promise.id, Record(conversation.id, promise.started_at, facts, handled.get(promise.id))
        )
    ordered = sorted(records.values(), key=lambda record: record.arrived_at)
    start = ordered[0].arrived_at
    unknown = sum(record.handle_seconds is None for record in ordered)
    estimated = [
        "tiers are those of the promises, spend and followers those of today",
        f"handling times, from assignments and answers; of {unknown:,} the policy's expected ones",
    ]
    if agents is not None:
        staffing = Staffing.constant(agents)
    else:
        shifts = list(_spells(answers))
        if not shifts:
            raise Invalid("nobody answered in that time: say how many agents are on duty")
        staffing = Staffing.of_shifts(
            ((begin - start).total_seconds(), (end - start).total_seconds(), 1) for begin, end in shifts
        )
        estimated.append("who was on duty, from who answered when")
    name = f"the hub's own past, {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"
    return Source(name, ordered, staffing, len(ordered), Problems(), Problems(), estimated)


def _waits(since: datetime, until: datetime) -> Select[*tuple[Any, ...]]:
    asked, answer = aliased(Message), aliased(Message)
    return (
        select(
            Promise,
            Conversation,
            Customer,
            AnalysisRow,
            Channel.name.label("channel"),
            Channel.kind.label("kind"),
            asked.body.label("body"),
            answer.user_id.label("answered_by"),
        )
        .join(Conversation, Conversation.id == Promise.conversation_id)
        .join(Customer, Customer.id == Conversation.customer_id)
        .join(Channel, Channel.id == Conversation.channel_id)
        .outerjoin(
            asked,
            and_(
                asked.conversation_id == Conversation.id,
                asked.sent_at == Promise.started_at,
                asked.direction == "incoming",
            ),
        )
        .outerjoin(AnalysisRow, AnalysisRow.message_id == asked.id)
        .outerjoin(answer, answer.id == Promise.reply_id)
        .where(
            Promise.started_at >= since,
            Promise.started_at < until,
            Promise.metric.in_(_REPLIES),
            # Whose wait ended without an answer cost nobody any work.
            Promise.cancelled_at.is_(None),
        )
        .order_by(Promise.started_at, Promise.id, asked.id)
    )


def _answers(session: Session, since: datetime, until: datetime) -> list[Answered]:
    rows = session.execute(
        select(Message.sent_at, Message.user_id)
        .where(
            Message.sent_at >= since,
            Message.sent_at < until,
            Message.direction == "outgoing",
            Message.private.is_(False),
            Message.automatic.is_(False),
            Message.user_id.is_not(None),
        )
        .order_by(Message.sent_at, Message.id)
    )
    return [(sent_at, user_id) for sent_at, user_id in rows if user_id is not None]


def _assigned(session: Session, since: datetime, until: datetime) -> Mapping[tuple[int, int], list[datetime]]:
    """By conversation and user, when it came to them."""
    rows = session.execute(
        select(
            Assignment.conversation_id,
            Assignment.user_id,
            func.coalesce(Assignment.accepted_at, Assignment.assigned_at),
        ).where(Assignment.assigned_at >= since, Assignment.assigned_at < until + _LONGEST)
    )
    found: defaultdict[tuple[int, int], list[datetime]] = defaultdict(list)
    for conversation_id, user_id, at in rows:
        found[conversation_id, user_id].append(at)
    return found


def _handled(
    rows: Sequence[Any], answers: Sequence[Answered], assigned: Mapping[tuple[int, int], list[datetime]]
) -> dict[int, float]:
    """By promise: the seconds from when its agent had it and had answered the one before, to the answer."""
    moments = _by_user(answers)
    found: dict[int, float] = {}
    for row in rows:
        promise, user_id = row.Promise, row.answered_by
        if promise.met_at is None or user_id is None:
            continue
        had = [at for at in assigned.get((promise.conversation_id, user_id), ()) if at < promise.met_at]
        earlier = moments.get(user_id, [])
        index = bisect_left(earlier, promise.met_at)
        begins = [*([max(had)] if had else []), *([earlier[index - 1]] if index else [])]
        if begins:
            worked = promise.met_at - max(*begins, promise.started_at)
            if timedelta(0) < worked <= _LONGEST:
                found[promise.id] = worked.total_seconds()
    return found


def _by_user(answers: Iterable[Answered]) -> dict[int, list[datetime]]:
    found: dict[int, list[datetime]] = {}
    for at, user_id in answers:
        found.setdefault(user_id, []).append(at)
    return found


def _spells(answers: Iterable[Answered]) -> Iterator[tuple[datetime, datetime]]:
    """Each stretch of time in which somebody answered again and again."""
    for moments in _by_user(answers).values():
        begin = last = moments[0]
        for at in moments[1:]:
            if at - last > _BREAK:
                yield begin - _BEFORE_FIRST, last
                begin = at
            last = at
        yield begin - _BEFORE_FIRST, last


def _percentiles(session: Session, ids: set[int]) -> dict[int, float]:
    found: dict[int, float] = {}
    ordered = sorted(ids)
    for first in range(0, len(ordered), _BATCH):
        some = ordered[first : first + _BATCH]
        customers = session.scalars(select(Customer).where(Customer.id.in_(some))).all()
        found |= spend_percentiles(session, customers)
    return found
