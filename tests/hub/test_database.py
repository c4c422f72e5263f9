"""Sessions, column types and what differs between the two databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session

from hub.channels.models import Channel
from hub.conversations.models import Conversation
from hub.customers.models import Customer
from hub.database import Database, EncryptedJson, Locked, among, json_items, nudge
from tests.factories import NOW
from tests.hub.conftest import ON_SQLITE


def add(session: Session, name: str = "Ann", **fields: object) -> Customer:
    customer = Customer(name=name, **{"created_at": NOW, "changed_at": NOW, **fields})
    session.add(customer)
    session.flush()
    return customer


def names(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(Customer.name).order_by(Customer.id)))


@ON_SQLITE
def test_among_many_ids_is_looked_up_in_an_index(database: Database) -> None:
    asked = select(Conversation.id).where(among(Conversation.customer_id, [1, 2, 3]))
    with database.reading() as session:
        sql = asked.compile(session.connection(), compile_kwargs={"literal_binds": True})
        plan = session.execute(text(f"EXPLAIN QUERY PLAN {sql}")).all()
    assert any("ix_conversations_customer_id (customer_id=?)" in row[3] for row in plan)


@pytest.mark.parametrize("which", [[], [0], [1, 2], [2, 4, 4, 10**6]])
def test_among_ids(database: Database, which: list[int]) -> None:
    with database.session() as session:
        ids = [add(session, f"{n}").id for n in range(5)]
        asked = [ids[n] if n < 5 else n for n in which]
        found = session.scalars(select(Customer.id).where(among(Customer.id, asked)))
        assert set(found) == set(asked) & set(ids)


def test_a_block_is_a_transaction(database: Database) -> None:
    with database.session() as session:
        add(session, "kept")

    def break_off() -> None:
        with database.session() as session:
            add(session, "lost")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    with database.reading() as session:
        add(session, "only looked")
    assert names(database) == ["kept"]


def test_nudges_go_out_after_the_commit_and_once(database: Database) -> None:
    told: list[tuple[str, list[str]]] = []
    database.nudge = lambda job: told.append((job, names(database)))
    with database.session() as session:
        add(session)
        for job in ("plan", "analyse", "plan"):
            nudge(session, job)
        assert told == []
    assert told == [("plan", ["Ann"]), ("analyse", ["Ann"])]


def test_no_nudge_for_what_was_rolled_back(database: Database) -> None:
    told: list[str] = []
    database.nudge = told.append

    def break_off() -> None:
        with database.session() as session:
            nudge(session, "plan")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    with database.session():
        pass
    assert told == []


def test_writers_take_turns_and_lose_nothing(database: Database) -> None:
    """Read first and write later, eight at once: on SQLite a deferred transaction would fail."""
    with database.session() as session:
        customer_id = add(session, points=0).id

    def count(_: int) -> None:
        for _ in range(5):
            with database.session() as session:
                customer = session.get_one(Customer, customer_id, with_for_update=True)
                customer.points = (customer.points or 0) + 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    with database.reading() as session:
        assert session.get_one(Customer, customer_id).points == 40


def test_reading_waits_for_no_writer(database: Database) -> None:
    with database.session() as session:
        add(session)
    writing, seen = Event(), Event()

    def write() -> None:
        with database.session() as session:
            session.execute(update(Customer).values(name="Changed"))
            writing.set()
            assert seen.wait(10)

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        assert writing.wait(10)
        assert names(database) == ["Ann"]
        seen.set()
        writer.result()
    assert names(database) == ["Changed"]


@pytest.mark.parametrize(
    "moment",
    [
        NOW,
        NOW.replace(microsecond=123456),
        datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
def test_moments_come_back_as_they_were_in_utc(database: Database, moment: datetime) -> None:
    with database.session() as session:
        customer_id = add(session, joined_at=moment).id
    with database.reading() as session:
        found = session.get_one(Customer, customer_id).joined_at
    assert found == moment
    assert found is not None
    assert found.tzinfo is UTC


def test_moments_without_a_zone_are_refused(database: Database) -> None:
    with database.reading() as session, pytest.raises(StatementError, match="naive"):
        add(session, joined_at=datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0", "0.00"),
        ("0.10", "0.10"),
        ("-12.34", "-12.34"),
        ("9999999999999.99", "9999999999999.99"),
        ("0.005", "0.01"),
        ("0.015", "0.02"),
        ("-0.005", "-0.01"),
        ("0.0049", "0.00"),
    ],
)
def test_money_is_exact_and_rounded_alike(database: Database, given: str, kept: str) -> None:
    with database.session() as session:
        customer_id = add(session, spend_12m=Decimal(given)).id
    with database.reading() as session:
        assert session.get_one(Customer, customer_id).spend_12m == Decimal(kept)


def test_money_adds_up_without_dust(database: Database) -> None:
    with database.session() as session:
        for _ in range(10):
            add(session, spend_12m=Decimal("0.10"))
        assert session.scalar(select(func.sum(Customer.spend_12m))) == Decimal("1.00")
        assert session.scalar(select(func.count()).where(Customer.spend_12m == Decimal("0.1"))) == 10


def test_secrets_are_unreadable_without_the_key(database: Database) -> None:
    EncryptedJson.use_key("a key")
    with database.session() as session:
        session.add(
            Channel(
                name="c", connector="files", kind="mail", secrets={"password": "tr0ub4dor"}, created_at=NOW
            )
        )
    with database.reading() as session:
        assert session.scalars(select(Channel)).one().secrets == {"password": "tr0ub4dor"}
        stored = session.execute(text("SELECT secrets FROM channels")).scalar_one()
        assert "tr0ub4dor" not in stored
    EncryptedJson.use_key("another key")
    with database.reading() as session:
        channel = session.scalars(select(Channel)).one()
        assert (channel.name, channel.secrets) == ("c", {})
        assert isinstance(channel.secrets, Locked)
    with pytest.raises(StatementError, match="another key"), database.session() as session:
        session.add(Channel(name="d", connector="files", kind="mail", secrets=Locked(), created_at=NOW))
    EncryptedJson.use_key("a key")
    with database.reading() as session:
        assert session.scalars(select(Channel)).one().secrets == {"password": "tr0ub4dor"}


def test_the_items_of_a_json_array_are_rows(database: Database) -> None:
    with database.session() as session:
        channel = Channel(name="c", connector="files", kind="mail", created_at=NOW)
        session.add(channel)
        customer = add(session)
        for reasons in ([{"factor": 2.0, "text": "a"}, {"factor": 3.0, "text": "b"}], [], None):
            session.add(
                Conversation(
                    channel=channel,
                    customer=customer,
                    created_at=NOW,
                    updated_at=NOW,
                    last_message_at=NOW,
                    reasons=reasons,
                )
            )
        session.flush()
        items = json_items(Conversation.reasons)
        texts = session.scalars(
            select(items.c.value["text"].as_string()).select_from(Conversation).join(items, text("true"))
        ).all()
    assert sorted(texts) == ["a", "b"]


def test_rules_of_the_tables_hold(database: Database) -> None:
    with database.reading() as session, pytest.raises(IntegrityError):
        session.execute(
            text("INSERT INTO identities (customer_id, kind, place, value) VALUES (7, 'a', '', 'b')")
        )
    with database.reading() as session:
        session.add(Channel(name="c", connector="files", kind="pigeon", created_at=NOW))
        with pytest.raises(IntegrityError):
            session.flush()


def test_errors_do_not_repeat_what_customers_wrote(database: Database) -> None:
    with database.session() as session:
        add(session, "Ann", external_id="1")
    with database.reading() as session, pytest.raises(IntegrityError) as raised:
        add(session, "a very private name", external_id="1")
    assert "private" not in str(raised.value).split("\n")[1]


def test_sqlite_survives_a_power_cut_and_keeps_its_rules(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new' / 'folder' / 'hub.db'}")
    with database.reading() as session:
        settings = {
            name: session.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    database.close()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
