"""Whether promises were kept: the report against promises that went through the whole flow."""

from __future__ import annotations

from datetime import timedelta
from statistics import median, quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.channels.models import Channel
from hub.conversations.models import Conversation
from hub.conversations.service import get_conversation, reply, set_status
from hub.policies.service import activate
from hub.queue.queries import promise_view
from hub.queue.sweep import _mark_breached
from hub.reports.queries import percentile, response_times
from tests.factories import NOW, channel, inbound, receive_one, user

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# Ten minutes for gold, an hour for others, day and night; mail only in the morning, so that clocks differ.
POLICY = """
time_zone: Europe/Berlin
currency: EUR
tiers: [gold]
calendars:
  mornings: {hours: {monday: [08:00-12:00], tuesday: [08:00-12:00], wednesday: [08:00-12:00],
                     thursday: [08:00-12:00], friday: [08:00-12:00]}}
policies:
  - name: Mail
    when: channel.kind == "mail"
    calendar: mornings
    first_reply_time: {default: 1h}
    next_reply_time: {default: 1h}
  - name: Rest
    calendar: always
    first_reply_time: {gold: 10m, default: 1h}
    next_reply_time: {gold: 10m, default: 1h}
handling: {default: 5m}
"""


class Desk:
    """Customers who ask and an agent who answers, at given moments."""

    def __init__(self, session: Session) -> None:
        self.session = session
        activate(session, POLICY, NOW)
        self.agent: User = user(session)
        self.chirp: Channel = channel(session, "chirp")
        self.mail: Channel = channel(session, "mail", kind="mail")
        self._asked = 0

    def ask(self, ago: timedelta, *, tier: str | None = None, on: Channel | None = None) -> Conversation:
        """Somebody new asks, `ago` before NOW."""
        self._asked += 1
        at = NOW - ago
        message = receive_one(
            self.session, on or self.chirp, inbound(author=f"author{self._asked}", sent_at=at), now=at
        )
        conversation = get_conversation(self.session, message.conversation_id)
        if tier is not None:
            conversation.customer.tier = tier
            self.again(conversation, ago)
        return conversation

    def again(self, conversation: Conversation, ago: timedelta) -> None:
        """The same customer writes once more."""
        author = conversation.customer.identities[0].value
        at = NOW - ago
        receive_one(self.session, conversation.channel, inbound(author=author, sent_at=at), now=at)

    def answer(self, conversation: Conversation, ago: timedelta) -> None:
        """The agent answers, `ago` before NOW, and the reply is sent."""
        at = NOW - ago
        self.sweep(ago)
        sent = reply(self.session, conversation, user=self.agent, text="An answer", now=at)
        sent.delivery = "sent"
        self.session.flush()

    def sweep(self, ago: timedelta = timedelta(0)) -> None:
        """What is due by then and not answered is marked, as the worker does."""
        _mark_breached(self.session, NOW - ago)


@pytest.fixture
def desk(session: Session) -> Desk:
    return Desk(session)


def test_nothing_yet(session: Session, desk: Desk) -> None:
    found = response_times(session, "7d", NOW)
    assert (found.totals.met, found.totals.breached, found.totals.attainment) == (0, 0, None)
    assert (found.totals.fields()["median_seconds"], found.replies) == (None, 0)
    assert (found.by_tier, found.by_channel, found.at_risk, found.breaches) == ([], [], [], [])


def test_kept_late_and_still_open(session: Session, desk: Desk) -> None:
    desk.answer(desk.ask(5 * HOUR), 5 * HOUR - 20 * MINUTE)  # kept after 20 minutes
    desk.answer(desk.ask(5 * HOUR), 4 * HOUR)  # kept, at the very moment
    desk.answer(desk.ask(5 * HOUR), 2 * HOUR)  # two hours late, and yet answered
    desk.ask(3 * HOUR)  # broken, not answered
    waiting = desk.ask(20 * MINUTE)  # not due: in no figure
    desk.sweep()

    found = response_times(session, "7d", NOW)

    assert (found.totals.met, found.totals.breached, found.totals.attainment) == (2, 2, 0.5)
    assert sorted(found.totals.times) == [20 * 60, 60 * 60, 3 * 60 * 60]
    assert (found.timed, found.replies) == (3, 3)
    assert [(each.late_by_seconds, each.answered) for each in found.breaches] == [
        (2 * 3600, False),
        (2 * 3600, True),
    ]
    assert [each.conversation.id for each in found.at_risk] == [waiting.id]
    assert found.at_risk[0].promise.used_seconds == pytest.approx(20 * 60)


def test_a_wait_that_ends_without_an_answer(session: Session, desk: Desk) -> None:
    """Solved before it was due, a promise is in no figure; solved after, it stays broken."""
    in_time, too_late = desk.ask(50 * MINUTE), desk.ask(3 * HOUR)
    desk.sweep()
    for conversation in (in_time, too_late):
        set_status(session, conversation, "solved", user=desk.agent, now=NOW)
    found = response_times(session, "7d", NOW)
    assert (found.totals.met, found.totals.breached) == (0, 1)
    assert [(each.late_by_seconds, each.answered) for each in found.breaches] == [(2 * 3600, False)]
    assert found.at_risk == []


