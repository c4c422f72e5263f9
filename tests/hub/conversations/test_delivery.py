"""Replies leave at most once, through real connectors: an outbox folder, and a web server that misbehaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import Author, Identity, InboundMessage
from connectors.files.connector import FilesConnector
from hub.channels.models import Channel
from hub.channels.service import set_paused
from hub.conversations import delivery
from hub.conversations.delivery import check_again, deliver, mark_sent, send_again
from hub.conversations.models import Conversation, DeliveryAttempt, Message
from hub.conversations.queries import find_message
from hub.conversations.service import get_conversation, reply
from hub.errors import Conflict
from hub.runtime import Hub
from tests.connectors.webhook.peer import SECRET, Peer, free_port, running_peer
from tests.factories import NOW, channel, customer, inbound, receive_one, user
from tests.hub.conftest import Clock


@pytest.fixture
def peer() -> Iterator[Peer]:
    with running_peer() as peer:
        yield peer


@pytest.fixture(autouse=True)
def no_dice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off takes its longest pause."""
    monkeypatch.setattr("hub.backoff.random.uniform", lambda shortest, longest: longest)


def reply_by_web(hub: Hub, peer: Peer, *, can_look: bool = True, text: str = "It left today.") -> int:
    """The id of a reply that waits on a channel whose vendor is `peer`."""
    look = {"status_url": f"{peer.url}/sent/{{key}}"} if can_look else {}
    with hub.database.session() as session:
        web = channel(
            session,
            "shop",
            connector="webhook",
            kind="ticket",
            reply_url=f"{peer.url}/replies",
            reply_secret=SECRET,
            timeout_seconds=2,
            **look,
        )
        return _reply(session, web, text)


def reply_by_file(hub: Hub, outbox: Path) -> int:
    with hub.database.session() as session:
        return _reply(session, channel(session, outbox=str(outbox)), "It left today.")


def _reply(
    session: Session, to: Channel, text: str = "It left today.", message: InboundMessage | None = None
) -> int:
    received = receive_one(session, to, message or inbound(sent_at=NOW - timedelta(minutes=5)))
    conversation = get_conversation(session, received.conversation_id)
    return reply(
        session, conversation, user=user(session), text=text, now=NOW, idempotency_key=f"key-{received.id}"
    ).id


def seen(hub: Hub, message_id: int) -> tuple[str | None, list[str]]:
    """What became of a reply, and of every try."""
    with hub.database.reading() as session:
        message = session.get_one(Message, message_id)
        return message.delivery, [attempt.outcome for attempt in message.attempts]


def waiting(hub: Hub) -> bool:
    with hub.database.reading() as session:
        (conversation,) = session.scalars(select(Conversation))
        return conversation.reply_by is not None


def decide(hub: Hub, message_id: int, act: object, clock: Clock) -> None:
    with hub.database.session() as session:
        act(session, find_message(session, message_id), clock.now)  # type: ignore[operator]


def test_a_reply_lies_in_the_outbox_once(hub: Hub, clock: Clock, tmp_path: Path) -> None:
    message_id = reply_by_file(hub, tmp_path / "out")
    assert deliver(hub) == 1
    assert deliver(hub) == 0
    assert seen(hub, message_id) == ("sent", ["sent"])
    (file,) = (tmp_path / "out").iterdir()
    written = json.loads(file.read_text())
    assert written["text"] == "It left today."
    assert written["recipient"] == {"kind": "handle", "value": "ann", "place": "chirp"}
    with hub.database.reading() as session:
        message = session.get_one(Message, message_id)
        assert message.vendor_id == written["idempotency_key"] == message.idempotency_key
        assert session.get_one(Channel, message.channel_id).last_sent_at == NOW


def test_a_reply_names_what_it_answers(hub: Hub, clock: Clock, peer: Peer) -> None:
    with hub.database.session() as session:
        web = channel(
            session, connector="webhook", reply_url=f"{peer.url}/r", reply_secret=SECRET, kind="ticket"
        )
        _reply(session, web, message=inbound(external_id="m-1", thread_key="T-1", subject="Parcel"))
    assert deliver(hub) == 1
    (taken,) = peer.taken.values()
    told = taken["data"]
    assert (told["thread"], told["in_reply_to"], told["subject"]) == ("T-1", "m-1", "Parcel")


