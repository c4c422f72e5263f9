"""Who wrote: a message finds its customer by identity, and never joins two."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.base import Author, Identity
from hub.customers.identities import normalise, resolve_authors
from hub.customers.models import Customer
from tests.factories import NOW, customer

MAIL = Identity("email", "ann@example.org")
HANDLE = Identity("handle", "ann", "chirp")


@pytest.mark.parametrize(
    ("identity", "key"),
    [
        (Identity("email", " Ann@Example.ORG "), ("email", "", "ann@example.org")),
        (Identity("handle", "@Ann", "chirp"), ("handle", "chirp", "ann")),
        (Identity("phone", "+49 (30) 12-34"), ("phone", "", "+49301234")),
        (Identity("phone", "0049 30 1234"), ("phone", "", "+49301234")),
        (Identity("loyalty", "lx 12 34"), ("loyalty", "", "LX1234")),
        (Identity("external", " U1 ", "crm"), ("external", "crm", "U1")),
    ],
)
def test_one_way_to_write_an_identity(identity: Identity, key: tuple[str, str, str]) -> None:
    assert normalise(identity) == key


def resolve(session: Session, *authors: Author | None) -> list[Customer]:
    return resolve_authors(session, authors, NOW)


def test_an_unknown_author_becomes_a_customer_once(session: Session) -> None:
    first, again = resolve(session, Author((HANDLE,)), Author((HANDLE,), name="Ann"))
    assert first is again
    assert first.name == "@ann"
    (later,) = resolve(session, Author((HANDLE,)))
    assert later is first


def test_a_known_identity_finds_its_customer_and_brings_new_ones(session: Session) -> None:
    ann = customer(session, "Ann", MAIL)
    (found,) = resolve(session, Author((HANDLE, MAIL), name="Annie", followers=1200))
    assert (found.id, found.name, found.followers) == (ann.id, "Ann", 1200)
    (by_handle,) = resolve(session, Author((HANDLE,)))
    assert by_handle.id == ann.id


def test_a_message_never_joins_two_customers(session: Session) -> None:
    ann, ben = customer(session, "Ann", MAIL), customer(session, "Ben", HANDLE)
    (found,) = resolve(session, Author((HANDLE, MAIL)))
    assert found.id == ben.id
    assert {each.value for each in ann.identities} == {"ann@example.org"}


def test_the_same_handle_elsewhere_is_somebody_else(session: Session) -> None:
    here, there = resolve(session, Author((HANDLE,)), Author((Identity("handle", "ann", "other"),)))
    assert here is not there


def test_whom_nobody_can_name_is_somebody_new_every_time(session: Session) -> None:
    one, other = resolve(session, None, None)
    assert one is not other
    assert session.scalar(select(func.count()).select_from(Customer)) == 2