def test_first_replies_by_tier_and_channel(session: Session, desk: Desk) -> None:
    desk.answer(desk.ask(5 * HOUR, tier="gold"), 5 * HOUR - 5 * MINUTE)
    desk.answer(desk.ask(5 * HOUR, tier="gold"), 5 * HOUR - 30 * MINUTE)
    desk.answer(desk.ask(5 * HOUR), 5 * HOUR - 30 * MINUTE)
    desk.answer(desk.ask(4 * HOUR, on=desk.mail), 4 * HOUR - 10 * MINUTE)
    found = response_times(session, "7d", NOW)
    assert [
        (tier, score.met, score.breached, score.fields()["target_seconds"]) for tier, score in found.by_tier
    ] == [("gold", 1, 1, 600), (None, 2, 0, 3600)]
    assert [(each.name, score.met, score.breached) for each, score in found.by_channel] == [
        ("chirp", 2, 1),
        ("mail", 1, 0),
    ]
    gold = found.by_tier[0][1].fields()
    assert (gold["median_seconds"], gold["p90_seconds"]) == (pytest.approx(1050), pytest.approx(1650))


def test_next_replies_count_as_promises_and_not_as_first_replies(session: Session, desk: Desk) -> None:
    conversation = desk.ask(5 * HOUR)
    desk.answer(conversation, 5 * HOUR - 10 * MINUTE)
    desk.again(conversation, 4 * HOUR)
    desk.answer(conversation, 2 * HOUR)
    found = response_times(session, "7d", NOW)
    assert (found.totals.met, found.totals.breached, found.timed) == (1, 1, 1)
    assert [(score.met, score.breached) for _, score in found.by_tier] == [(1, 0)]
    assert [each.metric for each in found.breaches] == ["next_reply_time"]


def test_a_promise_counts_when_it_is_decided(session: Session, desk: Desk) -> None:
    """Met today and asked yesterday: today. Due yesterday and answered today: broken yesterday."""
    desk.answer(desk.ask(12 * HOUR + 30 * MINUTE), 11 * HOUR + 45 * MINUTE)
    desk.answer(desk.ask(20 * HOUR), HOUR)
    over_time = response_times(session, "7d", NOW).over_time
    yesterday, today = over_time[-2][1], over_time[-1][1]
    assert ((yesterday.met, yesterday.breached), (today.met, today.breached)) == ((0, 1), (1, 0))
    # The late reply was given today.
    assert (len(yesterday.times), len(today.times)) == (0, 2)
    assert sum(score.met + score.breached for _, score in over_time) == 2


def test_what_was_decided_before_the_range_is_not_in_it(session: Session, desk: Desk) -> None:
    desk.answer(desk.ask(9 * DAY), 9 * DAY - MINUTE)
    desk.ask(9 * DAY)
    desk.sweep()
    assert response_times(session, "7d", NOW).totals.attainment is None
    assert response_times(session, "14d", NOW).totals.attainment == 0.5


def test_lateness_counts_in_the_promises_calendar_and_replies_by_the_wall_clock(
    session: Session, desk: Desk
) -> None:
    """Asked at 11:30 on Thursday, due at 8:30 on Friday, answered then at 9: half an hour late, not 21."""
    conversation = desk.ask(24 * HOUR + 30 * MINUTE, on=desk.mail)
    desk.answer(conversation, 3 * HOUR)
    found = response_times(session, "7d", NOW)
    assert [each.late_by_seconds for each in found.breaches] == [30 * 60]
    assert found.totals.times == [(21 * HOUR + 30 * MINUTE).total_seconds()]


def test_the_report_and_the_badge_agree(session: Session, desk: Desk) -> None:
    """One definition: what the badge shows as over is what the report counts as broken."""
    conversations = [desk.ask(minutes * MINUTE) for minutes in (59, 60, 61, 600)]
    desk.sweep()
    over = []
    for conversation in conversations:
        assert conversation.promise is not None
        session.refresh(conversation.promise)
        view = promise_view(conversation.promise, NOW)
        if view.used_seconds > view.target_seconds:
            over.append(conversation.id)
    found = response_times(session, "7d", NOW)
    assert {each.conversation.id for each in found.breaches} == set(over)
    assert len(over) == 2


def test_at_risk_is_the_next_due_first(session: Session, desk: Desk) -> None:
    late, gold, plain = desk.ask(2 * HOUR), desk.ask(MINUTE, tier="gold"), desk.ask(5 * MINUTE)
    desk.sweep()
    assert [each.conversation.id for each in response_times(session, "24h", NOW).at_risk] == [
        gold.id,
        plain.id,
    ]
    assert late.reply_by is not None


def test_tiers_stand_as_the_policy_ranks_them(session: Session, desk: Desk) -> None:
    for tier in (None, "gold", "emerald"):
        desk.answer(desk.ask(HOUR, tier=tier), HOUR - MINUTE)
    assert [tier for tier, _ in response_times(session, "24h", NOW).by_tier] == ["gold", "emerald", None]


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=50))
def test_percentiles_are_those_of_the_standard_library(values: list[float]) -> None:
    assert percentile(values, 0.5) == pytest.approx(median(values))
    assert percentile(values, 0.9) == pytest.approx(quantiles(values, n=10, method="inclusive")[8])


@pytest.mark.parametrize(("values", "expected"), [([], None), ([7.0], 7.0), ([1.0, 2.0], 1.9)])
def test_percentiles_of_few(values: list[float], expected: float | None) -> None:
    assert percentile(values, 0.9) == (expected if expected is None else pytest.approx(expected))
