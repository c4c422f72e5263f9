"""Keyset paging: a page is found by the key of the row before it; a deep page costs what the first does."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar, TypeVarTuple

from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from hub.errors import Invalid

Row = TypeVar("Row")
Columns = TypeVarTuple("Columns")
MAX_LIMIT = 200
LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, and the cursor of the next page; None where there is none."""

    items: Sequence[Row]
    next_cursor: str | None


def encode_cursor(key: Sequence[Any]) -> str:
    """An opaque, URL-safe text of a row's key: moments, amounts, whole numbers, texts."""
    return urlsafe_b64encode(json.dumps(list(key), default=str).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, types: Sequence[type]) -> list[Any]:
    """The key in `cursor`. Raises: Invalid."""
    try:
        values = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if len(values) != len(types):
            raise ValueError("wrong length")
        key: list[Any] = [
            datetime.fromisoformat(value).astimezone(UTC) if kind is datetime else kind(value)
            for value, kind in zip(values, types, strict=True)
        ]
        if any(
            kind in (int, Decimal) and abs(value) > LARGEST for kind, value in zip(types, key, strict=True)
        ):
            raise ValueError("no database holds such a number")
        return key
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise Invalid("this cursor is not one of ours", field="cursor") from error


def after(
    query: Select[*Columns],
    columns: Sequence[InstrumentedAttribute[Any]],
    types: Sequence[type],
    cursor: str | None,
    *,
    descending: bool = False,
) -> Select[*Columns]:
    """`query` in the order of `columns`, beginning behind `cursor`."""
    if cursor is not None:
        key = decode_cursor(cursor, types)
        row: ColumnElement[Any] = tuple_(*columns)
        # A plain tuple: its values are then bound as the columns' types.
        query = query.where(row < tuple(key) if descending else row > tuple(key))
    return query.order_by(*(column.desc() if descending else column.asc() for column in columns))


def page(rows: Sequence[Row], limit: int, key: Callable[[Row], Sequence[Any]]) -> Page[Row]:
    """The first `limit` of `rows`, of which one more was asked for to know whether there is a next page."""
    if len(rows) <= limit:
        return Page(rows, None)
    return Page(rows[:limit], encode_cursor(key(rows[limit - 1])))
