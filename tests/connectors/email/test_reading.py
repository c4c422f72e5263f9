"""What a real Dovecot holds is read once, whatever happens to the line or to its numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from connectors.base import AuthExpired, BadPayload, Batch, InboundMessage, Item, Rejected, RetryLater
from connectors.email import reading
from tests.connectors.email.mailing import email, ids_of, items_of, mail
from tests.servers.dovecot import Dovecot, dovecot_server
from tests.servers.proxy import Proxy, proxy_before


def step(batches: Iterator[Batch], cursor: Any) -> tuple[list[Item], Any, bool]:
    """What comes until the end or an error; the cursor as a database would give it back; whether it ended."""
    items: list[Item] = []
    try:
        for batch in batches:
            items += batch.items
            cursor = json.loads(json.dumps(batch.cursor))
    except RetryLater:
        return items, cursor, False
    return items, cursor, True


def start(dovecot: Dovecot, user: str, **settings: Any) -> tuple[Any, Any]:
    """A connector that has read an empty mailbox, and its cursor."""
    connector = email(dovecot, user, **settings)
    _, cursor, _ = step(connector.fetch(None), None)
    return connector, cursor


def test_the_first_time_brings_what_is_recent(dovecot: Dovecot, user: str) -> None:
    dovecot.put(user, mail(message_id="<old@example.com>"), age=timedelta(days=40))
    dovecot.put(user, mail(message_id="<new@example.com>"))
    connector = email(dovecot, user)
    items, cursor, _ = step(connector.fetch(None), None)
    assert ids_of(items) == ["new@example.com"]
    dovecot.put(user, mail(message_id="<moved@example.com>"), age=timedelta(days=50))
    items, cursor, _ = step(connector.fetch(cursor), cursor)
    assert ids_of(items) == ["moved@example.com"]
    assert list(connector.fetch(cursor)) == []
    assert set(cursor["INBOX"]) == {"uidvalidity", "uid", "since"}


def test_a_mail_by_lmtp_comes_whole(dovecot: Dovecot, user: str) -> None:
    connector, cursor = start(dovecot, user)
    dovecot.deliver(user, mail("Grüße aus Köln", message_id="<one@example.com>", references="<a@b> <c@d>"))
    [found] = items_of(connector.fetch(cursor))
    assert isinstance(found, InboundMessage)
    assert (found.external_id, found.text.strip()) == ("one@example.com", "Grüße aus Köln")
    assert found.author is not None
    assert found.author.name == "Mara"
    assert found.meta == {"message_id": "one@example.com", "references": ["a@b", "c@d"]}


def test_reading_changes_nothing_in_the_mailbox(dovecot: Dovecot, user: str) -> None:
    dovecot.put(user, mail())
    items_of(email(dovecot, user).fetch(None))
    with dovecot.imap(user) as imap:
        assert b"Seen" not in imap.uid("FETCH", "1:*", "(FLAGS)")[1][0]


def test_folders_have_places_of_their_own(dovecot: Dovecot, user: str) -> None:
    _, cursor = start(dovecot, user)
    with dovecot.imap(user) as imap:
        imap.create("R&APw-cksendungen")
    both = email(dovecot, user, folders=("INBOX", "Rücksendungen"))
    dovecot.put(user, mail(message_id="<inbox@example.com>"))
    dovecot.put(user, mail(message_id="<box@example.com>"), folder="R&APw-cksendungen")
    items, cursor, _ = step(both.fetch(cursor), cursor)
    assert ids_of(items) == ["inbox@example.com", "box@example.com"]
    assert set(cursor) == {"INBOX", "Rücksendungen"}


def test_new_numbers_repeat_and_lose_nothing(dovecot: Dovecot, user: str) -> None:
    dovecot.put(user, mail(message_id="<ancient@example.com>"), age=timedelta(days=40))
    connector, cursor = start(dovecot, user)
    dovecot.put(user, *(mail(message_id=f"<{n}@example.com>") for n in range(5)))
    before, cursor, _ = step(connector.fetch(cursor), cursor)
    dovecot.put(user, mail(message_id="<meanwhile@example.com>"))
    connector.close()
    dovecot.restore(user)
    after, renewed, _ = step(connector.fetch(cursor), cursor)
    assert renewed["INBOX"]["uidvalidity"] != cursor["INBOX"]["uidvalidity"]
    known = {(i.external_id, i.fingerprint) for i in before if isinstance(i, InboundMessage)}
    again = {(i.external_id, i.fingerprint) for i in after if isinstance(i, InboundMessage)}
    assert {name for name, _ in again - known} == {"meanwhile@example.com"}
    assert known < again
    # History was not asked for, and does not come by the way.
    assert "ancient@example.com" not in {name for name, _ in again}
    assert list(connector.fetch(renewed)) == []


def test_a_reading_anew_goes_on_where_it_was_cut(
    dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_BATCH_MAILS", 2)
    connector, cursor = start(dovecot, user)
    names = [f"{n}@example.com" for n in range(7)]
    dovecot.put(user, *(mail(message_id=f"<{name}>") for name in names))
    _, cursor, _ = step(connector.fetch(cursor), cursor)
    connector.close()
    dovecot.renumber(user)
    seen: list[str] = []
    # Each time only the first two batches, as if the process were killed then.
    for _ in range(20):
        for batch, _two in zip(connector.fetch(cursor), range(2), strict=False):
            cursor = batch.cursor
            seen += ids_of(list(batch.items))
    assert seen == names


def test_the_same_id_twice_is_told_apart(dovecot: Dovecot, user: str) -> None:
    connector, cursor = start(dovecot, user)
    one, other = (mail(text, message_id="<constant@form.example>") for text in ("first", "second"))
    dovecot.put(user, one, other, one)
    found = [item for item in items_of(connector.fetch(cursor)) if isinstance(item, InboundMessage)]
    assert {item.external_id for item in found} == {"constant@form.example"}
    assert found[0].fingerprint == found[2].fingerprint != found[1].fingerprint


def test_a_bad_mail_is_kept_and_the_rest_goes_on(dovecot: Dovecot, user: str) -> None:
    connector, cursor = start(dovecot, user, max_mail_bytes=5_000)
    huge = mail("x\n" * 4_000, message_id="<huge@example.com>")
    dovecot.put(user, mail(message_id="<a@example.com>"), huge, b"Subject: x\n\nwho?", mail(), mail())
    items, cursor, ended = step(connector.fetch(cursor), cursor)
    assert ended
    assert len(ids_of(items)) == 3
    rejected = {item.reason: item for item in items if isinstance(item, Rejected)}
    assert set(rejected) == {"mail_too_large", "missing_author"}
    assert rejected["mail_too_large"].where == "INBOX, huge@example.com"
    assert b"Subject:" in rejected["mail_too_large"].raw
    assert len(rejected["mail_too_large"].raw) < 1_000


def test_a_mail_that_the_server_cannot_read_stops_nothing(dovecot: Dovecot, user: str) -> None:
    connector, cursor = start(dovecot, user)
    dovecot.put(user, mail(message_id="<a@example.com>"), mail(), mail(message_id="<c@example.com>"))
    with dovecot.imap(user) as imap:
        assert imap.uid("FETCH", "1:*", "(RFC822.SIZE)")[0] == "OK"
    # Dovecot has its size, and then its file is damaged.
    [path] = (dovecot.folder / "mail" / user).rglob("u.2")
    path.write_bytes(b"1" + path.read_bytes()[1:300])
    found: list[Item] = []
    for _ in range(10):
        items, cursor, ended = step(connector.fetch(cursor), cursor)
        found += items
        if ended:
            break
    assert ids_of(found) == ["a@example.com", "c@example.com"]
    assert [item.reason for item in found if isinstance(item, Rejected)] == ["breaks_connection"]
    assert ended


def test_large_mails_come_one_by_one(dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BATCH_BYTES", 100_000)
    connector, cursor = start(dovecot, user)
    dovecot.put(user, mail(), mail("x\n" * 40_000), mail("y\n" * 40_000), mail())
    assert [len(batch.items) for batch in connector.fetch(cursor) if batch.items] == [1, 1, 1, 1]


def test_history_comes_by_its_date_and_goes_on(
    dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_BATCH_MAILS", 2)
    for days in (400, 20, 15, 12, 3):
        dovecot.put(user, mail(message_id=f"<{days}@example.com>"), age=timedelta(days=days))
    connector = email(dovecot, user)
    now = connector._rules().now
    batches = list(connector.backfill(now - timedelta(days=30), None))
    assert [ids_of(list(batch.items)) for batch in batches] == [
        ["20@example.com", "15@example.com"],
        ["12@example.com", "3@example.com"],
    ]
    cursor = json.loads(json.dumps(batches[0].cursor))
    assert ids_of(items_of(connector.backfill(now - timedelta(days=30), cursor))) == [
        "12@example.com",
        "3@example.com",
    ]


@pytest.mark.parametrize("window", [1, 2, 3, 50])
def test_however_the_numbers_are_spread_all_come_in_order(
    dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(reading, "_WINDOW", window)
    dovecot.put(user, *(mail(message_id=f"<{n}@example.com>") for n in range(1, 15)))
    with dovecot.imap(user) as imap:
        imap.uid("STORE", "2,4:9,13", "+FLAGS", r"(\Deleted)")
        imap.expunge()
    names = [f"{n}@example.com" for n in (1, 3, 10, 11, 12, 14)]
    connector = email(dovecot, user)
    items, cursor, _ = step(connector.fetch(None), None)
    assert (ids_of(items), cursor["INBOX"]["uid"]) == (names, 14)
    since = connector._rules().now - timedelta(days=2)
    assert ids_of(items_of(connector.backfill(since, None))) == names
    connector.close()
    dovecot.renumber(user)
    again, cursor, _ = step(connector.fetch(cursor), cursor)
    assert ids_of(again) == names
    dovecot.put(user, mail(message_id="<new@example.com>"))
    assert ids_of(items_of(connector.fetch(cursor))) == ["new@example.com"]


def test_wrong_settings_say_what_to_change(dovecot: Dovecot, user: str) -> None:
    with pytest.raises(BadPayload, match=r"no folder 'Inbix' to read; there are: INBOX"):
        email(dovecot, user, folders=("Inbix",)).check()
    with pytest.raises(AuthExpired) as refused:
        email(dovecot, user, password="long ago").check()
    assert "long ago" not in repr(refused.value)
    with pytest.raises(BadPayload, match="imap_host"):
        list(email().fetch(None))
    assert email(dovecot, user).check() == f"reads INBOX of {user}"


def through(proxy: Proxy, user: str, **settings: Any) -> Any:
    """A connector that speaks through that line, and does not wait long."""
    return email(proxy, user, **{"timeout_seconds": 0.5, **settings})


@pytest.mark.parametrize("fault", ["cut_after", "hang_after"])
def test_a_line_that_breaks_in_the_middle_loses_nothing(
    dovecot: Dovecot, user: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_BATCH_MAILS", 10)
    _, cursor = start(dovecot, user)
    names = [f"{n}@example.com" for n in range(60)]
    dovecot.put(user, *(mail("long " * 1_000, message_id=f"<{name}>") for name in names))
    seen: list[str] = []
    breaks = 0
    with proxy_before(dovecot.imap_port) as proxy:
        connector = through(proxy, user)
        for amount in (2_000, 70_000, 101_000):
            proxy.heal()
            setattr(proxy, fault, amount)
            items, cursor, ended = step(connector.fetch(cursor), cursor)
            breaks += not ended
            seen += ids_of(items)
        proxy.heal()
        items, cursor, ended = step(connector.fetch(cursor), cursor)
        seen += ids_of(items)
        connector.close()
    assert ended
    assert breaks == 3
    assert seen == names


def test_a_slow_line_brings_everything(dovecot: Dovecot, user: str) -> None:
    _, cursor = start(dovecot, user)
    dovecot.put(user, mail("slow " * 20_000, message_id="<slow@example.com>"))
    with proxy_before(dovecot.imap_port) as proxy:
        proxy.bytes_a_second = 100_000
        connector = through(proxy, user)
        assert ids_of(items_of(connector.fetch(cursor))) == ["slow@example.com"]
        connector.close()


def test_a_mail_that_always_breaks_the_line_stops_nothing(dovecot: Dovecot, user: str) -> None:
    _, cursor = start(dovecot, user)
    dovecot.put(
        user, mail(message_id="<a@example.com>"), mail("x\n" * 100_000), mail(message_id="<c@example.com>")
    )
    found: list[Item] = []
    with proxy_before(dovecot.imap_port) as proxy:
        connector = through(proxy, user)
        for _ in range(10):
            proxy.heal()
            proxy.cut_after = 60_000
            items, cursor, ended = step(connector.fetch(cursor), cursor)
            found += items
            if ended:
                break
        connector.close()
    assert ended
    assert ids_of(found) == ["a@example.com", "c@example.com"]
    assert [item.reason for item in found if isinstance(item, Rejected)] == ["breaks_connection"]
    assert set(cursor["INBOX"]) == {"uidvalidity", "uid", "since"}


def test_a_killed_server_comes_back_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BATCH_MAILS", 5)
    with dovecot_server() as server:
        user = server.new_user()
        connector, cursor = start(server, user)
        names = [f"{n}@example.com" for n in range(20)]
        server.put(user, *(mail(message_id=f"<{name}>") for name in names))
        batches = connector.fetch(cursor)
        first = next(batches)
        seen, cursor = ids_of(list(first.items)), first.cursor
        server.kill()
        with pytest.raises(RetryLater):
            list(batches)
        with pytest.raises(RetryLater):
            list(connector.fetch(cursor))
        server.start()
        items, _, ended = step(connector.fetch(cursor), cursor)
    assert ended
    assert seen + ids_of(items) == names