def test_every_try_says_the_same(hub: Hub, clock: Clock, peer: Peer) -> None:
    """Although the customer goes on writing, and a person tries again later."""
    peer.status = 400
    message_id = reply_by_web(hub, peer)
    deliver(hub)
    first = peer.bodies[-1]
    with hub.database.session() as session:
        receive_one(session, session.scalars(select(Channel)).one(), inbound(author="ann"))
    clock.advance(hours=1)
    decide(hub, message_id, send_again, clock)
    deliver(hub)
    assert peer.bodies == [first, first]


@pytest.mark.parametrize(
    ("identities", "recipient"),
    [
        pytest.param([("handle", "Ann_2", "")], ("handle", "Ann_2", "chirp"), id="this channel's handle"),
        pytest.param(
            [("email", "Ann@Work.example", ""), ("email", "ann@home.example", "")],
            ("email", "Ann@Work.example", ""),
            id="the address that was written from",
        ),
        pytest.param([], None, id="a source without authors"),
    ],
)
def test_a_reply_goes_where_the_customer_wrote_from(
    hub: Hub,
    clock: Clock,
    tmp_path: Path,
    identities: list[tuple[str, str, str]],
    recipient: tuple[str, str, str] | None,
) -> None:
    """Not to another handle, network or address of the same person."""
    wrote_from = [Identity(*identity) for identity in identities]  # type: ignore[arg-type]
    with hub.database.session() as session:
        customer(
            session,
            "Ann",
            Identity("handle", "ann", "elsewhere"),
            Identity("email", "ann@first.example"),
            Identity("handle", "ann_2", "chirp"),
            Identity("email", "ann@work.example"),
        )
        author = Author(tuple(wrote_from)) if wrote_from else None
        _reply(session, channel(session, outbox=str(tmp_path / "out")), message=inbound(author=author))
    deliver(hub)
    (file,) = (tmp_path / "out").iterdir()
    told = json.loads(file.read_text())["recipient"]
    assert (told and (told["kind"], told["value"], told["place"])) == recipient


def test_a_refusal_is_tried_again_with_longer_and_longer_pauses(hub: Hub, clock: Clock, peer: Peer) -> None:
    message_id = reply_by_web(hub, peer)
    peer.status = 503
    for pause in (5, 10, 20, 40):
        assert deliver(hub) == 1
        clock.advance(seconds=pause - 0.1)
        assert deliver(hub) == 0
        clock.advance(seconds=0.1)
    assert not waiting(hub)
    peer.status = 200
    assert deliver(hub) == 1
    assert seen(hub, message_id) == ("sent", ["pending"] * 4 + ["sent"])
    assert list(peer.taken) == ["key-1"]
    assert peer.requests == [("POST", "/replies")] * 5


def test_never_sooner_than_the_vendor_asks(hub: Hub, clock: Clock, peer: Peer) -> None:
    reply_by_web(hub, peer)
    peer.status, peer.headers = 429, {"retry-after": "120"}
    deliver(hub)
    clock.advance(seconds=119)
    assert deliver(hub) == 0
    clock.advance(seconds=1)
    assert deliver(hub) == 1


def test_after_some_tries_it_has_failed_and_the_customer_waits_again(
    hub: Hub, clock: Clock, peer: Peer
) -> None:
    message_id = reply_by_web(hub, peer)
    peer.status = 500
    tries = hub.settings.delivery_attempts
    for _ in range(tries):
        assert deliver(hub) == 1
        clock.advance(hours=2)
    assert deliver(hub) == 0
    assert seen(hub, message_id) == ("failed", ["pending"] * (tries - 1) + ["failed"])
    assert waiting(hub)
    with hub.database.reading() as session:
        (conversation,) = session.scalars(select(Conversation))
        assert conversation.status == "open"
        assert conversation.waiting_since == NOW - timedelta(minutes=5)
        assert "HTTP 500" in (session.get_one(Channel, conversation.channel_id).last_error or "")
    decide(hub, message_id, send_again, clock)
    assert not waiting(hub)
    # A person's decision is worth as many tries as the first.
    assert deliver(hub) == 1
    assert seen(hub, message_id)[0] == "pending"
    peer.status = 200
    clock.advance(hours=2)
    assert deliver(hub) == 1
    assert seen(hub, message_id)[0] == "sent"
    assert list(peer.taken) == ["key-1"]


