"""Which conversation a message goes to, told as stories.

A step is what arrives in one batch, `ID:AUTHOR` with what it names behind it: `t=` its thread, `re=` the
messages that it answers (nearest first), `s=` its subject, `@N` in which minute it was written. The author
`brand` speaks for the brand, `-` is a source without authors. A step `ID status` has a person choose the
status of that conversation. What is expected are the conversations by their messages, and `>` says which
one follows which.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import Batch, InboundMessage
from hub.channels.models import Channel
from hub.conversations.models import Conversation, Message
from hub.conversations.service import set_status
from hub.inbox.models import Reject
from hub.inbox.service import receive
from tests.factories import NOW, channel, conversation_of, inbound
from tests.hub.conftest import ON_SQLITE


@ON_SQLITE
@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param(["1:ann t=A, 2:ann t=A"], "1 2", id="one thread in one batch"),
        pytest.param(["1:ann t=A", "2:ann t=A"], "1 2", id="one thread in two batches"),
        pytest.param(["1:ann t=A, 2:ann t=B"], "1 | 2", id="two threads"),
        pytest.param(["1:ann t=A, 2:bob t=A"], "1 | 2", id="two people in one thread"),
        pytest.param(["1:ann s=Parcel", "2:ann re=1"], "1 2", id="an answer"),
        pytest.param(["1:ann s=Parcel, 2:ann re=1 s=Other"], "1 2", id="an answer in the same batch"),
        pytest.param(["1:ann", "2:ann re=9/8/1"], "1 2", id="the nearest that is known"),
        pytest.param(["1:ann t=A, 2:ann t=B", "3:ann re=2/1"], "1 | 2 3", id="the nearest of two"),
        pytest.param(["1:ann s=Parcel", "2:ann s=RE: Parcel"], "1 2", id="the same subject"),
        pytest.param(["1:ann s=Parcel", "2:ann s=AW: WG: parcel"], "1 2", id="the same in German"),
        pytest.param(["1:ann s=Parcel", "2:ann s=Refund"], "1 | 2", id="another subject"),
        pytest.param(["1:ann s=Parcel", "2:bob s=Re: Parcel"], "1 | 2", id="somebody else's subject"),
        pytest.param(
            ["1:ann s=Parcel", "2:ann re=9 s=Re: Parcel"], "1 2", id="an answer to what we never saw"
        ),
        pytest.param(["1:ann s=Parcel", "2:ann re=9 s=Parcel"], "1 | 2", id="no answer by its subject"),
        pytest.param(
            ["1:ann t=A s=Parcel", "2:ann t=B s=Re: Parcel"], "1 | 2", id="a thread beats a subject"
        ),
        pytest.param(["1:ann", "2:ann"], "1 2", id="two posts without a subject"),
        pytest.param(["1:ann s=Parcel", "1 solved", "2:ann s=Re: Parcel"], "1 | 2", id="solved by subject"),
        pytest.param(["1:ann t=A", "1 solved", "2:ann t=A"], "1 2", id="solved by thread"),
        pytest.param(
            ["1:ann t=A, 2:bob t=B", "3:ann re=2/1"], "1 3 | 2", id="one's own before the nearest of another"
        ),
        pytest.param(
            ["1:ann s=Parcel", "2:ann re=7/8/9 s=Re: Parcel"], "1 2", id="foreign references, a known subject"
        ),
        pytest.param(["1:ann t=A", "2:bob re=1"], "1 | 2>1", id="a stranger in somebody's thread"),
        pytest.param(["1:ann t=A, 2:bob re=1"], "1 | 2>1", id="a stranger in the same batch"),
        pytest.param(["1:ann t=A", "2:bob re=1", "3:bob re=1"], "1 | 2 3>1", id="the stranger again"),
        pytest.param(["1:ann t=A", "1 closed", "2:ann t=A"], "1 | 2>1", id="closed"),
        pytest.param(["1:ann t=A", "1 closed", "2:ann t=A, 3:ann t=A"], "1 | 2 3>1", id="closed, a batch"),
        pytest.param(["1:ann t=A", "1 closed", "2:ann t=A", "3:ann t=A"], "1 | 2 3>1", id="closed, twice"),
        pytest.param(["1:ann", "1 closed", "2:ann re=1", "3:ann re=1"], "1 | 2 3>1", id="closed, answers"),
        pytest.param(
            ["1:ann t=A", "1 closed", "2:ann t=A", "2 closed", "3:ann t=A", "4:ann t=A"],
            "1 | 2>1 | 3 4>2",
            id="a chain of follow-ups",
        ),
        pytest.param(
            ["1:ann s=Parcel", "1 closed", "2:ann s=Re: Parcel", "3:ann s=Re: Parcel"],
            "1 | 2 3>1",
            id="closed, by subject",
        ),
        pytest.param(["1:ann t=A", "2:brand t=A"], "1 2", id="the brand answers in the thread"),
        pytest.param(["1:ann", "2:brand re=1"], "1 2", id="the brand answers a message"),
        pytest.param(["1:ann, 2:brand re=1", "3:ann re=2"], "1 2 3", id="an answer to the brand"),
        pytest.param(["2:brand re=1 @5, 1:ann @0"], "1 2", id="newest first"),
        pytest.param(["3:ann re=2 @9, 2:brand re=1 @5, 1:ann @0"], "1 2 3", id="a whole thread backwards"),
        pytest.param(["1:ann t=A", "2:brand s=Hello"], "1", id="the brand answers nobody"),
        pytest.param(
            ["1:ann t=A", "1 closed", "2:ann t=A", "3:brand t=A"], "1 | 2 3>1", id="the brand in a follow-up"
        ),
        pytest.param(["1:- t=A, 2:- t=A", "3:- t=A"], "1 2 3", id="a thread without authors"),
        pytest.param(["1:-, 2:- re=1", "3:- re=2"], "1 2 3", id="answers without authors"),
        pytest.param(["1:-, 2:-"], "1 | 2", id="nobody and nobody"),
        pytest.param(["1:- t=A", "1 closed", "2:- t=A", "3:- t=A"], "1 | 2 3>1", id="closed, no authors"),
    ],
)
def test_a_message_finds_its_conversation(session: Session, steps: list[str], expected: str) -> None:
    chirp = channel(session)
    for step in steps:
        if ":" in step:
            receive(session, chirp.id, Batch(tuple(map(_message, step.split(", ")))), NOW)
        else:
            _set_status(session, chirp, *step.split())
    assert _told(session) == expected


def test_the_brands_word_to_nobody_is_kept_as_a_reject(session: Session) -> None:
    chirp = channel(session)
    alone = _message("9:brand t=Z")
    for _ in range(2):
        assert receive(session, chirp.id, Batch((alone,)), NOW).rejected == 1
    reject = session.scalars(select(Reject)).one()
    assert (reject.reason, reject.source) == ("answers_nothing", "9")


def test_what_we_sent_ourselves_is_known_by_the_vendors_id(session: Session) -> None:
    """A vendor's feed shows our own reply again, under the id that the vendor gave it."""
    chirp = channel(session)
    receive(session, chirp.id, Batch((_message("1:ann t=A"), _message("2:brand t=A"))), NOW)
    sent = session.scalars(select(Message).where(Message.external_id == "2")).one()
    sent.external_id, sent.vendor_id = "reply:x", "at-vendor-2"
    session.flush()
    echo = inbound("Hello", external_id="at-vendor-2", author=None, incoming=False, thread_key="A")
    assert receive(session, chirp.id, Batch((echo,)), NOW).duplicates == 1
    answer = _message("3:ann re=at-vendor-2")
    assert receive(session, chirp.id, Batch((answer,)), NOW).stored == 1
    assert len(session.scalars(select(Conversation)).all()) == 1


