"""A promise counts by the version of the policy that placed it, whatever rules by now."""

from __future__ import annotations

from datetime import timedelta

import pytest
from alembic import command
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from hub import migrations
from hub.conversations.models import Conversation, Promise
from hub.conversations.promises import standing
from hub.conversations.service import get_conversation, reply
from hub.conversations.views import clock_views
from hub.database import Database
from hub.policies.service import activate, active_policy
from hub.queue.queries import promise_view
from hub.queue.service import place_anew
from hub.queue.sweep import pass_time
from hub.reports.queries import response_times
from hub.staffing.queries import past_cases, queued
from tests.factories import NOW, channel, conversation_of, inbound, receive_one, user
from tests.hub.conftest import ON_SQLITE

pytestmark = ON_SQLITE
HOUR = timedelta(hours=1)
# It is Friday, 12:00 in Berlin.
MONDAY = NOW.replace(hour=8, minute=0) + timedelta(days=3)
POLICY = """
time_zone: Europe/Berlin
currency: EUR
calendars:
  office: {hours: {monday: [09:00-18:00], tuesday: [09:00-18:00], wednesday: [09:00-18:00],
                   thursday: [09:00-18:00], friday: [09:00-18:00]}}
policies:
  - name: Mail
    calendar: office
    first_reply_time: {default: 8h}
    next_reply_time: {default: 8h}
handling: {default: 5m}
"""
RENAMED = POLICY.replace("name: Mail", "name: E-mail")
MOVED = POLICY.replace("office", "desk")
LONGER = POLICY.replace("monday: [09:00-18:00], tuesday: [09:00-18:00]", "tuesday: [00:00-24:00]")


@pytest.fixture
def asked(session: Session) -> Conversation:
    """Somebody asked on Friday at noon: due on Monday at eleven."""
    activate(session, POLICY, NOW)
    message = receive_one(session, channel(session, kind="mail"), inbound(sent_at=NOW))
    assert promise_of(session).due_at == MONDAY + 2 * HOUR
    return conversation_of(session, message)


def promise_of(session: Session) -> Promise:
    return session.scalars(select(Promise).execution_options(populate_existing=True)).one()


def answer(session: Session, conversation: Conversation, after: timedelta) -> None:
    """After so long since Monday at nine."""
    sent = reply(
        session, get_conversation(session, conversation.id), user=user(session), text="x", now=MONDAY + after
    )
    sent.delivery = "sent"
    session.flush()


@pytest.mark.parametrize("changed", [RENAMED, MOVED, LONGER])
def test_an_answer_after_a_change_is_late_by_the_hours_that_were_promised(
    session: Session, asked: Conversation, changed: str
) -> None:
    tuesday = timedelta(days=1)
    pass_time(session, MONDAY + tuesday)
    activate(session, changed, MONDAY + tuesday)
    # Before the background placed it anew: late from Monday at eleven to 18:00, and an hour on Tuesday.
    answer(session, asked, tuesday + HOUR)
    promise = promise_of(session)
    assert promise.late_by_seconds == 8 * 3600


@pytest.mark.parametrize("changed", [RENAMED, MOVED, LONGER])
def test_all_faces_say_how_late_it_was_after_any_change(
    session: Session, asked: Conversation, changed: str
) -> None:
    answer(session, asked, timedelta(days=1, hours=1))
    activate(session, changed, MONDAY + timedelta(days=2))
    while place_anew(session, MONDAY + timedelta(days=2)):
        pass
    now = MONDAY + timedelta(days=3)
    promise = promise_of(session)
    assert promise.late_by_seconds == 8 * 3600
    (clock,) = clock_views([promise], now)
    (breach,) = response_times(session, "7d", now).breaches
    assert (
        clock["late_by_seconds"]
        == standing(promise, now).late_by_seconds
        == breach.late_by_seconds
        == 8 * 3600
    )
    assert clock["took_seconds"] == 16 * 3600
    assert clock["outcome"] == "breached"


def test_what_waits_counts_by_its_version_until_it_is_placed_anew(
    session: Session, asked: Conversation
) -> None:
    activate(session, RENAMED.replace("calendar: office", "calendar: always"), NOW + HOUR)
    sunday = MONDAY - timedelta(hours=20)
    view = promise_view(promise_of(session), sunday)
    assert (view.used_seconds, view.running) == (6 * 3600, False)
    place_anew(session, sunday)
    promise = promise_of(session)
    assert promise.policy_version_id == asked.policy_version_id == active_policy(session).version_id
    assert promise.due_at == NOW + 8 * HOUR
    assert standing(promise, sunday).late_by_seconds == (sunday - NOW).total_seconds() - 8 * 3600


def test_the_past_and_the_queue_keep_their_hours(session: Session, asked: Conversation) -> None:
    office = active_policy(session).policy.calendar("office")
    assert [each.calendar for each in queued(session, 10)] == [office]
    activate(session, RENAMED, NOW + HOUR)
    renamed = active_policy(session).policy
    # Those to come are promised in the hours that the office has by now.
    assert [each.calendar for each in past_cases(session, renamed)] == [renamed.calendar("office")]
    assert [each.calendar for each in queued(session, 10)] == [office]
    activate(session, MOVED, NOW + HOUR)
    assert [each.calendar for each in past_cases(session, active_policy(session).policy)] == [office]


def test_a_text_that_can_be_read_no_more(session: Session, asked: Conversation) -> None:
    version_id = asked.policy_version_id
    activate(session, POLICY + "\n", NOW + HOUR)
    session.info.pop("policies", None)
    session.execute(
        text("UPDATE policy_versions SET source = 'of another time' WHERE id = :id"), {"id": version_id}
    )
    session.expire_all()
    promise = promise_of(session)
    assert promise.policy_version_id == version_id
    assert standing(promise, MONDAY + 3 * HOUR).late_by_seconds == 3600


def test_what_was_stored_before_learns_its_version(database: Database) -> None:
    with database.session() as session:
        first = activate(session, POLICY, NOW).version_id
        where = channel(session, kind="mail")
        ended, waits = (
            conversation_of(session, receive_one(session, where, inbound(author=name, sent_at=NOW))).id
            for name in ("ann", "ben")
        )
        answer(session, get_conversation(session, ended), HOUR)
        second = activate(session, RENAMED, MONDAY + 2 * HOUR).version_id
        while place_anew(session, MONDAY + 2 * HOUR):
            pass
    command.downgrade(migrations.config(database), "0025")
    migrations.upgrade(database)
    with database.reading() as session:
        found = {each.conversation_id: each.policy_version_id for each in session.scalars(select(Promise))}
    assert found == {ended: first, waits: second}
