"""A conversation that goes on by another channel: whose targets count, and where the answer goes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import Author, Identity
from hub.channels.models import Channel
from hub.conversations.delivery import deliver
from hub.conversations.merging import merge, split, unmerge
from hub.conversations.models import Conversation, Message
from hub.conversations.reaching import ways_to
from hub.conversations.service import answer_by, answerable, get_conversation, reply, set_status
from hub.errors import Conflict, Invalid
from hub.policies.service import activate
from hub.runtime import Hub
from tests.factories import NOW, channel, conversation_of, customer, inbound, receive_one, user
from tests.hub.conftest import Clock

POLICY = """
time_zone: UTC
currency: EUR
policies:
  - name: Social
    when: channel.kind == "social"
    first_reply_time: {default: 1h}
    next_reply_time: {default: 30m}
    resolution_time: {default: 1d}
  - name: Rest
    first_reply_time: {default: 4h}
    next_reply_time: {default: 2h}
handling: {default: 5m}
"""
HANDLE, ADDRESS = Identity("handle", "ann", "chirp"), Identity("email", "ann@customer.example")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Nothing here is another on PostgreSQL."""
    return sqlite_url


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


class World:
    """Ann, who writes by `chirp` (thread key C) and by mail (M), and an agent."""

    def __init__(self, session: Session, outbox: str = "not written to") -> None:
        activate(session, POLICY, NOW)
        self.session, self.agent = session, user(session)
        self.ann = customer(session, "Ann Example", HANDLE, ADDRESS)
        self.channels = {
            "C": channel(session, "chirp", outbox=outbox),
            "M": channel(session, "mail", kind="mail", outbox=outbox),
        }

    def write(self, by: str, minutes: float, **fields: Any) -> Conversation:
        """Ann writes; the conversation that it came into."""
        author = Author((HANDLE if by == "C" else ADDRESS,), name="Ann")
        item = inbound(author=author, thread_key=by, sent_at=at(minutes), **fields)
        return conversation_of(
            self.session, receive_one(self.session, self.channels[by], item, now=at(minutes))
        )

    def told(self, conversation: Conversation) -> str:
        """By what it goes on, since when the customer waits, and by when an answer is due."""
        self.session.flush()
        self.session.expire_all()
        since, by = conversation.waiting_since, conversation.reply_by
        return " ".join(
            [
                conversation.goes_by.name,
                *(f"{(each - NOW).total_seconds() / 60:g}" for each in (since, by) if each),
            ]
        )


@pytest.mark.parametrize(
    ("written", "source", "merged", "before"),
    [
        pytest.param("M0 C10", "M", "chirp 0 60", ("mail 0 240", "chirp 10 70"), id="by another, the newer"),
        pytest.param("M0 C10", "C", "chirp 0 60", ("chirp 10 70", "mail 0 240"), id="into the older"),
        pytest.param("C0 M10", "C", "mail 0 240", ("chirp 0 60", "mail 10 250"), id="a slower one"),
        pytest.param("C0 M10 C20", "C", "chirp 0 60", ("chirp 0 60", "mail 10 250"), id="back again"),
    ],
)
def test_a_customer_who_writes_on_by_another_channel(
    session: Session, written: str, source: str, merged: str, before: tuple[str, str]
) -> None:
    world = World(session)
    found = {step[0]: world.write(step[0], float(step[1:])) for step in written.split()}
    source_id = found.pop(source).id
    (target,) = found.values()
    stood = [world.told(get_conversation(session, each)) for each in (source_id, target.id)]
    assert tuple(stood) == before
    merge(session, source_id, target.id, user=world.agent, now=at(30))
    assert world.told(target) == merged
    unmerge(session, source_id, user=world.agent, now=at(31))
    stood = [world.told(get_conversation(session, each)) for each in (source_id, target.id)]
    assert tuple(stood) == before


def test_what_is_written_on_in_either_thread_turns_it_there(session: Session) -> None:
    world = World(session)
    target = world.write("C", 10)
    merge(session, world.write("M", 0).id, target.id, user=world.agent, now=at(15))
    assert world.told(target) == "chirp 0 60"
    assert world.write("M", 20).id == target.id
    assert world.told(target) == "mail 0 240"
    assert world.write("C", 30).id == target.id
    assert world.told(target) == "chirp 0 60"
    # What reaches us late is not the newest, and what no person wrote asks for nothing.
    world.write("M", 25)
    world.write("M", 40, nature="auto_reply", automatic=True)
    assert world.told(target) == "chirp 0 60"


def test_an_answer_goes_to_the_thread_of_its_channel(session: Session) -> None:
    world = World(session)
    target = world.write("C", 10)
    merge(session, world.write("M", 0).id, target.id, user=world.agent, now=at(15))
    for by, name in (("M", "mail"), ("C", "chirp")):
        answer_by(session, target, name, user=world.agent, now=at(20))
        answers = answerable(session, target)
        assert answers is not None
        assert answers.channel_id == world.channels[by].id
        sent = reply(session, target, user=world.agent, text="Here.", now=at(21))
        assert (sent.channel_id, sent.answers_id, sent.reply_to) == (world.channels[by].id, answers.id, None)


