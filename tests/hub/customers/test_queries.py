"""The list of customers, and everything known of one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.orm import Session

from connectors.base import Author, Identity
from hub.conversations.service import get_conversation, set_status
from hub.customers.models import Customer
from hub.customers.queries import Filters, customer_profile, last_events, list_customers
from hub.errors import Invalid, NotFound
from hub.paging import encode_cursor
from sentiment.types import Sentiment
from tests.factories import (
    NOW,
    analyse_as,
    analysis,
    channel,
    conversation_of,
    customer,
    event,
    inbound,
    receive_one,
)

DAY = timedelta(days=1)


def names(session: Session, *, q: str = "", tier: str = "") -> list[str]:
    return [row.customer.name for row in list_customers(session, Filters(q, tier)).items]


@pytest.fixture
def people(session: Session) -> list[Customer]:
    ann = customer(
        session,
        "Ann Vogel",
        Identity("email", "ann@example.org"),
        Identity("handle", "@annie", "chirp"),
        tier="platinum",
    )
    ben = customer(session, "Ben 100%_sure", Identity("loyalty", "LX 77 01"), tier="gold")
    cy = customer(session, "Cy Ahorn", Identity("phone", "+49 30 555"), tier="gold")
    event(session, ann, amount="300.00")
    event(session, ben, amount="900.00")
    return [ann, ben, cy]


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("", ["Ben 100%_sure", "Ann Vogel", "Cy Ahorn"]),
        ("vogel", ["Ann Vogel"]),
        ("@Annie", ["Ann Vogel"]),
        ("ANN@example", ["Ann Vogel"]),
        ("lx 7701", ["Ben 100%_sure"]),
        ("+49 30", ["Cy Ahorn"]),
        ("%", ["Ben 100%_sure"]),
        ("_", ["Ben 100%_sure"]),
        ("nobody", []),
        ("@", []),
        ("an\0n v", ["Ann Vogel"]),
        ("'; DROP TABLE customers; --", []),
    ],
)
def test_found_by_a_part_of_name_or_identity(session: Session, q: str, found: list[str]) -> None:
    assert names(session, q=q) == found


@pytest.mark.usefixtures("people")
def test_found_by_tier(session: Session) -> None:
    assert names(session, tier="gold") == ["Ben 100%_sure", "Cy Ahorn"]
    assert names(session, tier="gold", q="cy") == ["Cy Ahorn"]


def test_pages_follow_each_other_without_gap_or_repetition(session: Session) -> None:
    for number in range(7):
        event(session, customer(session, f"Customer {number}"), amount=f"{10 * (number // 2) + 5}.50")
    customer(session, "Never bought")
    seen, cursor = [], None
    while True:
        found = list_customers(session, Filters(), cursor=cursor, limit=3)
        seen += [row.customer for row in found.items]
        cursor = found.next_cursor
        if cursor is None:
            break
    assert len(seen) == len({each.id for each in seen}) == 8
    assert [each.spend_12m for each in seen] == sorted((each.spend_12m for each in seen), reverse=True)


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense",
        encode_cursor([1]),
        encode_cursor(["NaN", 1]),
        encode_cursor(["x", 1]),
        encode_cursor([1, 10**12]),
    ],
)
def test_a_foreign_cursor_is_refused(session: Session, cursor: str) -> None:
    with pytest.raises(Invalid):
        list_customers(session, Filters(), cursor=cursor)


def test_a_row_says_what_they_spend_and_what_they_said(session: Session, people: list[Customer]) -> None:
    ann = people[0]
    chirp, mail = channel(session), channel(session, "mail", kind="mail")
    older = receive_one(session, chirp, inbound("Good", author="annie", sent_at=NOW - 2 * DAY))
    writer = Author((Identity("email", "ann@example.org"),))
    newer = receive_one(session, mail, inbound("Bad", author=writer, sent_at=NOW - DAY))
    analyse_as(session, older, analysis("positive"))
    analyse_as(session, newer, analysis("negative"))
    set_status(session, get_conversation(session, older.conversation_id), "solved", user=None, now=NOW)
    row = next(row for row in list_customers(session, Filters(q="vogel")).items)
    assert row.customer.id == ann.id
    assert row.spend is not None
    assert (row.spend.amount, row.spend.currency, row.spend.percentile) == (Decimal("300.00"), "EUR", 50)
    assert (row.conversations, row.open, row.last_at) == (2, 1, NOW - DAY)
    assert row.newest is not None
    assert row.newest.sentiment == "negative"


@pytest.mark.usefixtures("people")
def test_who_never_bought_and_never_wrote_has_neither(session: Session) -> None:
    (row,) = list_customers(session, Filters(q="cy")).items
    assert (row.spend, row.conversations, row.open, row.last_at, row.newest) == (None, 0, 0, None, None)


def test_profile(session: Session, people: list[Customer]) -> None:
    ann = people[0]
    event(session, ann, "check_in", None, at=NOW - 3 * DAY, place="Hamburg")
    chirp = channel(session)
    first = receive_one(
        session, chirp, inbound("All good so far", author="annie", sent_at=NOW - 2 * DAY, thread_key="a")
    )
    second = receive_one(
        session,
        chirp,
        inbound("Bad, bad", author="annie", sent_at=NOW - DAY, thread_key="b", subject="Parcel"),
    )
    third = receive_one(session, chirp, inbound("Hm", author="annie", sent_at=NOW, thread_key="b"))
    analyse_as(session, first, analysis("positive", 0.9))
    analyse_as(session, second, analysis("negative", 0.8))
    analyse_as(session, third, analysis(None))

    profile = customer_profile(session, ann.id, NOW, current_id=second.conversation_id)

    assert (profile.name, profile.tier, profile.loyalty_number) == ("Ann Vogel", "platinum", None)
    assert profile.spend is not None
    assert (profile.spend.amount, profile.spend.percentile, profile.spend.orders) == (
        Decimal("300.00"),
        50,
        1,
    )
    assert profile.mood == pytest.approx([0.85, -0.7, -0.15])
    assert [each.at for each in profile.moods] == [NOW - 2 * DAY, NOW - DAY, NOW]
    assert [(talk.subject, talk.url, talk.current) for talk in profile.conversations] == [
        ("Parcel", f"/conversations/{second.conversation_id}", True),
        ("All good so far", f"/conversations/{first.conversation_id}", False),
    ]
    assert [each.kind for each in last_events(session, ann.id)] == ["purchase", "check_in"]


def test_what_the_model_did_not_read_is_no_mood(session: Session) -> None:
    chirp = channel(session)
    german = receive_one(session, chirp, inbound("Wo ist mein Paket?"))
    silent = Sentiment(None, 0.0, {"negative": 1 / 3, "neutral": 1 / 3, "positive": 1 / 3})
    analyse_as(session, german, replace(analysis(None), sentiment=silent))
    assert customer_profile(session, conversation_of(session, german).customer_id, NOW).mood == []


def test_the_brands_words_and_automatic_ones_have_no_mood(session: Session) -> None:
    chirp = channel(session)
    automatic = receive_one(session, chirp, inbound("Out of office", automatic=True))
    analyse_as(session, automatic)
    assert customer_profile(session, conversation_of(session, automatic).customer_id, NOW).mood == []


def test_a_long_message_is_cut_for_its_line(session: Session) -> None:
    said = receive_one(session, channel(session), inbound("word\n " * 40))
    (talk,) = customer_profile(session, conversation_of(session, said).customer_id, NOW).conversations
    assert talk.subject == "word " * 15 + "word…"


def test_purchases_with_what_came_back(session: Session) -> None:
    ann = customer(session)
    event(session, ann, amount="100.00", at=NOW - 9 * DAY, items="Boots; Wool socks", place="Hamburg")
    event(session, ann, amount="40.00", at=NOW - 8 * DAY, items="Lamp", place="online")
    event(session, ann, amount="40.00", at=NOW - 6 * DAY, items="Lamp", place="online")
    event(session, ann, "return", "12.00", at=NOW - 5 * DAY, items="Wool socks")
    event(session, ann, "return", "40.00", at=NOW - 4 * DAY, items="Lamp")
    event(session, ann, "return", "5.00", at=NOW - 3 * DAY, items="Never bought")
    event(session, ann, amount="9.99", at=NOW - DAY)
    shown = [
        (each.what, str(each.amount), each.place, each.returned)
        for each in customer_profile(session, ann.id, NOW).purchases
    ]
    assert shown == [
        ("Purchase", "9.99", "place not known", False),
        ("Lamp", "40.00", "online", True),
        ("Lamp", "40.00", "online", False),
        ("Boots, Wool socks (Wool socks returned)", "100.00", "Hamburg", False),
    ]


def test_nobody(session: Session) -> None:
    with pytest.raises(NotFound):
        customer_profile(session, 1, NOW)
