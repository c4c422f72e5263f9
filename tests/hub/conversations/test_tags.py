"""Tags of conversations: put on and taken away by people, programs and pages, counted and searched."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.conversations.models import Conversation, Message, Tag
from hub.conversations.queries import list_conversations
from hub.conversations.tags import LONGEST, MOST, change_tags, list_tags, normal_tags
from hub.errors import Invalid
from hub.policies.service import activate
from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY
from tests.factories import NOW, channel, conversation_of, inbound, receive_one, user


def conversation(session: Session, author: str = "ann", name: str = "chirp") -> Conversation:
    return conversation_of(session, receive_one(session, channel(session, name), inbound(author=author)))


def names(of: Conversation) -> list[str]:
    return of.tags


def test_tags_are_put_and_taken_and_said_so(session: Session) -> None:
    ours, ana = conversation(session), user(session, "Ana Agent")
    assert change_tags(session, ours, add=["  #VIP ", "wants a  refund"], user=ana, now=NOW) == (
        ["vip", "wants_a_refund"],
        [],
    )
    assert names(ours) == ["vip", "wants_a_refund"]
    again = change_tags(
        session, ours, add=["vip"], remove=["vip", "Wants a refund", "other"], user=ana, now=NOW
    )
    assert again == ([], ["wants_a_refund"])
    assert change_tags(session, ours, add=["vip"], user=ana, now=NOW) == ([], [])
    lines = session.scalars(select(Message.body).where(Message.direction == "activity").order_by(Message.id))
    assert lines.all() == [
        "Ana Agent: tagged vip, wants_a_refund",
        "Ana Agent: no longer wants_a_refund",
    ]


def test_a_tag_that_the_policy_asks_for_counts_at_once(session: Session) -> None:
    rule = (
        "policies:\n  - name: VIP\n    when: '\"vip\" in conversation.tags'\n"
        "    first_reply_time: {default: 10m}\n    next_reply_time: {default: 10m}\n"
    )
    activate(session, DEFAULT_POLICY.replace("policies:\n", rule, 1), NOW)
    ours, ana = conversation(session), user(session, "Ana Agent")
    before = ours.promise
    assert before is not None
    asked_of = before.policy
    for add, remove, policy in ((["vip"], [], "VIP"), ([], ["vip"], asked_of)):
        change_tags(session, ours, add=add, remove=remove, user=ana, now=NOW + timedelta(minutes=3))
        promise = ours.promise
        assert promise is not None
        assert (promise.policy, promise.started_at) == (policy, NOW)
        assert ours.reply_by == promise.due_at


@pytest.mark.parametrize(
    ("add", "said"),
    [
        (["  "], "empty"),
        (["x" * (LONGEST + 1)], "100 characters"),
        (["a,b"], "letters, digits"),
        (["a\0b"], "letters, digits"),
        ([f"t{number}" for number in range(MOST + 1)], "100 tags at most"),
    ],
)
def test_what_is_no_tag_is_refused(session: Session, add: list[str], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        change_tags(session, conversation(session), add=add, user=user(session), now=NOW)


def test_a_vendors_tags_are_kept_as_ours_are() -> None:
    given = ["VIP", "vip", " two words ", "", "x" * (LONGEST + 1), "a\0b", "ärger"]
    assert normal_tags(given) == ["two_words", "vip", "ärger"]


def test_tags_are_counted_and_conversations_found_by_them(session: Session) -> None:
    ana, first, second = user(session), conversation(session), conversation(session, "bob", "other")
    change_tags(session, first, add=["late", "vip"], user=ana, now=NOW)
    change_tags(session, second, add=["late", "lat"], user=ana, now=NOW)
    counts = [(each.name, each.conversations) for each in list_tags(session)]
    assert counts == [("late", 2), ("lat", 1), ("vip", 1)]
    assert [each.name for each in list_tags(session, "LA", limit=1)] == ["late"]
    assert list_tags(session, "l_t") == []
    found = list_conversations(session, tag=" Late ").items
    assert {each.id for each in found} == {first.id, second.id}
    assert [each.id for each in list_conversations(session, tag="vip").items] == [first.id]
    assert list_conversations(session, tag="nobody").items == []
    change_tags(session, first, remove=["vip"], user=ana, now=NOW)
    assert list_conversations(session, tag="vip").items == []


def test_two_who_make_the_same_tag_at_once(hub: Hub) -> None:
    with hub.database.session() as session:
        ids = [conversation(session).id, conversation(session, "bob", "other").id]
        ana = user(session)
    for each in ids:
        with hub.database.session() as session:
            change_tags(session, session.get_one(Conversation, each), add=["new"], user=ana, now=NOW)
    with hub.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Tag)) == 1


def test_programs_put_take_and_find(hub: Hub, api: TestClient) -> None:
    with hub.database.session() as session:
        known = conversation(session).id
    answer = api.patch(f"conversations/{known}", json={"add_tags": ["VIP", "late"], "remove_tags": ["x"]})
    assert answer.json()["tags"] == ["late", "vip"]
    assert api.patch(f"conversations/{known}", json={"remove_tags": ["late"]}).json()["tags"] == ["vip"]
    assert api.get(f"conversations/{known}").json()["conversation"]["tags"] == ["vip"]
    assert [each["id"] for each in api.get("conversations", params={"tag": "vip"}).json()["items"]] == [known]
    assert api.get("conversations", params={"tag": "late"}).json()["items"] == []
    assert api.get("tags", params={"beginning": "v"}).json() == {
        "items": [{"name": "vip", "conversations": 1}]
    }
    assert api.patch(f"conversations/{known}", json={"add_tags": ["a,b"]}).status_code == 422
    assert api.get(f"conversations/{known}").json()["ticket"] is None
    assert api.post(f"conversations/{known}/ticket", json={"action": "leave_it"}).status_code == 409


def test_people_put_take_and_undo(hub: Hub, agent: TestClient) -> None:
    with hub.database.session() as session:
        known = conversation(session).id
    path = f"/conversations/{known}"
    assert agent.post(f"{path}/tags", data={"add": "VIP, wants refund ,"}).status_code == 303
    shown = agent.get(path).text
    assert "Take the tag wants_refund away" in shown
    assert "Tagged vip, wants_refund." in shown
    # What undoing would send.
    assert 'name="remove" value="vip,wants_refund"' in shown
    agent.post(f"{path}/tags", data={"add": "", "remove": "vip,wants_refund"})
    assert "Take the tag" not in agent.get(path).text
    agent.post(f"{path}/tags", data={"add": "<b>"})
    assert "letters, digits and" in agent.get(path).text
    agent.post(f"{path}/tags", data={"add": "vip"})
    assert "Ann" in agent.get("/conversations", params={"view": "all", "tag": "vip"}).text
    assert "Nothing matches" in agent.get("/conversations", params={"view": "all", "tag": "gone"}).text
