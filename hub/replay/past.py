"""The hub's own past as a source of replays: every wait that was promised an answer.

What nobody recorded is estimated, and said to be: how long an agent worked on an answer, as the hub learns it
(`hub.queue.handling`); who was on duty, from who answered when.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased

from hub.accounts.models import User
from hub.channels.models import Channel
from hub.conversations.analysis import to_analysis
from hub.conversations.models import AnalysisRow, Conversation, Message, Promise
from hub.customers.models import Customer
from hub.customers.spend import spend_percentiles
from hub.errors import Invalid
from hub.queue.handling import (
    LONGEST,
    REPLIES,
    Answered,
    answers,
    assigned,
    began_with,
    by_user,
    worked_seconds,
)
from hub.replay.files import Problems
from hub.replay.service import ALL_CAN, Source
from routing.policy import Policy
from routing.replay.jobs import Abilities, Staffing
from routing.replay.records import Record
from routing.types import Facts, Metric, Urgency

# Who has answered nobody for so long was not at work in between.
_BREAK = timedelta(minutes=45)
# Before their first answer they were working on it.
_BEFORE_FIRST = timedelta(minutes=5)
_BATCH = 400


def from_past(
    session: Session, since: datetime, until: datetime, agents: int | None, policies: Collection[Policy] = ()
) -> Source:
    """The waits that began between two moments. `agents` are on duty at all times, and answer everything;
    None: who answered then, each what they can by the rules of `policies`.

    Raises: hub.errors.Invalid where nobody waited, or nobody answered and no number of agents is given.
    """
    rows = session.execute(_waits(since, until)).all()
    if not rows:
        raise Invalid(f"nobody began to wait between {since:%Y-%m-%d %H:%M} and {until:%Y-%m-%d %H:%M} UTC")
    answered = answers(session, since, until + LONGEST)
    handled = worked_seconds(rows, answered, assigned(session, since, until + LONGEST))
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
        "tiers are those of the promises; channels, spend and followers those of today",
        f"handling times, from assignments and answers; of {unknown:,} the policy's expected ones",
    ]
    asks = any(policy.assignment.needs or policy.capacity for policy in policies)
    if agents is not None:
        staffing = Staffing.constant(agents)
        estimated += [ALL_CAN] if asks else []
    else:
        shifts = [*_spells(answered), *_work(rows, handled)]
        if not shifts:
            raise Invalid("nobody answered in that time: say how many agents are on duty")
        staffing = _on_duty(session, shifts, start)
        estimated.append("who was on duty, from who answered when")
        estimated += ["teams, skills and capacity of the agents, those of today"] if asks else []
    name = f"the hub's own past, {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"
    return Source(name, ordered, staffing, len(ordered), Problems(), Problems(), estimated, "conversation")


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
        .join(Channel, Channel.id == func.coalesce(Conversation.via_id, Conversation.channel_id))
        .outerjoin(
            asked,
            began_with(asked),
        )
        .outerjoin(AnalysisRow, AnalysisRow.message_id == asked.id)
        .outerjoin(answer, answer.id == Promise.reply_id)
        .where(
            Promise.started_at >= since,
            Promise.started_at < until,
            Promise.metric.in_(REPLIES),
            # Whose wait ended without an answer cost nobody any work.
            Promise.cancelled_at.is_(None),
        )
        .order_by(Promise.started_at, Promise.id, asked.id)
    )


def _on_duty(session: Session, shifts: Iterable[tuple[int, datetime, datetime]], start: datetime) -> Staffing:
    """Everybody's stretches of time, with what they can do."""
    spans: dict[int, list[tuple[float, float]]] = {}
    for user_id, begin, end in shifts:
        spans.setdefault(user_id, []).append(((begin - start).total_seconds(), (end - start).total_seconds()))
    able: dict[Abilities, list[tuple[float, float, int]]] = {}
    for user in session.scalars(select(User).where(User.id.in_(list(spans)))):
        abilities = Abilities(frozenset(user.teams), tuple(sorted(user.skills.items())), user.capacity)
        able.setdefault(abilities, []).extend(_joined(spans[user.id]))
    return Staffing.of_groups((abilities, Staffing.of_shifts(some)) for abilities, some in able.items())


def _spells(answered: Iterable[Answered]) -> Iterator[tuple[int, datetime, datetime]]:
    """Each stretch of time in which somebody answered again and again."""
    for user_id, moments in by_user(answered).items():
        begin = last = moments[0]
        for at in moments[1:]:
            if at - last > _BREAK:
                yield user_id, begin - _BEFORE_FIRST, last
                begin = at
            last = at
        yield user_id, begin - _BEFORE_FIRST, last


def _work(rows: Iterable[Any], handled: Mapping[int, float]) -> Iterator[tuple[int, datetime, datetime]]:
    """What is known of how long somebody worked on an answer: they were there."""
    for row in rows:
        if (seconds := handled.get(row.Promise.id)) is not None:
            yield row.answered_by, row.Promise.met_at - timedelta(seconds=seconds), row.Promise.met_at


def _joined(spans: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float, int]]:
    """Of one agent: where stretches overlap they are one agent all the same."""
    begin, end = -math.inf, -math.inf
    for each_begin, each_end in sorted(spans):
        if each_begin > end:
            if end > -math.inf:
                yield begin, end, 1
            begin, end = each_begin, each_end
        end = max(end, each_end)
    if end > -math.inf:
        yield begin, end, 1


def _percentiles(session: Session, ids: set[int]) -> dict[int, float]:
    found: dict[int, float] = {}
    ordered = sorted(ids)
    for first in range(0, len(ordered), _BATCH):
        some = ordered[first : first + _BATCH]
        customers = session.scalars(select(Customer).where(Customer.id.in_(some))).all()
        found |= spend_percentiles(session, customers)
    return found