@pytest.mark.parametrize(
    ("change_at", "told"), [(20, "mail 0 240"), (90, "mail 0 240")], ids=["in time", "after it broke"]
)
def test_an_agent_who_answers_by_another_channel(session: Session, change_at: float, told: str) -> None:
    world = World(session)
    found = world.write("C", 0)
    assert world.told(found) == "chirp 0 60"
    assert [each.channel.name for each in ways_to(session, found)] == ["chirp", "mail"]
    answer_by(session, found, "mail", user=world.agent, now=at(change_at))
    assert world.told(found) == told
    # The next message decides anew.
    world.write("C", change_at + 1)
    assert world.told(found) == "chirp 0 60"


def test_what_is_refused(session: Session) -> None:
    world = World(session)
    found = world.write("C", 0)
    channel(session, "elsewhere")
    with pytest.raises(Invalid, match="can be answered by chirp, mail, not by 'elsewhere'"):
        answer_by(session, found, "elsewhere", user=world.agent, now=at(1))
    set_status(session, found, "closed", user=world.agent, now=at(1))
    with pytest.raises(Conflict):
        answer_by(session, found, "mail", user=world.agent, now=at(2))


def test_what_is_split_off_goes_on_where_it_was_written(session: Session) -> None:
    world = World(session)
    target = world.write("C", 10)
    merge(session, world.write("M", 0).id, target.id, user=world.agent, now=at(15))
    mailed = session.scalars(
        select(Message.id).where(
            Message.channel_id == world.channels["M"].id, Message.direction == "incoming"
        )
    ).all()
    new = split(session, target.id, mailed, user=world.agent, now=at(20))
    assert (world.told(new), world.told(target)) == ("mail 0 240", "chirp 10 70")


def test_a_reply_goes_where_the_page_said_that_it_goes(hub: Hub, clock: Clock, agent: TestClient) -> None:
    with hub.database.session() as session:
        world = World(session)
        found = world.write("C", 0)
        merge(session, world.write("M", 0).id, found.id, user=world.agent, now=at(1))
        conversation_id, chirp_id = found.id, world.channels["C"].id
    page = agent.get(f"/conversations/{conversation_id}").text
    assert 'name="by" value="chirp"' in page
    with hub.database.session() as session:
        author = Author((ADDRESS,), name="Ann")
        mail = session.scalars(select(Channel).where(Channel.name == "mail")).one()
        item = inbound(author=author, thread_key="M", sent_at=at(2))
        assert receive_one(session, mail, item, now=at(2)).conversation_id == conversation_id
    sent = {"text": "Here.", "idempotency_key": "1", "by": "chirp"}
    agent.post(f"/conversations/{conversation_id}/reply", data=sent)
    with hub.database.reading() as session:
        message = session.scalars(select(Message).where(Message.body == "Here.")).one()
        assert message.channel_id == chirp_id


def test_the_first_mail_to_somebody_who_never_wrote_by_mail(
    hub: Hub, clock: Clock, api: TestClient, tmp_path: Path
) -> None:
    with hub.database.session() as session:
        world = World(session, str(tmp_path / "outbox"))
        found = world.write("C", 0).id
        mail_id = world.channels["M"].id
    listed = api.get(f"conversations/{found}/channels").json()
    assert listed == {
        "channel": "chirp",
        "ways": [
            {"channel": "chirp", "kind": "social", "to": None},
            {"channel": "mail", "kind": "mail", "to": "ann@customer.example"},
        ],
    }
    assert api.put(f"conversations/{found}/channel", json={"channel": "fax"}).status_code == 422
    clock.advance(minutes=5)
    assert api.put(f"conversations/{found}/channel", json={"channel": "mail"}).json()["channel"] == "mail"
    assert api.post(f"conversations/{found}/replies", json={"text": "Here."}).status_code == 201
    assert deliver(hub) == 1
    (sent,) = (json.loads(each.read_text()) for each in (tmp_path / "outbox").iterdir())
    assert sent["recipient"]["value"] == "ann@customer.example"
    thread = api.get(f"conversations/{found}").json()
    assert thread["conversation"]["channel"] == "mail"
    assert [each["channel"] for each in thread["messages"] if each["direction"] != "activity"] == [
        "chirp",
        "mail",
    ]
    with hub.database.session() as session:
        sent_row = session.scalars(select(Message).where(Message.channel_id == mail_id)).one()
        assert sent_row.vendor_id is not None
        answer = inbound(author=Author((ADDRESS,)), in_reply_to=(sent_row.vendor_id,), sent_at=clock.now)
        assert receive_one(session, sent_row.channel, answer, now=clock.now).conversation_id == found
