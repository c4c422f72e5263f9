"""Keyset pages meet every row once, whatever is added between them; a cursor from elsewhere is refused."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from hub.customers.models import Customer
from hub.database import Database
from hub.errors import Invalid
from hub.paging import after, decode_cursor, encode_cursor, page
from tests.factories import NOW

KEY = (Customer.changed_at, Customer.id)
TYPES = (datetime, int)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 3, 7, 50])
def test_pages_hold_every_row_once_in_order(database: Database, limit: int, descending: bool) -> None:
    # Several of one moment, so that the id has to decide.
    moments = [NOW + timedelta(seconds=n // 4) for n in range(7)]
    with database.session() as session:
        session.add_all(Customer(name=f"c{n}", created_at=at, changed_at=at) for n, at in enumerate(moments))
    with database.reading() as session:
        found: list[int] = []
        cursor: str | None = None
        while True:
            query = after(select(Customer), KEY, TYPES, cursor, descending=descending)
            rows = session.scalars(query.limit(limit + 1)).all()
            shown = page(rows, limit, lambda each: (each.changed_at, each.id))
            found += [each.id for each in shown.items]
            cursor = shown.next_cursor
            if cursor is None:
                break
        expected = session.scalars(select(Customer.id).order_by(*KEY)).all()
    assert found == list(reversed(expected) if descending else expected)


def test_a_row_added_before_the_cursor_moves_nothing(database: Database) -> None:
    with database.session() as session:
        session.add_all(Customer(name=f"c{n}", created_at=NOW, changed_at=NOW) for n in range(4))
        session.flush()
        rows = session.scalars(after(select(Customer), KEY, TYPES, None).limit(3)).all()
        first = page(rows, 2, lambda each: (each.changed_at, each.id))
        early = NOW - timedelta(days=1)
        session.add(Customer(name="early", created_at=early, changed_at=early))
        session.flush()
        rest = session.scalars(after(select(Customer), KEY, TYPES, first.next_cursor)).all()
    assert [each.name for each in (*first.items, *rest)] == ["c0", "c1", "c2", "c3"]


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.decimals(-(10**9), 10**9, places=2),
    st.integers(-(2**31) + 1, 2**31 - 1),
    st.text(),
)
def test_a_cursor_says_what_was_put_in(at: datetime, amount: Decimal, number: int, text: str) -> None:
    cursor = encode_cursor((at, amount, number, text))
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert decode_cursor(cursor, (datetime, Decimal, int, str)) == [at, amount, number, text]


def _forged(words: str) -> str:
    return urlsafe_b64encode(words.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "%%%",
        "é",
        "A" * 5000,
        _forged("null"),
        _forged("7"),
        _forged('["2026-11-20T11:00:00+00:00"]'),
        _forged('["2026-11-20T11:00:00+00:00", 1, 2]'),
        _forged('["yesterday", 1]'),
        _forged('["0001-01-01T00:00:00+23:00", 1]'),
        _forged('["2026-11-20T11:00:00+00:00", 99999999999999999999]'),
        _forged('["2026-11-20T11:00:00+00:00", 1e999]'),
        _forged('["2026-11-20T11:00:00+00:00", null]'),
        _forged('{"a": 1, "b": 2}'),
        _forged("[" * 30_000),
    ],
)
def test_a_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid, match="not one of ours"):
        decode_cursor(cursor, TYPES)


@given(st.text(max_size=40), st.lists(st.sampled_from([int, str, Decimal, datetime]), max_size=3))
def test_whatever_is_sent_is_read_or_refused(cursor: str, types: list[Any]) -> None:
    with suppress(Invalid):
        assert len(decode_cursor(cursor, types)) == len(types)