def test_threads_of_two_channels_stay_apart(session: Session) -> None:
    for name in ("one", "two"):
        other = channel(session, name, network="chirp")
        receive(session, other.id, Batch((_message("1:ann t=A"), _message("2:ann re=1"))), NOW)
    assert len(session.scalars(select(Conversation)).all()) == 2


def _message(told: str) -> InboundMessage:
    head, *words = told.replace(": ", ":_").split()
    name, author = head.split(":")
    named = dict(word.split("=") for word in words if "=" in word)
    minutes = next((int(word[1:]) for word in words if word.startswith("@")), None)
    return inbound(
        f"text of {name}",
        external_id=name,
        author=None if author in ("brand", "-") else author,
        incoming=author != "brand",
        thread_key=named.get("t"),
        in_reply_to=tuple(named["re"].split("/")) if "re" in named else (),
        subject=named["s"].replace("_", " ") if "s" in named else None,
        sent_at=NOW + timedelta(minutes=minutes - 60) if minutes is not None else None,
    )


def _set_status(session: Session, chirp: Channel, name: str, status: str) -> None:
    message = session.scalars(
        select(Message).where(Message.channel_id == chirp.id, Message.external_id == name)
    ).one()
    set_status(session, conversation_of(session, message), status, user=None, now=NOW)
    session.flush()


def _told(session: Session) -> str:
    """`1 2 | 3>1`: each conversation by its messages, and by its first what it follows."""
    session.expire_all()
    conversations = session.scalars(select(Conversation).order_by(Conversation.id)).all()
    names = {
        each.id: session.scalars(
            select(Message.external_id)
            .where(Message.conversation_id == each.id, Message.direction != "activity")
            .order_by(Message.external_id)
        ).all()
        for each in conversations
    }
    return " | ".join(
        " ".join(names[each.id]) + (f">{names[each.follows_id][0]}" if each.follows_id else "")
        for each in conversations
    )
