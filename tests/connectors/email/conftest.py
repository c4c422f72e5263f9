"""A mail server that the tests share, each with a mailbox of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.dovecot import Dovecot, dovecot_server


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """The Dovecot that tests share. Who kills it takes one of its own: `with dovecot_server()`."""
    with dovecot_server() as server:
        yield server


@pytest.fixture
def user(dovecot: Dovecot) -> str:
    """A mailbox that nobody has used."""
    return dovecot.new_user()
