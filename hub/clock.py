"""The only place where the hub reads the wall clock; services take `now` as an argument."""

from __future__ import annotations

from datetime import UTC, datetime


def utcnow() -> datetime:
    """The present moment, aware and UTC."""
    return datetime.now(UTC)
