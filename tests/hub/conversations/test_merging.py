"""Merging, taking that back, and splitting: which clock goes on, and where the next message goes."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.conversations.merging import merge, split, unmerge
from hub.conversations.models import Conversation, Message, Promise
from hub.conversations.service import get_conversation, reply, set_status
from hub.errors import Conflict, HubError
from hub.runtime import Hub
from tests.factories import NOW, channel, conversation_of, inbound, receive_one, user
from tests.hub.conftest import ON_SQLITE


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


class Two:
    """Two conversations of one customer on one channel, played as `Ac0 Br5`: in which, what, and when.

    c: the customer writes, r: somebody replies and it stays open, p s: pending, solved.
    """

    def __init__(self, session: Session, steps: str) -> None:
        self.session, self.channel, self.agent = session, channel(session), user(session)
        self.ids: dict[str, int] = {}
        for step in steps.split():
            self.play(step)

    def play(self, step: str) -> None:
        which, what, now = step[0], step[1], at(float(step[2:]))
        if what == "c":
            item = inbound(thread_key=which, sent_at=now)
            found = conversation_of(self.session, receive_one(self.session, self.channel, item, now=now))
            self.ids.setdefault(which, found.id)
        elif what == "r":
            reply(self.session, self.of(which), user=self.agent, text="Here.", now=now, then="open")
        else:
            status = {"p": "pending", "s": "solved"}[what]
            set_status(self.session, self.of(which), status, user=self.agent, now=now)
        self.session.flush()
        self.session.expire_all()

    def of(self, which: str) -> Conversation:
        return get_conversation(self.session, self.ids[which])

    def merge(self, minutes: float = 50) -> Conversation:
        merged = merge(self.session, self.ids["A"], self.ids["B"], user=self.agent, now=at(minutes))
        self.session.flush()
        self.session.expire_all()
        return merged

    def told(self, which: str) -> str:
        found = self.of(which)
        words = [found.status]
        if found.waiting_since:
            words.append(f"waits since {_minutes(found.waiting_since)}")
        if found.reply_by:
            words.append(f"by {_minutes(found.reply_by)}")
        said = select(Message.id).where(Message.conversation_id == found.id, Message.direction != "activity")
        return ", ".join([*words, f"{len(self.session.scalars(said).all())} said"])

    def owed(self, which: str) -> list[str]:
        rows = self.session.scalars(
            select(Promise).where(Promise.conversation_id == self.ids[which]).order_by(Promise.id)
        )
        return [f"{row.metric.split('_')[0]} {_minutes(row.started_at)}" for row in rows if row.is_open]


@ON_SQLITE
@pytest.mark.parametrize(
    ("steps", "into", "owed"),
    [
        pytest.param("Ac0 Bc10", "new, waits since 0, by 120, 2 said", ["first 0"], id="the older clock"),
        pytest.param(
            "Bc0 Ac10", "new, waits since 0, by 120, 2 said", ["first 0"], id="also where it is there"
        ),
        pytest.param(
            "Ac0 Bc5 Br6", "open, waits since 0, by 120, 3 said", ["first 0"], id="one was answered"
        ),
        pytest.param("Ac0 Ar1 Bc5", "new, waits since 5, by 125, 3 said", ["first 5"], id="the other was"),
        pytest.param("Ac0 Ar1 Bc5 Br6 Bp7", "pending, 4 said", [], id="both were"),
        pytest.param(
            "Bc0 Br1 Bs2 Ac5", "open, waits since 5, by 125, 3 said", ["first 5"], id="into a solved one"
        ),
        pytest.param("Ac0 Bc0", "new, waits since 0, by 120, 2 said", ["first 0"], id="both at once"),
        pytest.param(
            "Ac0 Bc0 Br1", "open, waits since 0, by 120, 3 said", ["first 0"], id="both at once, one answered"
        ),
        pytest.param("Ac0 Ar1 Ac3 Bc9", "new, waits since 3, by 123, 4 said", ["next 3"], id="a next reply"),
    ],
)
def test_merged_they_have_waited_as_long_as_in_the_older(
    session: Session, steps: str, into: str, owed: list[str]
) -> None:
    two = Two(session, steps)
    before = two.told("A"), two.told("B"), two.owed("A"), two.owed("B")
    two.merge()
    assert two.told("B") == into
    assert two.owed("B") == owed
    assert two.told("A") == "closed, 0 said"
    assert two.owed("A") == []
    unmerge(session, two.ids["A"], user=two.agent, now=at(51))
    session.flush()
    session.expire_all()
    assert (two.told("A"), two.told("B"), two.owed("A"), two.owed("B")) == before


def test_what_is_written_to_the_merged_one_goes_where_it_went(session: Session) -> None:
    two = Two(session, "Ac0 Bc10")
    two.merge()
    two.play("Ac60")
    assert two.told("B") == "new, waits since 0, by 120, 3 said"
    with pytest.raises(Conflict, match="something has happened"):
        unmerge(session, two.ids["A"], user=two.agent, now=at(61))


def test_what_cannot_be_merged(session: Session) -> None:
    two = Two(session, "Ac0 Bc10")
    other = receive_one(session, two.channel, inbound(author="bob")).conversation_id
    for pair in ((two.ids["A"], two.ids["A"]), (two.ids["A"], other), (two.ids["A"], 999)):
        with pytest.raises(HubError):
            merge(session, *pair, user=two.agent, now=at(50))
    with pytest.raises(Conflict):
        unmerge(session, two.ids["A"], user=two.agent, now=at(50))


@ON_SQLITE
@pytest.mark.parametrize(
    ("steps", "taken", "stays", "goes"),
    [
        pytest.param(
            "Ac0 Ac5",
            [1],
            "new, waits since 0, by 120, 1 said",
            "open, waits since 5, by 125, 1 said",
            id="both wait",
        ),
        pytest.param(
            "Ac0 Ac5",
            [0],
            "new, waits since 5, by 125, 1 said",
            "open, waits since 0, by 120, 1 said",
            id="the older goes",
        ),
        pytest.param(
            "Ac0 Ar3 Ac5", [2], "open, 2 said", "open, waits since 5, by 125, 1 said", id="what is new"
        ),
        pytest.param(
            "Ac0 Ar3 Ac5",
            [0, 1],
            "open, waits since 5, by 125, 1 said",
            "open, 2 said",
            id="what is answered",
        ),
    ],
)
def test_what_is_split_off_waits_since_it_was_written(
    session: Session, steps: str, taken: list[int], stays: str, goes: str
) -> None:
    two = Two(session, steps)
    said = session.scalars(
        select(Message.id).where(Message.direction != "activity").order_by(Message.sent_at)
    ).all()
    new = split(session, two.ids["A"], [said[each] for each in taken], user=two.agent, now=at(50))
    two.ids["N"] = new.id
    session.flush()
    session.expire_all()
    assert (two.told("A"), two.told("N")) == (stays, goes)
    assert two.of("N").follows_id == two.ids["A"]
    with pytest.raises(HubError):
        split(session, two.ids["A"], [], user=two.agent, now=at(51))
    with pytest.raises(HubError):
        split(session, two.ids["A"], [said[taken[0]]], user=two.agent, now=at(51))


def test_api(hub: Hub, api: TestClient) -> None:
    with hub.database.session() as session:
        two = Two(session, "Ac0 Bc10")
        ids = dict(two.ids)
    assert api.post(f"conversations/{ids['A']}/merge", json={"into": ids["B"]}).json()["id"] == ids["B"]
    assert api.post(f"conversations/{ids['A']}/merge", json={"into": ids["B"]}).status_code == 409
    thread = api.get(f"conversations/{ids['B']}").json()
    said = [each["id"] for each in thread["messages"] if each["direction"] == "incoming"]
    assert len(said) == 2
    assert api.post(f"conversations/{ids['A']}/unmerge").json()["status"] == "new"
    assert api.post(f"conversations/{ids['A']}/split", json={"message_ids": said}).status_code == 422


def _minutes(moment: datetime) -> int:
    return round((moment - NOW).total_seconds() / 60)