@pytest.mark.parametrize(
    ("status", "detail"), [(400, "HTTP 400"), (401, "credentials"), (403, "credentials")]
)
def test_a_no_for_good_is_not_tried_again(
    hub: Hub, clock: Clock, peer: Peer, status: int, detail: str
) -> None:
    message_id = reply_by_web(hub, peer)
    peer.status = status
    assert deliver(hub) == 1
    clock.advance(days=1)
    assert deliver(hub) == 0
    assert seen(hub, message_id) == ("failed", ["failed"])
    assert waiting(hub)
    with hub.database.reading() as session:
        assert detail in session.scalars(select(DeliveryAttempt.detail)).one()


def test_nobody_listens_is_a_no(hub: Hub, clock: Clock, peer: Peer) -> None:
    message_id = reply_by_web(hub, peer)
    with hub.database.session() as session:
        (web,) = session.scalars(select(Channel))
        web.config = {**web.config, "reply_url": f"http://127.0.0.1:{free_port()}/replies"}
    deliver(hub)
    assert seen(hub, message_id) == ("pending", ["pending"])


def test_a_cut_connection_leaves_it_to_a_person(hub: Hub, clock: Clock, peer: Peer) -> None:
    message_id = reply_by_web(hub, peer, can_look=False)
    peer.cut = True
    assert deliver(hub) == 1
    peer.cut = False
    clock.advance(days=1)
    assert deliver(hub) == 0
    assert seen(hub, message_id) == ("unknown", ["unknown"])
    # It may well be there: the customer is not put back in the queue.
    assert not waiting(hub)


def test_after_a_cut_connection_the_vendor_is_asked(hub: Hub, clock: Clock, peer: Peer) -> None:
    message_id = reply_by_web(hub, peer)
    peer.cut = True
    peer.taken["key-1"] = {}
    assert deliver(hub) == 1
    assert seen(hub, message_id) == ("sent", ["sent"])
    assert [method for method, _ in peer.requests] == ["POST", "GET"]


def test_a_no_of_the_vendor_is_believed_only_when_the_lease_is_over(
    hub: Hub, clock: Clock, peer: Peer
) -> None:
    """It may answer while it is still at it."""
    message_id = reply_by_web(hub, peer)
    peer.cut = True
    assert deliver(hub) == 1
    assert seen(hub, message_id) == ("sending", ["unknown"])
    peer.cut = False
    assert deliver(hub) == 0
    clock.advance(seconds=hub.settings.delivery_lease_seconds)
    assert deliver(hub) == 1
    assert seen(hub, message_id) == ("sent", ["unknown", "sent"])
    assert [method for method, _ in peer.requests] == ["POST", "GET", "GET", "POST"]


@pytest.mark.parametrize("arrived", [True, False])
def test_looking_again_finds_it_or_sends_it(hub: Hub, clock: Clock, peer: Peer, arrived: bool) -> None:
    message_id = reply_by_web(hub, peer)
    peer.cut, peer.status = True, 500
    deliver(hub)
    assert seen(hub, message_id) == ("unknown", ["unknown"])
    peer.cut, peer.status = False, 200
    if arrived:
        peer.taken["key-1"] = {}
    peer.requests.clear()
    decide(hub, message_id, check_again, clock)
    assert deliver(hub) == 1
    assert seen(hub, message_id)[0] == "sent"
    assert [method for method, _ in peer.requests] == (["GET"] if arrived else ["GET", "POST"])


def test_where_the_vendor_cannot_tell_it_stays_unknown(hub: Hub, clock: Clock, peer: Peer) -> None:
    message_id = reply_by_web(hub, peer, can_look=False)
    peer.cut = True
    deliver(hub)
    peer.cut = False
    decide(hub, message_id, check_again, clock)
    deliver(hub)
    assert seen(hub, message_id) == ("unknown", ["unknown", "unknown"])
    assert len(peer.requests) == 1


def test_a_person_decides(hub: Hub, clock: Clock, peer: Peer) -> None:
    peer.cut = True
    message_id = reply_by_web(hub, peer, can_look=False)
    deliver(hub)
    decide(hub, message_id, mark_sent, clock)
    assert deliver(hub) == 0
    assert seen(hub, message_id) == ("sent", ["unknown", "sent"])
    for act in (check_again, mark_sent, send_again):
        with pytest.raises(Conflict, match="this message is sent"):
            decide(hub, message_id, act, clock)


