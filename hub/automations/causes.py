"""By which automations what is done came about, so that none sets itself off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.orm import Session

_CHAIN = "automation_chain"


@contextmanager
def caused_by(session: Session, chain: Sequence[str]) -> Iterator[None]:
    """What happens within came about by these automations."""
    session.info[_CHAIN] = tuple(chain)
    try:
        yield
    finally:
        del session.info[_CHAIN]


def chain_of(session: Session) -> tuple[str, ...]:
    """The automations by which what is done now came about, the first of them first."""
    chain: tuple[str, ...] = session.info.get(_CHAIN, ())
    return chain
