"""What the rules of assignment do with stored conversations, one rule at a time."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.accounts.service import heartbeat, set_away
from hub.assignment import claiming
from hub.assignment.absence import release_absent
from hub.assignment.claiming import claim_next
from hub.assignment.lanes import pass_lanes
from hub.assignment.models import Assignment
from hub.assignment.pushing import assign_waiting, hand_out, pass_offers
from hub.assignment.queries import history, list_agents
from hub.assignment.service import send_on
from hub.conversations.models import Conversation
from hub.conversations.service import get_conversation, release, reply, set_status
from hub.policies.service import activate, active_policy
from hub.queue import service
from hub.runtime import Hub
from routing.assignment import needs_of_lane
from routing.policy import DEFAULT_POLICY
from tests import factories
from tests.factories import NOW, inbound, receive_one, user
from tests.hub.assignment.world import agent, rule_by
from tests.hub.conftest import Clock

MINUTE = timedelta(minutes=1)
ABLE = {"teams": ("service",), "skills": {"returns": 2}}


def writes(
    session: Session, channel: str = "french", author: str = "ann", at: datetime = NOW
) -> Conversation:
    """A conversation that begins."""
    known = session.scalars(select(factories.Channel).where(factories.Channel.name == channel)).one_or_none()
    where = known or factories.channel(session, channel, network="net")
    message = receive_one(session, where, inbound(author=author, sent_at=at), now=at)
    return get_conversation(session, message.conversation_id)


def owner(session: Session, conversation: Conversation) -> str | None:
    session.flush()
    session.expire_all()
    return conversation.owner.name if conversation.owner else None


def test_additional_skills_relax_after_their_time(session: Session) -> None:
    active = rule_by(session)
    agent(session, "Bea", **ABLE)
    waiting = writes(session)
    assert (waiting.needs_rule, waiting.relax_at) == ("French", NOW + 10 * MINUTE)
    assert hand_out(session, active, NOW) == 0
    heartbeat(session, session.scalars(select(User.id)).one(), NOW + 10 * MINUTE)
    assert pass_lanes(session, active.policy, NOW + 9 * MINUTE) == 0
    assert pass_lanes(session, active.policy, NOW + 10 * MINUTE) == 1
    assert hand_out(session, active, NOW + 10 * MINUTE) == 1
    assert owner(session, waiting) == "Bea"
    assert history(session, waiting.id)[0].reasons == [
        "in team service",
        "returns 2 (asked: 2)",
        "has most room: 3 of 3 units free",
    ]


def test_what_a_colleague_gives_back_is_no_longer_the_teams_it_was_sent_to_before(session: Session) -> None:
    rule_by(session)
    waiting = writes(session)
    by_rule = waiting.lane
    boss, friend = user(session, "Mona Manager", role="manager"), agent(session, "Xavier")
    send_on(session, waiting, by=boss, now=NOW, team="social")
    assert needs_of_lane(waiting.lane).team == "social"
    send_on(session, waiting, by=boss, now=NOW, to=friend)
    assert history(session, waiting.id)[0].lane == by_rule
    release(session, waiting, user=friend, now=NOW)
    assert (waiting.sent_to_team, waiting.needs_rule, waiting.lane) == (None, "French", by_rule)
    agent(session, "Sue", teams=("social",))
    assert hand_out(session, active_policy(session), NOW) == 0


def test_what_is_not_accepted_goes_back_to_its_place_and_to_somebody_else(session: Session) -> None:
    active = rule_by(session)
    first, second = (agent(session, name, teams=("social",)) for name in ("Ada", "Ben"))
    waiting = writes(session, "chirp")
    place = waiting.reply_by
    assert hand_out(session, active, NOW) == 1
    assert (owner(session, waiting), waiting.accept_by) == ("Ada", NOW + 2 * MINUTE)
    assert pass_offers(session, NOW + 1 * MINUTE) == 0
    assert pass_offers(session, NOW + 2 * MINUTE) == 1
    assert (owner(session, waiting), waiting.reply_by) == (None, place)
    assert hand_out(session, active, NOW + 2 * MINUTE) == 1
    assert owner(session, waiting) == "Ben"
    assert [each.ended for each in history(session, waiting.id)] == [None, "not_accepted"]
    assert pass_offers(session, NOW + 4 * MINUTE) == 1
    assert hand_out(session, active, NOW + 4 * MINUTE) == 0
    assert claim_next(session, first.id, NOW + 4 * MINUTE) is None
    heartbeat(session, second.id, NOW + 12 * MINUTE)
    heartbeat(session, first.id, NOW + 12 * MINUTE)
    assert claim_next(session, first.id, NOW + 12 * MINUTE) == waiting.id


def test_who_knows_the_customer_has_it_kept_for_a_while(session: Session) -> None:
    active = rule_by(session)
    knows = agent(session, "Ada", teams=("social",), capacity=1)
    before = writes(session, "chirp")
    assert hand_out(session, active, NOW) == 1
    set_status(session, before, "solved", user=knows, now=NOW)
    other = writes(session, "chirp", "bob", NOW)
    assert hand_out(session, active, NOW) == 1
    assert owner(session, other) == "Ada"
    agent(session, "Ben", teams=("social",))
    again = writes(session, "post", "ann", NOW + MINUTE)
    assert (again.known_by_id, again.held_until) == (knows.id, NOW + 4 * MINUTE)
    assert hand_out(session, active, NOW + MINUTE) == 0
    reply(session, get_conversation(session, other.id), user=knows, text="Here.", now=NOW + MINUTE)
    assert hand_out(session, active, NOW + MINUTE) == 1
    assert owner(session, again) == "Ada"
    assert history(session, again.id)[0].reasons == ["knows the customer"]


def test_it_is_kept_no_longer_for_who_went_away(session: Session) -> None:
    active = rule_by(session)
    knows, other = (agent(session, name, teams=("social",)) for name in ("Ada", "Ben"))
    set_away(session, other.id, True, NOW)
    before = writes(session, "chirp")
    assert hand_out(session, active, NOW) == 1
    set_status(session, before, "solved", user=knows, now=NOW)
    again = writes(session, "post", "ann")
    assert again.held_until is not None
    set_away(session, knows.id, True, NOW)
    set_away(session, other.id, False, NOW)
    assert claim_next(session, other.id, NOW) is None
    assert pass_lanes(session, active.policy, NOW) == 1
    session.expire_all()
    assert claim_next(session, other.id, NOW) == again.id


def test_a_policy_that_begins_to_rule_counts_at_the_next_claim(session: Session) -> None:
    """Nobody is passed over, nor given to who cannot, before the background has placed them anew."""
    ada = agent(session, "Ada", teams=("social",), capacity=1)
    french, chirp = writes(session), writes(session, "chirp")
    writes(session, "chirp", "bob")
    active = rule_by(session, mode="pull")
    assert (french.lane, chirp.lane) == ("", "")
    assert [claim_next(session, ada.id, NOW) for _ in range(2)] == [chirp.id, None]
    assert history(session, chirp.id)[0].policy_version_id == active.version_id
    free = activate(session, DEFAULT_POLICY, NOW)
    assert claim_next(session, ada.id, NOW) == french.id
    assert history(session, french.id)[0].policy_version_id == free.version_id
    rule_by(session, mode="pull")
    assert claim_next(session, ada.id, NOW) is None


def test_a_policy_that_begins_to_rule_counts_at_the_next_round(hub: Hub, clock: Clock) -> None:
    with hub.database.session() as session:
        agent(session, "Ada", teams=("social",))
        french, chirp = writes(session), writes(session, "chirp")
        rule_by(session)
    while assign_waiting(hub):
        pass
    with hub.database.reading() as session:
        assert session.get_one(Conversation, chirp.id).owner_id is not None
        assert session.get_one(Conversation, french.id).owner_id is None
    with hub.database.session() as session:
        activate(session, DEFAULT_POLICY, NOW)
    clock.advance(minutes=2)
    # What was offered under the rules before runs out under rules without offers too.
    assert assign_waiting(hub) == 1


def test_who_asks_looks_behind_many_that_are_not_placed_yet(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (service, claiming):
        monkeypatch.setattr(module, "ON_SIGHT", 2)
    ada = agent(session, "Ada", teams=("social",))
    for author in ("ann", "bob", "cem", "dee", "eve"):
        writes(session, author=author)
    last = writes(session, "chirp")
    rule_by(session, mode="pull")
    assert claim_next(session, ada.id, NOW) == last.id
    assert claim_next(session, ada.id, NOW) is None


def test_who_stays_away_gives_back_though_a_page_is_open(session: Session) -> None:
    rule_by(session)
    ada = agent(session, "Ada", teams=("social",))
    waiting = writes(session, "chirp")
    assert claim_next(session, ada.id, NOW) == waiting.id
    assert owner(session, waiting) == "Ada"
    set_away(session, ada.id, True, NOW + MINUTE)
    for minutes, released in ((15, 0), (17, 1)):
        heartbeat(session, ada.id, NOW + minutes * MINUTE)
        assert release_absent(session, NOW + minutes * MINUTE) == released
    assert [each.ended for each in history(session, waiting.id)] == ["away"]


def test_the_job_does_what_is_due_and_then_nothing(hub: Hub, clock: Clock) -> None:
    with hub.database.session() as session:
        rule_by(session)
        for name in ("Ada", "Ben"):
            agent(session, name, teams=("social",))
        for author in ("ann", "bob", "cem"):
            writes(session, "chirp", author)
    assert assign_waiting(hub) == 3
    assert assign_waiting(hub) == 0
    clock.advance(minutes=2)
    # Three run out, and each is offered to whoever has not let it pass.
    assert assign_waiting(hub) == 6
    assert assign_waiting(hub) == 0
    with hub.database.reading() as session:
        assert {row.agent.used for row in list_agents(session, clock.now)} == {1, 2}
        ended = session.scalars(select(Assignment.ended).where(Assignment.ended.is_not(None))).all()
        assert ended == ["not_accepted"] * 3
