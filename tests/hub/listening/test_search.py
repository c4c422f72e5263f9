"""Search over history finds what a rule would have found as it came in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

import hub.listening.search as module
from connectors.base import Author, Batch, Identity
from hub.errors import Invalid
from hub.inbox.service import receive
from hub.listening.search import read_query, search
from routing.matching import Post, Reading, compile_query
from routing.query import parse_query
from sentiment.types import SentimentLabel
from tests.factories import NOW, analyse_as, analysis, channel, conversation_of, inbound, receive_one

TEXTS = (
    "I want a REFUND",
    "Réfund, s'il vous plaît",
    "refunds are late 😡",
    "100% late, a_b",
    "my #parcel is late, @acme",
    "parcel: 返金してください",
    "money back for my lost parcel",
    "thanks!",
    "100 late aXb",
)
QUERIES = (
    "refund",
    "refund*",
    "*fund?",
    '"a refund"',
    "réfund OR voucher",
    "late NOT parcel",
    "NOT late",
    '"100"',
    "a_b",
    "#parcel",
    "@acme OR 返金",
    "😡",
    "(money OR lost) NEAR/3 parcel",
    "lang:de late",
    "lang:(de OR en) -late",
    "NOT lang:de",
    "channel:Chirp",
    "channel:post* refund",
    "from:@ann3 OR from:ann?",
    "followers:>100",
    "followers:<100 OR thanks",
    "NOT followers:>100",
    "sentiment:negative",
    "intent:complaint voucher",
    "intent:praise_thanks",
    "nothing",
)
LABELS: tuple[SentimentLabel | None, ...] = ("negative", "positive", None)


@pytest.fixture
def said(session: Session) -> dict[int, Post]:
    """What is stored, by message, as a rule would have seen it; every fourth is not read yet."""
    posts = {}
    channels = [channel(session, "chirp"), channel(session, "post-box", kind="mail")]
    for number, text in enumerate(TEXTS * 2):
        where = channels[number % 2]
        followers = (None, 10, 5000)[number % 3]
        author = Author((Identity("handle", f"ann{number}"),), name=f"Ann {number}", followers=followers)
        subject = "About a voucher" if number % 5 == 0 else None
        item = inbound(text, author=author, subject=subject, sent_at=NOW - timedelta(minutes=number // 2))
        message = receive_one(session, where, item)
        read = number % 4 != 3
        label = LABELS[number % 3]
        if read:
            analyse_as(session, message, analysis(label, language="de" if number % 2 else "en"))
        posts[message.id] = Post(
            text=f"{subject}\n{text}" if subject else text,
            language=("de" if number % 2 else "en") if read else None,
            channel=where.name,
            authors=(f"Ann {number}", f"ann{number}"),
            followers=followers,
            sentiment=label if read else None,
            intents=("complaint",) if read else (),
        )
    return posts


def test_it_finds_what_a_rule_would(
    session: Session, said: dict[int, Post], subtests: pytest.Subtests
) -> None:
    for query in QUERIES:
        with subtests.test(query):
            parsed = parse_query(query)
            test = compile_query(parsed)
            found = search(session, parsed)
            keys = [(message.sent_at, message.id) for message, _ in found.items]
            assert keys == sorted(keys, reverse=True)
            assert {key[1] for key in keys} == {key for key, post in said.items() if test(Reading(post))}
            assert found.next_cursor is None


@pytest.mark.parametrize(("limit", "looked_at", "chunk"), [(1, 100, 4), (3, 4, 2), (50, 5, 5), (2, 100, 100)])
def test_page_by_page_it_finds_the_same(
    session: Session,
    said: dict[int, Post],
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
    looked_at: int,
    chunk: int,
) -> None:
    query = parse_query("(from:ann* AND late) OR lang:de")
    whole = [message.id for message, _ in search(session, query).items]
    assert len(whole) > 4
    monkeypatch.setattr(module, "LOOKED_AT", looked_at)
    monkeypatch.setattr(module, "CHUNK", chunk)
    found: list[int] = []
    cursor = None
    for _ in range(len(said) + 1):
        page = search(session, query, cursor=cursor, limit=limit)
        assert len(page.items) <= limit
        found += [message.id for message, _ in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == whole


def test_a_page_says_how_far_it_came(
    session: Session, said: dict[int, Post], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKED_AT", 4)
    monkeypatch.setattr(module, "CHUNK", 4)
    page = search(session, parse_query("NOT from:ann*"))
    assert (page.items, page.looked_until) == ([], NOW - timedelta(minutes=1))
    assert page.next_cursor is not None


def test_only_what_customers_say_is_searched(session: Session) -> None:
    chirp = channel(session)
    asked = receive_one(session, chirp, inbound("parcel", thread_key="T"))
    ours = inbound("parcel", author=None, incoming=False, thread_key="T")
    robot = inbound("parcel", author="robot", nature="auto_reply", automatic=True)
    gone = inbound("parcel", author="bob")
    receive(session, chirp.id, Batch((ours, robot)), NOW)
    receive_one(session, chirp, gone).deleted_at = NOW
    session.flush()
    ((message, conversation),) = search(session, parse_query("parcel")).items
    assert (message, conversation) == (asked, conversation_of(session, asked))


def test_nothing_was_said(session: Session) -> None:
    page = search(session, parse_query("parcel"))
    assert (list(page.items), page.next_cursor, page.looked_until) == ([], None, None)


def test_a_mistake_has_its_place(session: Session) -> None:
    with pytest.raises(Invalid) as caught:
        read_query("refund langg:de")
    assert caught.value.detail == "no field 'langg'; did you mean lang? (at character 8)"
    assert caught.value.extra == {"field": "query", "position": 7}
    with pytest.raises(Invalid):
        search(session, parse_query("refund"), cursor="nonsense")
