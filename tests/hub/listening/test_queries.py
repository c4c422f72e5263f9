"""How customers felt: every figure against messages that a test can count."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from hub.channels.models import Channel
from hub.conversations.models import Message
from hub.listening.languages import language_name
from hub.listening.queries import Tally, moods
from sentiment.types import Analysis
from tests.factories import NOW, analyse_as, analysis, channel, inbound, receive_one

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
Say = Callable[..., Message]


@pytest.fixture
def say(session: Session) -> Say:
    """Let a customer say something, `ago` before NOW, and let the model say `said` of it."""
    channels: dict[str, Channel] = {}

    def said_by_somebody(
        said: Analysis | None,
        ago: timedelta = HOUR,
        *,
        on: str = "chirp",
        text: str = "Text",
        automatic: bool = False,
    ) -> Message:
        if on not in channels:
            channels[on] = channel(session, on)
        message = receive_one(session, channels[on], inbound(text, sent_at=NOW - ago, automatic=automatic))
        if said is not None:
            analyse_as(session, message, said)
        return message

    return said_by_somebody


def test_nothing_was_said(session: Session) -> None:
    found = moods(session, "7d", NOW)
    assert found.totals == Tally()
    assert found.totals.negative_share is None
    assert [tally.messages for _, tally in found.over_time] == [0] * 7
    assert (found.by_channel, found.by_language, found.intents, found.worst) == ([], [], [], [])


def test_totals_keep_the_abstained_apart(session: Session, say: Say) -> None:
    for said in (
        analysis("negative"),
        analysis("positive"),
        analysis("positive"),
        analysis("neutral"),
        analysis(None),
    ):
        say(said)
    say(None)
    say(analysis("negative"), automatic=True)
    say(analysis("negative"), 8 * DAY)
    found = moods(session, "7d", NOW)
    assert found.totals == Tally(negative=1, neutral=1, positive=2, abstained=1)
    assert found.totals.messages == 5
    assert found.totals.negative_share == 0.25
    assert found.unread == 1


def test_over_time_by_hour(session: Session, say: Say) -> None:
    say(analysis("negative"), timedelta(0))
    say(analysis("negative"), timedelta(minutes=59))
    say(analysis("positive"), HOUR)
    say(analysis("neutral"), 23 * HOUR)
    say(analysis("neutral"), 23 * HOUR + timedelta(seconds=1))
    found = moods(session, "24h", NOW)
    points = [(at, tally) for at, tally in found.over_time if tally.messages]
    assert points == [
        (NOW - 23 * HOUR, Tally(neutral=1)),
        (NOW - HOUR, Tally(negative=1, positive=1)),
        (NOW, Tally(negative=1)),
    ]
    assert (found.period.unit, len(found.over_time)) == ("hour", 24)


def test_over_time_by_day_of_the_brands_zone(session: Session, say: Say) -> None:
    # NOW is noon in Berlin: 12 hours ago is today, one second more is yesterday.
    say(analysis("negative"), 12 * HOUR)
    say(analysis("positive"), 12 * HOUR + timedelta(seconds=1))
    found = moods(session, "7d", NOW)
    assert [tally for _, tally in found.over_time[-2:]] == [Tally(positive=1), Tally(negative=1)]


def test_the_range_before(session: Session, say: Say) -> None:
    say(analysis("positive"), DAY)
    say(analysis("negative"), 8 * DAY)
    say(analysis("positive"), 9 * DAY)
    say(analysis(None), 9 * DAY)
    say(analysis("negative"), 30 * DAY)
    assert moods(session, "7d", NOW).before == Tally(negative=1, positive=1, abstained=1)


def test_by_channel_and_by_language(session: Session, say: Say) -> None:
    say(analysis("negative", language="de"), on="mail")
    say(analysis("negative", language="de"))
    say(analysis("positive", language="fr"))
    say(analysis("neutral", language=None))
    found = moods(session, "7d", NOW)
    assert [(each.name, tally) for each, tally in found.by_channel] == [
        ("chirp", Tally(negative=1, neutral=1, positive=1)),
        ("mail", Tally(negative=1)),
    ]
    assert found.by_language == [
        ("de", Tally(negative=2)),
        (None, Tally(neutral=1)),
        ("fr", Tally(positive=1)),
    ]


def test_a_message_counts_for_each_of_its_intents(session: Session, say: Say) -> None:
    say(analysis("negative", intents=("complaint", "delivery_status", "escalation", "refund_return")))
    say(analysis("positive", intents=("delivery_status",)))
    say(analysis("neutral", intents=()))
    found = moods(session, "7d", NOW).intents
    assert [(each.label, each.messages, each.negative) for each in found] == [
        ("delivery_status", 2, 1),
        ("complaint", 1, 1),
        ("escalation", 1, 1),
        ("refund_return", 1, 1),
    ]


def test_worst_are_the_surest(session: Session, say: Say) -> None:
    say(analysis("negative", 0.7), text="rather bad")
    say(analysis("negative", 0.99), text="awful")
    say(analysis("positive", 0.99), text="lovely")
    say(analysis("negative", 0.99), 9 * DAY, text="long ago")
    found = moods(session, "7d", NOW).worst
    assert [message.body for message, _ in found] == ["awful", "rather bad"]
    assert found[0][1].customer.name == "Ann"


@pytest.mark.parametrize(("code", "name"), [("de", "German"), ("xx", "xx"), (None, "Not known")])
def test_language_names(code: str | None, name: str) -> None:
    assert language_name(code) == name
