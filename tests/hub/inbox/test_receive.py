"""Receiving a batch: what is known stays, what is new is stored with its cursor, or nothing is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.base import Attachment, Author, Batch, Identity, InboundMessage, Rejected
from hub.channels.models import Channel
from hub.conversations.models import Conversation, Message
from hub.customers.models import Customer, CustomerIdentity
from hub.inbox.models import Reject
from hub.inbox.service import Received, receive
from hub.runtime import Hub
from tests.factories import NOW, channel, conversation_of, customer, inbound, receive_one

DAY = timedelta(days=1)


def numbered(*numbers: int, **fields: Any) -> Batch:
    """Messages `m1`, `m2`, … by as many people, and a cursor behind the last."""
    items = [inbound(external_id=f"m{n}", author=f"writer{n}", **fields) for n in numbers]
    return Batch(tuple(items), {"after": numbers[-1]})


def count(session: Session, table: type) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.parametrize(
    ("batches", "last"),
    [
        pytest.param([(1, 2), (1, 2)], Received(2, 0, 2, 0), id="the same batch twice"),
        pytest.param([(1, 2), (2, 3)], Received(2, 1, 1, 0), id="overlapping batches"),
        pytest.param([(1, 1, 2)], Received(3, 2, 1, 0), id="twice in one batch"),
    ],
)
def test_every_message_is_stored_once(
    session: Session, batches: list[tuple[int, ...]], last: Received
) -> None:
    chirp = channel(session)
    results = [receive(session, chirp.id, numbered(*numbers), NOW) for numbers in batches]
    assert results[-1] == last
    everything = {f"m{n}" for numbers in batches for n in numbers}
    assert sorted(session.scalars(select(Message.external_id))) == sorted(everything)
    assert count(session, Conversation) == len(everything)


def test_the_first_text_of_an_id_stays(session: Session) -> None:
    chirp = channel(session)
    for text in ("first", "second"):
        receive(session, chirp.id, Batch((inbound(text, external_id="1"),)), NOW)
    assert session.scalars(select(Message.body)).all() == ["first"]


def test_the_same_id_on_two_channels_is_two_messages(session: Session) -> None:
    for name in ("one", "two"):
        assert receive(session, channel(session, name).id, numbered(1), NOW).stored == 1
    assert count(session, Message) == 2


@pytest.mark.parametrize("author", ["ann", "somebody new"])
def test_two_receivers_at_once_store_every_message_once(hub: Hub, author: str) -> None:
    """The same person, known and unknown, through one channel and through two."""
    with hub.database.session() as session:
        ids = [channel(session, name, network="chirp").id for name in ("one", "one-more")]
        customer(session, "Ann", Identity("handle", "ann", "chirp"))
    barrier = Barrier(4)
    batch = Batch(tuple(inbound(external_id=f"m{n}", author=author) for n in range(20)))

    def take(channel_id: int) -> Received:
        barrier.wait()
        with hub.database.session() as session:
            return receive(session, channel_id, batch, NOW)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(take, ids * 2))
    assert sum(result.stored for result in results) == 40
    assert sum(result.duplicates for result in results) == 40
    with hub.database.reading() as session:
        assert count(session, Message) == 40
        assert count(session, Conversation) == 2
        handles = session.scalars(select(CustomerIdentity.value)).all()
        assert len(handles) == len(set(handles))


def test_the_cursor_moves_with_the_messages(hub: Hub) -> None:
    with hub.database.session() as session:
        chirp = channel(session)
        receive(session, chirp.id, numbered(1, 2), NOW)

    def receive_and_die() -> None:
        with hub.database.session() as session:
            receive(session, chirp.id, numbered(3, 4), NOW)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        receive_and_die()
    with hub.database.reading() as session:
        assert session.get_one(Channel, chirp.id).cursor == {"after": 2}
        assert sorted(session.scalars(select(Message.external_id))) == ["m1", "m2"]
        assert count(session, Customer) == 2


@pytest.mark.parametrize("cursor", [None, {"page": "abc", "seen": [1, 2]}])
def test_a_batch_without_a_cursor_leaves_the_old_one(session: Session, cursor: dict[str, Any] | None) -> None:
    chirp = channel(session)
    receive(session, chirp.id, Batch((), cursor), NOW)
    receive(session, chirp.id, Batch(()), NOW)
    assert chirp.cursor == cursor
    assert chirp.last_received_at is None


def test_a_message_is_stored_as_it_came(session: Session) -> None:
    chirp = channel(session)
    sent_at = NOW - timedelta(minutes=7)
    message = receive_one(
        session,
        chirp,
        inbound(
            "Where?\r\n\N{PARTY POPPER}",
            subject="Parcel",
            html="<p>Where?</p>",
            sent_at=sent_at,
            attachments=(Attachment("photo.jpg", "image/jpeg", 2048),),
            meta={"likes": 3, "deep": {"a": [None, True]}},
        ),
    )
    session.expire_all()
    assert (message.body, message.subject, message.html) == (
        "Where?\r\n\N{PARTY POPPER}",
        "Parcel",
        "<p>Where?</p>",
    )
    assert (message.sent_at, message.received_at) == (sent_at, NOW)
    assert message.meta == {"likes": 3, "deep": {"a": [None, True]}}
    (photo,) = message.attachments
    assert (photo.name, photo.content_type, photo.size_bytes) == ("photo.jpg", "image/jpeg", 2048)
    assert (photo.sha256, photo.url) == (None, None)
    assert (message.direction, message.author_name, message.delivery) == ("incoming", "Ann", None)
    assert chirp.last_received_at == NOW


@pytest.mark.parametrize(
    ("sent_at", "counts_from"),
    [
        pytest.param(None, NOW, id="the source does not say when"),
        pytest.param(NOW - 3 * DAY, NOW - 3 * DAY, id="three days ago"),
        pytest.param(NOW + timedelta(hours=2), NOW, id="a clock that runs ahead"),
    ],
)
def test_the_wait_counts_from_when_the_customer_wrote(
    session: Session, sent_at: Any, counts_from: Any
) -> None:
    message = receive_one(session, channel(session), inbound(sent_at=sent_at))
    conversation = conversation_of(session, message)
    assert message.sent_at == counts_from
    assert conversation.waiting_since == counts_from
    assert conversation.created_at == counts_from
    assert conversation.promise is not None
    assert conversation.promise.started_at == counts_from


def test_who_wrote_is_found_by_any_identity(session: Session) -> None:
    known = customer(session, "Ann Known", Identity("email", "Ann@Home.example"), Identity("loyalty", "L 77"))
    mail = channel(session, "post", kind="mail")
    authors = [
        Author((Identity("email", "ann@home.EXAMPLE"),), name="A."),
        Author((Identity("handle", "@New_Ann"), Identity("loyalty", "l77"))),
        Author((Identity("handle", "new_ann"),)),
    ]
    for author in authors:
        message = receive_one(session, mail, inbound(author=author))
        assert conversation_of(session, message).customer is known
    assert known.name == "Ann Known"
    assert {(i.kind, i.place, i.value) for i in session.scalars(select(CustomerIdentity))} == {
        ("email", "", "ann@home.example"),
        ("loyalty", "", "L77"),
        ("handle", "post", "new_ann"),
    }


def test_a_message_never_joins_two_customers(session: Session) -> None:
    first = customer(session, "First", Identity("email", "first@x.example"))
    customer(session, "Second", Identity("phone", "+49 1"))
    both = Author((Identity("email", "first@x.example"), Identity("phone", "0049 1")))
    message = receive_one(session, channel(session), inbound(author=both))
    assert conversation_of(session, message).customer is first
    assert count(session, Customer) == 2


def test_nobody_known_becomes_a_customer_with_a_name(session: Session) -> None:
    chirp = channel(session)
    named = receive_one(session, chirp, inbound(author=Author((Identity("email", "x@y.example"),))))
    nameless = [receive_one(session, chirp, inbound(author=None)) for _ in range(2)]
    assert conversation_of(session, named).customer.name == "x@y.example"
    found = [conversation_of(session, message) for message in nameless]
    # Nobody knows whether they are one person.
    assert [each.customer.name for each in found] == ["Unknown author"] * 2
    assert found[0].customer_id != found[1].customer_id


@pytest.mark.parametrize(
    ("config", "place"), [({}, "chirp"), ({"network": "birdsong"}, "birdsong")], ids=["channel", "network"]
)
def test_a_handle_without_a_network_is_the_channels(
    session: Session, config: dict[str, str], place: str
) -> None:
    author = Author((Identity("handle", "ann"), Identity("handle", "ann", "elsewhere")))
    receive_one(session, channel(session, "chirp", **config), inbound(author=author))
    assert {i.place for i in session.scalars(select(CustomerIdentity))} == {place, "elsewhere"}


def test_followers_are_those_of_the_newest_message(session: Session) -> None:
    chirp = channel(session)
    for followers in (10, 20_000, None):
        author = Author((Identity("handle", "ann"),), followers=followers)
        message = receive_one(session, chirp, inbound(author=author))
    assert conversation_of(session, message).customer.followers == 20_000


def test_what_cannot_be_stored_is_kept_once_and_stops_nobody(session: Session) -> None:
    chirp = channel(session)
    bad = (
        inbound("a\0b", external_id="a"),
        inbound("half a character: \ud800", external_id="b"),
        inbound("", external_id="\N{PARTY POPPER}" * 998),
    )
    batch = Batch((inbound(external_id="before"), *bad, inbound(external_id="after")), {"n": 1})
    first = receive(session, chirp.id, batch, NOW)
    again = receive(session, chirp.id, batch, NOW)
    assert (first.stored, first.rejected) == (2, 3)
    assert (again.stored, again.duplicates, again.rejected) == (0, 2, 3)
    rejects = session.scalars(select(Reject).order_by(Reject.id)).all()
    assert [each.reason for each in rejects] == ["nul_bytes", "bad_encoding", "too_long"]
    assert all(each.raw.startswith(b"InboundMessage(") for each in rejects)
    assert chirp.cursor == {"n": 1}


HANDLE = Identity("handle", "ann")


@pytest.mark.parametrize(
    "items",
    [
        pytest.param(
            [
                {"external_id": "i" * 998},
                {"thread_key": "\N{PARTY POPPER}" * 400},
                {"subject": "s" * 5000},
                {"text": ""},
                {"sent_at": NOW.replace(year=1)},
            ],
            id="the message",
        ),
        pytest.param(
            [
                {"author": Author((HANDLE,), name="n" * 5000)},
                {"author": Author((HANDLE,), followers=10**12)},
                {"author": Author((HANDLE,), followers=-1)},
                {"author": Author((Identity("external", "x" * 400),))},
                {"author": Author(())},
            ],
            id="the author",
        ),
        pytest.param(
            [{"text": "x" * 1_000_000}, {"in_reply_to": tuple(f"ref-{n}" for n in range(2000))}],
            id="much of it",
        ),
    ],
)
def test_whatever_can_be_stored_is(session: Session, items: list[dict[str, Any]]) -> None:
    chirp = channel(session)
    for fields in items:
        message = receive_one(session, chirp, inbound(**fields))
        assert conversation_of(session, message).reply_by is not None


def test_a_record_nobody_could_read_is_kept_once_a_place(session: Session) -> None:
    chirp = channel(session)
    first, elsewhere = (Rejected(b"\xff\0", "bad_encoding", "not UTF-8\0", f"a.csv:{n}") for n in (1, 2))
    for batch in ((first, elsewhere), (first,)):
        receive(session, chirp.id, Batch(batch), NOW)
    kept = session.scalars(select(Reject).order_by(Reject.source)).all()
    assert [(reject.source, reject.raw) for reject in kept] == [
        ("a.csv:1", b"\xff\0"),
        ("a.csv:2", b"\xff\0"),
    ]


def test_a_large_batch_is_stored_whole(session: Session) -> None:
    chirp = channel(session)
    batch = numbered(*range(510))
    assert receive(session, chirp.id, batch, NOW) == Received(510, 510, 0, 0)
    assert receive(session, chirp.id, batch, NOW) == Received(510, 0, 510, 0)


def test_receiving_asks_for_analysis_once_it_is_committed(hub: Hub) -> None:
    told: list[str] = []
    hub.database.nudge = told.append
    with hub.database.session() as session:
        receive_one(session, channel(session), InboundMessage("1", "hello"))
        assert told == []
    assert set(told) == {"analyse", "plan"}
