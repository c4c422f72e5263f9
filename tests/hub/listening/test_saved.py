"""Saved searches count what comes in as it is read, and history once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

import hub.listening.saved as module
from hub.channels.models import Channel
from hub.conversations.models import Message
from hub.errors import Conflict, Invalid, NotFound
from hub.inbox.analyse import analyse
from hub.learning.corrections import correct
from hub.listening.models import SavedSearch, SearchHit
from hub.listening.saved import (
    HISTORY,
    ask_searches,
    fill_searches,
    find_search,
    found_by_searches,
    named_search,
    remove_search,
    rename_search,
    save_search,
)
from hub.runtime import Hub
from tests.factories import NOW, analyse_as, analysis, channel, inbound, receive_one, user

TEXTS = ("my parcel is late", "late again, where is it?", "a lovely parcel", "thanks")


def hits(session: Session, name: str) -> set[str]:
    """The texts that a saved search has found."""
    rows = session.execute(
        select(Message.body)
        .join(SearchHit, SearchHit.message_id == Message.id)
        .where(SearchHit.search_id == named_search(session, name).id)
    )
    return set(rows.scalars())


def say(session: Session, text: str, *, label: Any = "negative", at: timedelta = timedelta()) -> Any:
    """A message that a model has read."""
    where = session.scalar(select(Channel).limit(1)) or channel(session)
    message = receive_one(session, where, inbound(text, author=f"by-{text[:20]}", sent_at=NOW - at))
    analyse_as(session, message, analysis(label))
    return message


def test_what_comes_in_is_asked_all_of_them(session: Session) -> None:
    save_search(session, "Late", "late", user=user(session), now=NOW)
    save_search(session, "Unhappy parcels", "parcel sentiment:negative", user=None, now=NOW)
    said = [say(session, text, label="positive" if "lovely" in text else "negative") for text in TEXTS]
    ask_searches(session, said)
    assert hits(session, "Late") == set(TEXTS[:2])
    assert hits(session, "Unhappy parcels") == {TEXTS[0]}
    # Read again, by another model or after an edit: what fits no more is gone, and nothing is there twice.
    said[0].body = "my parcel is here"
    session.flush()
    ask_searches(session, said)
    assert hits(session, "Late") == {TEXTS[1]}
    assert hits(session, "Unhappy parcels") == {"my parcel is here"}


def test_a_correction_counts(session: Session) -> None:
    save_search(session, "Bad", "sentiment:negative", user=None, now=NOW)
    message = say(session, TEXTS[2], label="positive")
    ask_searches(session, [message])
    assert hits(session, "Bad") == set()
    correct(session, message, user=user(session), now=NOW, sentiment="negative")
    assert hits(session, "Bad") == {TEXTS[2]}


def test_history_is_asked_once_piece_by_piece(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    with hub.database.session() as session:
        for number in range(5):
            say(session, f"late {number}", at=timedelta(days=number))
        say(session, "on time")
        say(session, "late, but long ago", at=HISTORY + timedelta(days=1))
        save_search(session, "Late", "late", user=None, now=NOW)
    rounds = 0
    while fill_searches(hub):
        rounds += 1
        assert rounds < 20
    assert rounds > 1
    with hub.database.reading() as session:
        assert hits(session, "Late") == {f"late {number}" for number in range(5)}
        saved = named_search(session, "late".title())
        assert saved.filled_at is not None
        found = found_by_searches(session, "7d", NOW)[0]
        assert (found.tally.messages, found.tally.negative, found.before) == (5, 5, 0)
        assert found.over_time[-5:] == [1] * 5
        assert len(found.over_time) == 7


def test_two_that_look_back_at_once_store_it_once(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub.database.session() as session:
        said = [say(session, text) for text in TEXTS]
        save_search(session, "Late", "late", user=None, now=NOW)
    real = module.search
    inside = False

    def search_while_another_does(*args: Any, **kwargs: Any) -> Any:
        nonlocal inside
        found = real(*args, **kwargs)
        if not inside:
            inside = True
            with hub.database.session() as session:
                ask_searches(session, said)
            assert fill_searches(hub) == 1
        return found

    monkeypatch.setattr(module, "search", search_while_another_does)
    assert fill_searches(hub) == 1
    with hub.database.reading() as session:
        assert hits(session, "Late") == set(TEXTS[:2])
        assert len(session.scalars(select(SearchHit)).all()) == 2


def test_the_flow_asks(hub: Hub) -> None:
    with hub.database.session() as session:
        save_search(session, "Late", "late", user=None, now=NOW)
        receive_one(session, channel(session), inbound(TEXTS[0]))
    assert analyse(hub) == 1
    with hub.database.reading() as session:
        assert hits(session, "Late") == {TEXTS[0]}


def test_deleted_messages_are_not_counted(session: Session) -> None:
    save_search(session, "Late", "late", user=None, now=NOW)
    said = [say(session, text) for text in TEXTS]
    ask_searches(session, said)
    said[0].deleted_at = NOW
    session.flush()
    assert found_by_searches(session, "24h", NOW)[0].tally.messages == 1


@pytest.mark.parametrize(
    ("name", "query", "error", "said"),
    [
        ("", "late", Invalid, "a name has 1 to 80 characters"),
        ("x" * 81, "late", Invalid, "a name has 1 to 80 characters"),
        ("New", "late AND", Invalid, "something is missing at the end"),
        (" late  Parcels ", "late", Conflict, "there is a saved search 'late Parcels' already"),
    ],
)
def test_what_cannot_be_saved(
    session: Session, name: str, query: str, error: type[Exception], said: str
) -> None:
    save_search(session, "Late parcels", "late parcel", user=None, now=NOW)
    with pytest.raises(error, match=said):
        save_search(session, name, query, user=None, now=NOW)
    assert len(session.scalars(select(SavedSearch)).all()) == 1


def test_there_is_an_end_to_them(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    save_search(session, "One", "one", user=None, now=NOW)
    with pytest.raises(Conflict, match="remove one first"):
        save_search(session, "Two", "two", user=None, now=NOW)


def test_renamed_and_removed(session: Session) -> None:
    saved = save_search(session, "Late", "late", user=None, now=NOW)
    save_search(session, "Lost", "lost", user=None, now=NOW)
    ask_searches(session, [say(session, TEXTS[0])])
    rename_search(session, saved, " Too   late ")
    rename_search(session, saved, "Too late")
    assert saved.name == "Too late"
    with pytest.raises(Conflict):
        rename_search(session, saved, "LOST")
    number = saved.id
    remove_search(session, saved)
    assert session.scalars(select(SearchHit)).all() == []
    with pytest.raises(NotFound):
        find_search(session, number)
    session.execute(delete(SavedSearch))
    assert found_by_searches(session, "7d", NOW) == []
