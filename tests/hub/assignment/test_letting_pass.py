"""Who lets offers pass is set away, is told so, and comes back by doing anything."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.accounts.service import heartbeat, set_away
from hub.assignment.pushing import hand_out, pass_offers
from hub.assignment.service import accept_offer, decline_offer
from hub.conversations.models import Conversation
from hub.policies.service import ActivePolicy
from hub.runtime import Hub
from routing.policy import PolicyError, read_policy
from tests import factories
from tests.factories import NOW, inbound, receive_one
from tests.hub.assignment.world import RULES, agent, policy_text, rule_by
from tests.hub.automations.ruling import lines_of
from tests.hub.conftest import Clock

MINUTE = timedelta(minutes=1)
AWAY = "let offers pass 3 times in a row"


def rules(most: int = 3) -> str:
    """They are never offered again what they let pass."""
    written = RULES.replace("offer_again_after: 10m", "offer_again_after: 9d")
    return written.replace("  accept_within", f"  away_after_offers: {most}\n  accept_within")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Both databases pass offers in machine.py."""
    return sqlite_url


class Day:
    """An agent who is offered one conversation after the other, five minutes for each."""

    def __init__(self, session: Session, active: ActivePolicy, user: User) -> None:
        self.session, self.active, self.user, self.now = session, active, user, NOW
        self.channel = factories.channel(session)
        self.numbers = count()

    def offer(self) -> Conversation | None:
        """The next one, if they are offered any."""
        self.now += 5 * MINUTE
        heartbeat(self.session, self.user.id, self.now)
        author = f"author{next(self.numbers)}"
        message = receive_one(
            self.session, self.channel, inbound(author=author, sent_at=self.now), now=self.now
        )
        hand_out(self.session, self.active, self.now)
        self.session.flush()
        self.session.expire_all()
        conversation = self.session.get_one(Conversation, message.conversation_id)
        return conversation if conversation.owner_id == self.user.id else None

    def live(self, answers: str) -> list[str]:
        """Let pass (p), accept (a), decline (d), go away and come back (b); what was set away after which."""
        told = []
        for answer in answers:
            if answer == "b":
                set_away(self.session, self.user.id, True, self.now + 3 * MINUTE)
                set_away(self.session, self.user.id, False, self.now + 3 * MINUTE)
                continue
            offered = self.offer()
            assert offered is not None
            if answer == "a":
                accept_offer(self.session, offered, self.user, self.now + MINUTE)
                offered.owner_id = offered.reply_by = None
            elif answer == "d":
                decline_offer(self.session, offered, self.user, self.now + MINUTE)
            else:
                assert pass_offers(self.session, self.now + 2 * MINUTE) == 1
            self.session.flush()
            self.session.expire_all()
            told.append("away" if self.user.away else "here")
        return told


@pytest.fixture
def day(session: Session) -> Day:
    return Day(session, rule_by(session, rules=rules()), agent(session, "Ada", teams=("social",), capacity=9))


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ("ppp", ["here", "here", "away"]),
        ("ppapp", ["here"] * 5),
        ("ppdppp", ["here"] * 5 + ["away"]),
        ("ppbppp", ["here"] * 4 + ["away"]),
    ],
)
def test_so_many_in_a_row_count(day: Day, answers: str, told: list[str]) -> None:
    assert day.live(answers) == told


def test_their_other_offers_go_to_somebody_else_and_all_of_it_is_told(session: Session, day: Day) -> None:
    day.live("pp")
    first = day.offer()
    day.now -= 4 * MINUTE
    second = day.offer()
    assert first is not None
    assert second is not None
    first.accept_by = day.now
    session.flush()
    colleague = agent(session, "Ben", teams=("social",), capacity=9, seen_at=day.now)
    assert pass_offers(session, day.now) == 1
    session.flush()
    session.expire_all()
    assert (day.user.away_since, day.user.away_because) == (day.now, AWAY)
    assert (first.owner_id, second.owner_id) == (None, None)
    assert lines_of(session, first) == [
        "Ada did not accept it in time",
        f"Ada was set away: they {AWAY}",
    ]
    assert lines_of(session, second) == [f"Ada was set away: they {AWAY}"]
    hand_out(session, day.active, day.now)
    session.flush()
    session.expire_all()
    assert second.owner_id == colleague.id
    # Back, they are offered again, and three more count.
    set_away(session, day.user.id, False, day.now)
    session.flush()
    session.expire_all()
    assert (day.user.away_because, day.user.back_at) == (None, day.now)


def test_what_lies_with_them_at_the_same_time_is_let_pass_at_once(session: Session, day: Day) -> None:
    for told in ("here", "here", "away"):
        first = day.offer()
        day.now -= 4 * MINUTE
        second = day.offer()
        assert first is not None
        assert second is not None
        assert pass_offers(session, day.now + 3 * MINUTE) == 2
        session.flush()
        session.expire_all()
        assert ("away" if day.user.away else "here") == told
        assert second.owner_id is None


def test_a_policy_may_leave_them_there(session: Session) -> None:
    active = rule_by(session, rules=rules(0))
    day = Day(session, active, agent(session, "Ada", teams=("social",)))
    assert day.live("ppppp") == ["here"] * 5


def test_how_many_is_a_number_of_the_policy() -> None:
    assert read_policy(policy_text(rules(7))).assignment.away_after_offers == 7
    with pytest.raises(PolicyError, match=r"assignment\.away_after_offers"):
        read_policy(policy_text(rules(-1)))


@pytest.mark.parametrize("act", ["/presence", "/queue/next", "/conversations/{}/tags", "look"])
def test_they_see_it_and_come_back_by_doing_anything(
    hub: Hub, clock: Clock, agent: TestClient, act: str
) -> None:
    with hub.database.session() as session:
        rule_by(session, rules=rules(1))
        me = session.scalars(select(User)).one()
        set_away(session, me.id, True, NOW, AWAY)
        conversation_id = receive_one(session, factories.channel(session)).conversation_id
    for address in ("/queue", "/offers", "/customers"):
        page = agent.get(address).text
        assert f"You {AWAY}, so nothing is offered to you until you are back" in page
        assert "I am here" in page
    if act != "look":
        agent.post(act.format(conversation_id), data={"presence": "online"})
    with hub.database.reading() as session:
        me = session.scalars(select(User)).one()
        assert (me.away, me.away_because) == ((True, AWAY) if act == "look" else (False, None))
    shown = agent.get("/offers").text
    assert ("You were set away" in shown) is (act == "look")
    # What stands above their menu comes with it.
    assert ("Agent · Away" in shown) is (act == "look")