def test_sending_again_keeps_the_key(hub: Hub, clock: Clock, peer: Peer) -> None:
    peer.cut = True
    message_id = reply_by_web(hub, peer, can_look=False)
    deliver(hub)
    peer.cut = False
    decide(hub, message_id, send_again, clock)
    assert deliver(hub) == 1
    assert seen(hub, message_id) == ("sent", ["unknown", "sent"])
    assert list(peer.taken) == ["key-1"]


@pytest.mark.parametrize(
    ("arrived", "can_look", "state", "sends"),
    [
        pytest.param(True, True, "sent", 0, id="it had arrived"),
        pytest.param(False, True, "sent", 1, id="it had not"),
        pytest.param(True, False, "unknown", 0, id="nobody can tell"),
    ],
)
def test_a_killed_worker_leaves_a_lease_that_runs_out(
    hub: Hub, clock: Clock, peer: Peer, arrived: bool, can_look: bool, state: str, sends: int
) -> None:
    message_id = reply_by_web(hub, peer, can_look=can_look)
    assert delivery._claim(hub) is not None
    if arrived:
        peer.taken["key-1"] = {}
    clock.advance(seconds=hub.settings.delivery_lease_seconds - 1)
    assert deliver(hub) == 0
    clock.advance(seconds=1)
    assert deliver(hub) == 1
    assert seen(hub, message_id) == (state, ["unknown", state])
    assert [method for method, _ in peer.requests].count("POST") == sends


def test_who_comes_back_after_the_lease_changes_nothing(hub: Hub, clock: Clock, peer: Peer) -> None:
    """Except that a sure answer beats one that could not tell."""
    message_id = reply_by_web(hub, peer, can_look=False)
    late = delivery._claim(hub)
    assert late is not None
    clock.advance(hours=1)
    deliver(hub)
    assert seen(hub, message_id)[0] == "unknown"
    delivery._keep(hub, late, delivery._Outcome("pending", "busy", retry_after_seconds=1.0))
    assert seen(hub, message_id) == ("unknown", ["unknown", "unknown"])
    delivery._keep(hub, late, delivery._Outcome("sent", "", vendor_id="at-peer"))
    assert seen(hub, message_id) == ("sent", ["sent", "unknown"])


def test_a_connector_that_always_breaks_is_unknown_in_the_end(
    hub: Hub, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = reply_by_file(hub, tmp_path / "out")

    def send(self: FilesConnector, message: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(FilesConnector, "send", send)
    tries = hub.settings.delivery_attempts
    for _ in range(tries):
        assert seen(hub, message_id)[0] != "unknown"
        assert deliver(hub) == 1
        clock.advance(seconds=hub.settings.delivery_lease_seconds)
    assert deliver(hub) == 0
    assert seen(hub, message_id) == ("unknown", ["unknown"] * tries)


def test_without_an_outbox_it_fails_at_once(hub: Hub, clock: Clock) -> None:
    with hub.database.session() as session:
        message_id = _reply(session, channel(session))
    deliver(hub)
    assert seen(hub, message_id) == ("failed", ["failed"])


def test_a_paused_channel_sends_nothing(hub: Hub, clock: Clock, tmp_path: Path) -> None:
    message_id = reply_by_file(hub, tmp_path / "out")
    with hub.database.session() as session:
        set_paused(session, session.scalars(select(Channel)).one(), True, NOW)
    assert deliver(hub) == 0
    with hub.database.session() as session:
        set_paused(session, session.scalars(select(Channel)).one(), False, NOW)
    assert deliver(hub) == 1
    assert seen(hub, message_id)[0] == "sent"


def test_many_workers_send_each_reply_once(hub: Hub, clock: Clock, peer: Peer) -> None:
    with hub.database.session() as session:
        web = channel(
            session, connector="webhook", kind="ticket", reply_url=f"{peer.url}/r", reply_secret=SECRET
        )
        for n in range(12):
            _reply(session, web, f"reply {n}", inbound(author=f"writer {n}"))
    barrier = Barrier(4)

    def work(_: int) -> int:
        barrier.wait()
        done = 0
        while deliver(hub):
            done += 1
        return done

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 12
    assert len(peer.requests) == len(peer.taken) == 12
