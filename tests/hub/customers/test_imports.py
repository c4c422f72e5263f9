"""Importing customers and events: idempotent, with an error per row that names line and column."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

import pytest
from sqlalchemy import func, select

from connectors.base import Author, Identity
from hub.conversations.models import Conversation
from hub.customers.imports import ImportReport, RowError, import_customers, import_events
from hub.customers.models import Customer, CustomerIdentity, Event
from hub.customers.spend import spend_percentiles
from hub.errors import Invalid
from hub.runtime import Hub
from routing.policy import DEFAULT_POLICY, read_policy
from tests.factories import NOW, channel, customer, event, inbound, receive_one

POLICY = read_policy(DEFAULT_POLICY)

CUSTOMERS = """customer_id,name,email,handles,phone,loyalty_number,tier,points,currency,language,joined_at
c1,Ann Example,Ann@Example.org,chirp:@ann other:@annie,+49 30 123,LX 1,Platinum,1200,EUR,de,2020-05-01
c2,Ben Example,ben@example.org,,,LX2,,,GBP,EN,
"""

EVENTS = """event_id,customer,kind,occurred_at,amount,currency,place,items,points
e1,c1,purchase,2026-11-01T10:00:00+01:00,129.90,EUR,Hamburg,Skerry jacket; Wren pack,
e2,ann@example.org,return,2026-11-05,29.90,EUR,Hamburg,Wren pack,
e3,lx2,purchase,2026-11-02,100,,online,,
e4,c1,check_in,2026-11-01T09:45:00Z,,,Hamburg,,
e5,c1,points_earned,2026-11-01,,,,,129
"""


def customers(hub: Hub, text: str) -> ImportReport:
    return import_customers(hub.database, StringIO(text), POLICY, NOW)


def events(hub: Hub, text: str) -> ImportReport:
    return import_events(hub.database, StringIO(text), POLICY, NOW)


def test_customers_come_in_whole(hub: Hub) -> None:
    assert customers(hub, CUSTOMERS) == ImportReport(created=2)
    with hub.database.reading() as session:
        ann = session.scalars(select(Customer).where(Customer.external_id == "c1")).one()
        assert (ann.name, ann.tier, ann.points, ann.currency, ann.language) == (
            "Ann Example",
            "platinum",
            1200,
            "EUR",
            "de",
        )
        assert ann.joined_at == datetime(2020, 5, 1, tzinfo=UTC)
        assert {(each.kind, each.place, each.value) for each in ann.identities} == {
            ("email", "", "ann@example.org"),
            ("handle", "chirp", "ann"),
            ("handle", "other", "annie"),
            ("phone", "", "+4930123"),
            ("loyalty", "", "LX1"),
        }


def test_twice_is_once(hub: Hub) -> None:
    customers(hub, CUSTOMERS)
    assert customers(hub, CUSTOMERS) == ImportReport(unchanged=2)
    assert events(hub, EVENTS) == ImportReport(created=5)
    assert events(hub, EVENTS) == ImportReport(unchanged=5)
    with hub.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 5
        assert session.scalar(select(func.count()).select_from(CustomerIdentity)) == 7


def test_a_changed_row_updates_and_an_empty_cell_leaves_what_is_known(hub: Hub) -> None:
    customers(hub, CUSTOMERS)
    changed = "customer_id,name,tier,points,email\nc1,,gold,,ann.new@example.org\n"
    assert customers(hub, changed) == ImportReport(updated=1)
    with hub.database.reading() as session:
        ann = session.scalars(select(Customer).where(Customer.external_id == "c1")).one()
        assert (ann.name, ann.tier, ann.points) == ("Ann Example", "gold", 1200)
        assert {each.value for each in ann.identities if each.kind == "email"} == {
            "ann@example.org",
            "ann.new@example.org",
        }


def test_spend_is_right_after_an_import_in_every_currency(hub: Hub) -> None:
    customers(hub, CUSTOMERS)
    events(hub, EVENTS)
    with hub.database.reading() as session:
        ann, ben = session.scalars(select(Customer).order_by(Customer.external_id)).all()
        assert ann.spend_12m == Decimal("100.00")
        # 100 pounds, since Ben's currency is the pound, at the policy's 1.15.
        assert ben.spend_12m == Decimal("115.00")
        assert spend_percentiles(session, [ann, ben]) == {ann.id: 50, ben.id: 100}


def test_an_event_that_comes_again_with_another_amount_changes_nothing(hub: Hub) -> None:
    customers(hub, CUSTOMERS)
    events(hub, EVENTS)
    again = "event_id,customer,kind,occurred_at,amount\ne1,c1,purchase,2026-11-01,999\n"
    assert events(hub, again) == ImportReport(unchanged=1)
    with hub.database.reading() as session:
        assert session.scalar(select(Event.amount).where(Event.external_id == "e1")) == Decimal("129.90")


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        (",Nobody,,,,,,,,,", "customer_id", "customer_id is empty"),
        (
            "c3,X,,,,,diamond,,,,",
            "tier",
            f"tier 'diamond' is none of the policy's: {', '.join(POLICY.tiers)}",
        ),
        ("c3,X,,,,,,many,,,", "points", "'many' is not a whole number"),
        ("c3,X,nowhere,,,,,,,,", "email", "'nowhere' is not a mail address"),
        ("c3,X,,@lonely,,,,,,,", "handles", "'@lonely' is not of the form network:@name"),
        ("c3,X,,,,,,,euros,,", "currency", "'euros' is not a currency code such as EUR"),
        (
            "c3,X,,,,,,,,,soon",
            "joined_at",
            "'soon' is not a date such as 2026-03-01 or 2026-03-01T09:30:00Z",
        ),
        ("c3,X,ann@example.org,,,,,,,,", "email", "ann@example.org belongs to customer c1 already"),
        ("c3,X,,,,,,,,,,,extra", "", "the row has 13 cells, the header 11"),
        ("c3,A\0B,,,,,,,,,", "name", "name holds NUL characters"),
        (f"c3,{'A' * 301},,,,,,,,,", "name", "name is longer than 300 characters"),
        ("c3,X,,,,,,3000000000,,,", "points", "3000000000 is larger than 2,147,483,647"),
    ],
)
def test_a_bad_customer_is_named_and_stops_nobody_else(hub: Hub, row: str, column: str, message: str) -> None:
    report = customers(hub, f"{CUSTOMERS}{row}\nc4,Cy Example,cy@example.org,,,,,,,,\n")
    assert report == ImportReport(created=3, errors=[RowError(4, column, message)])


def test_a_row_that_csv_cannot_read_is_named_and_stops_nobody_else(hub: Hub) -> None:
    # The limit is the whole process's, and others may have raised it.
    before = csv.field_size_limit(1000)
    try:
        report = customers(hub, f"{CUSTOMERS}c3,{'A' * 1001}\nc4,Cy Example\n")
    finally:
        csv.field_size_limit(before)
    problem = "the row cannot be read: field larger than field limit (1000)"
    assert report == ImportReport(created=3, errors=[RowError(4, "", problem)])


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        (",c1,visit,2026-11-01,,,,,", "event_id", "event_id is empty"),
        ("x,c9,visit,2026-11-01,,,,,", "customer", "no customer 'c9': import customers first"),
        ("x,c1,purchse,2026-11-01,1,,,,", "kind", "unknown kind 'purchse'; did you mean 'purchase'?"),
        ("x,c1,visit,yesterday,,,,,", "occurred_at", "'yesterday' is not a date such as"),
        ("x,c1,purchase,2026-11-01,,,,,", "amount", "a purchase needs an amount"),
        ("x,c1,purchase,2026-11-01,cheap,,,,", "amount", "'cheap' is not an amount such as 129.90"),
        ("x,c1,return,2026-11-01,-5,,,,", "amount", "'-5' is not an amount: give it without a sign"),
        ("x,c1,purchase,2026-11-01,NaN,,,,", "amount", "'NaN' is not an amount"),
        ("x,c1,purchase,2026-11-01,5,SEK,,,", "currency", "the policy has no exchange rate for SEK"),
        ("x,c1,visit,0001-01-01T00:00+14:00,,,,,", "occurred_at", "'0001-01-01T00:00+14:00' is not a date"),
        ("x,c1,visit,2026-11-01,,,,,,more", "", "the row has 10 cells, the header 9"),
        ("x,c1,points_earned,2026-11-01,,,,,lots", "points", "'lots' is not a whole number"),
    ],
)
def test_a_bad_event_is_named_and_stops_no_other(hub: Hub, row: str, column: str, message: str) -> None:
    customers(hub, CUSTOMERS)
    report = events(hub, f"{EVENTS}{row}\ne6,c1,visit,2026-11-06,,,,,\n")
    assert (report.created, [(e.line, e.column) for e in report.errors]) == (6, [(7, column)])
    assert report.errors[0].message.startswith(message)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("customer_id,nmae", "unknown column 'nmae'; did you mean 'name'?"),
        ("name,email", "the header lacks customer_id"),
        ("", "the header lacks customer_id"),
    ],
)
def test_a_header_that_cannot_be_used_stops_the_import(hub: Hub, header: str, message: str) -> None:
    with pytest.raises(Invalid, match=message.replace("?", r"\?")):
        customers(hub, f"{header}\nc1,Ann\n")


def test_a_spreadsheet_writes_semicolons_and_a_byte_order_mark(hub: Hub) -> None:
    assert customers(hub, "\ufeffCustomer_ID;Name\nc1;Ann, the first\n") == ImportReport(created=1)
    with hub.database.reading() as session:
        assert session.scalars(select(Customer.name)).one() == "Ann, the first"


def test_lines_are_those_of_the_file_also_after_a_cell_of_two_lines(hub: Hub) -> None:
    report = customers(hub, 'customer_id,name,points\nc1,"Ann\nExample",1\nc2,Ben,x\n')
    assert [error.line for error in report.errors] == [4]


def test_somebody_met_in_a_message_is_taken_over(hub: Hub) -> None:
    """Whoever was known by two identities only becomes one customer, with all they said and did."""
    with hub.database.session() as session:
        chirp, mail = channel(session, "chirp"), channel(session, "mail", kind="mail")
        by_handle = receive_one(session, chirp, inbound("Bad day", author="ann"))
        writer = Author((Identity("email", "Ann@example.org"),))
        by_mail = receive_one(session, mail, inbound("Bad day", author=writer))
        assert by_handle.conversation_id != by_mail.conversation_id
        shell_id = session.get_one(Conversation, by_mail.conversation_id).customer_id
        event(session, session.get_one(Customer, shell_id), amount="7.00")
    report = customers(hub, CUSTOMERS)
    assert (report.created, report.errors) == (2, [])
    with hub.database.reading() as session:
        ann = session.scalars(select(Customer).where(Customer.external_id == "c1")).one()
        assert set(session.scalars(select(Conversation.customer_id))) == {ann.id}
        assert session.scalar(select(func.count()).select_from(Customer)) == 2
        assert (ann.name, ann.tier, ann.spend_12m) == ("Ann Example", "platinum", Decimal("7.00"))
        assert ann.changed_at == NOW


def test_an_import_never_joins_two_customers_of_the_crm(hub: Hub) -> None:
    with hub.database.session() as session:
        customer(session, "Ann", Identity("email", "ann@example.org"), external_id="c8")
        customer(session, "Ann again", Identity("loyalty", "LX1"), external_id="c9")
    report = customers(hub, "customer_id,name,email,loyalty_number\nc9,Ann again,ann@example.org,LX1\n")
    assert report.errors == [RowError(2, "email", "ann@example.org belongs to customer c8 already")]
    with hub.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Customer)) == 2
