"""Files that a vendor named by their addresses: kept, tried again as the vendor wants, and given up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from connectors.base import Attachment, AuthExpired, Batch, Refused, RetryLater
from hub.channels import media
from hub.channels.media import fetch_media
from hub.channels.models import Channel
from hub.channels.service import set_paused
from hub.channels.storing import store
from hub.conversations.models import Attachment as Row
from hub.conversations.models import Conversation
from hub.inbox.analyse import analyse
from hub.runtime import Hub
from tests.factories import NOW
from tests.hub.channels.conftest import scripted_channel
from tests.hub.channels.vendor import Vendor, message
from tests.hub.conftest import ON_SQLITE, Clock

pytestmark = pytest.mark.usefixtures("clock")
PNG = b"\x89PNG of a crushed box"


def picture(name: str, **fields: Any) -> Attachment:
    told = {"url": f"https://media.example/{name}.png", "description": "A crushed box", "fetchable": True}
    return Attachment(f"{name}.png", "image/*", 0, **{**told, **fields})


def bring(hub: Hub, channel: Channel, *names: str, history: bool = False, **fields: Any) -> None:
    """A post with each of these pictures, from its vendor."""
    posts = [message(name, attachments=(picture(name),), **fields) for name in names]
    with hub.database.session() as session:
        store(session, channel.id, Batch(tuple(posts)), NOW, history=history)


def files(hub: Hub) -> dict[str, Row]:
    with hub.database.reading() as session:
        found = session.scalars(select(Row).order_by(Row.id)).all()
        session.expunge_all()
        return {row.name.removesuffix(".png"): row for row in found}


@ON_SQLITE
def test_a_file_is_fetched_and_kept_beside_the_database(
    hub: Hub, line: Channel, vendor: Vendor, api: TestClient, agent: TestClient
) -> None:
    bring(hub, line, "box")
    [before] = files(hub).values()
    assert (before.sha256, before.fetch_at) == (None, NOW)
    page = agent.get("/conversations/1").text
    assert "being fetched" in page
    assert "https://media.example/box.png" in page
    vendor.files["https://media.example/box.png"] = PNG
    assert fetch_media(hub) == 1
    assert vendor.downloads == [("https://media.example/box.png", hub.settings.attachment_max_bytes)]
    [kept] = files(hub).values()
    assert kept.sha256 is not None
    assert hub.files.read(kept.sha256) == PNG
    assert (kept.content_type, kept.size_bytes, kept.fetch_at) == ("image/png", len(PNG), None)
    assert fetch_media(hub) == 0
    page = agent.get("/conversations/1").text
    assert f'<img src="/attachments/{kept.id}?inline=1" alt="A crushed box"' in page
    assert page.count("A crushed box") == 2, "told to who sees it too"
    assert agent.get(f"/attachments/{kept.id}?inline=1").content == PNG
    assert api.post(f"attachments/{kept.id}/fetch").status_code == 409


@ON_SQLITE
def test_what_no_connector_can_fetch_stays_an_address(hub: Hub, line: Channel, vendor: Vendor) -> None:
    with hub.database.session() as session:
        told = (picture("box", fetchable=False), picture("bad", url="javascript:1"))
        store(session, line.id, Batch((message("post", attachments=told),)), NOW)
    assert [row.fetch_at for row in files(hub).values()] == [None, None]
    assert fetch_media(hub) == 0


@ON_SQLITE
def test_a_failure_is_shown_and_tried_again_later(
    hub: Hub, line: Channel, vendor: Vendor, clock: Clock, agent: TestClient
) -> None:
    bring(hub, line, "box", "lid")
    vendor.files = {
        "https://media.example/box.png": RetryLater("media.example answered HTTP 503."),
        "https://media.example/lid.png": PNG,
    }
    assert fetch_media(hub) == 2, "one that fails holds up no other"
    box, lid = files(hub).values()
    assert lid.sha256 is not None
    assert box.fetch_error == "media.example answered HTTP 503."
    assert box.fetch_at is not None
    assert NOW < box.fetch_at <= NOW + timedelta(seconds=5)
    assert "media.example answered HTTP 503." in agent.get("/conversations/1").text
    assert fetch_media(hub) == 0
    vendor.files["https://media.example/box.png"] = PNG
    clock.advance(seconds=5)
    assert fetch_media(hub) == 1
    assert files(hub)["box"].fetch_error is None


@ON_SQLITE
def test_what_will_never_be_had_is_given_up_and_a_person_may_ask_again(
    hub: Hub, line: Channel, vendor: Vendor, api: TestClient, agent: TestClient
) -> None:
    bring(hub, line, "box")
    vendor.files["https://media.example/box.png"] = Refused("The file is no longer there.", status=404)
    fetch_media(hub)
    [row] = files(hub).values()
    assert (row.fetch_at, row.fetch_error) == (None, "The file is no longer there.")
    page = agent.get("/conversations/1").text
    assert "The file is no longer there." in page
    assert "Fetch again" in page
    assert agent.post(f"/attachments/{row.id}/fetch").headers["location"] == "/conversations/1"
    assert files(hub)["box"].fetch_at == NOW
    fetch_media(hub)
    vendor.files["https://media.example/box.png"] = PNG
    told = api.post(f"attachments/{row.id}/fetch").json()
    assert (told["fetchable"], told["kept"], told["fetch_error"]) == (True, False, None)
    assert fetch_media(hub) == 1
    assert files(hub)["box"].sha256 is not None
    assert api.post("attachments/999/fetch").status_code == 404


@ON_SQLITE
def test_after_many_tries_it_is_given_up(
    hub: Hub, line: Channel, vendor: Vendor, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "TRIES", 3)
    bring(hub, line, "box")
    vendor.files["https://media.example/box.png"] = RetryLater("Not now.")
    for _ in range(3):
        assert fetch_media(hub) == 1
        clock.advance(hours=2)
    assert fetch_media(hub) == 0
    [row] = files(hub).values()
    assert (row.fetch_at, row.fetch_tries, row.fetch_error) == (None, 3, "Not now.")


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (RetryLater("Slowly.", after_seconds=600, status=429), 600),
        (AuthExpired("Sign in."), media.SIGN_IN_SECONDS),
    ],
)
def test_a_vendor_who_wants_to_be_left_alone_is(
    hub: Hub, line: Channel, vendor: Vendor, clock: Clock, error: Exception, seconds: float
) -> None:
    bring(hub, line, *"abcdefg")
    with hub.database.session() as session:
        other = scripted_channel(session, "other")
    bring(hub, other, "z")
    vendor.files = {f"https://media.example/{name}.png": error for name in "abcdefg"}
    vendor.files["https://media.example/z.png"] = PNG
    while fetch_media(hub):
        pass
    assert len(vendor.downloads) == 2, "one try of the channel, and the other channel's"
    waiting = [row for row in files(hub).values() if row.sha256 is None]
    assert {row.fetch_at for row in waiting} == {NOW + timedelta(seconds=seconds)}
    assert sorted(row.fetch_tries for row in waiting) == [0] * 6 + [1]


def test_what_was_only_overheard_is_fetched_when_somebody_cares(
    hub: Hub, line: Channel, vendor: Vendor, agent: TestClient
) -> None:
    bring(hub, line, "box", addressed=False)
    assert fetch_media(hub) == 0
    assert "Fetch it" in agent.get("/conversations/1").text
    vendor.files["https://media.example/box.png"] = PNG
    assert agent.post("/conversations/1/take").status_code == 303
    assert fetch_media(hub) == 1
    assert files(hub)["box"].sha256 is not None


@ON_SQLITE
def test_a_rule_that_makes_a_conversation_of_it_has_its_files_fetched(
    hub: Hub, line: Channel, vendor: Vendor
) -> None:
    """And so does what its author then says to us."""
    with hub.database.session() as session:
        for name in ("asked", "told"):
            post = message(
                name, attachments=(picture(name),), addressed=False, author="mara", thread_key=name
            )
            store(session, line.id, Batch((post,)), NOW)
        store(session, line.id, Batch((message("@brand?", author="mara", thread_key="told"),)), NOW)
    assert {name: row.fetch_at for name, row in files(hub).items()} == {"asked": None, "told": NOW}
    analyse(hub)
    with hub.database.reading() as session:
        became = [each.listening for each in session.scalars(select(Conversation).order_by(Conversation.id))]
    assert became[1] is False
    assert (files(hub)["asked"].fetch_at is None) == became[0], "as the policy's rules say"


@ON_SQLITE
def test_history_comes_after_what_is_said_now(hub: Hub, line: Channel, vendor: Vendor) -> None:
    long_ago = NOW - timedelta(days=90)
    bring(hub, line, *"abc", history=True, sent_at=long_ago)
    bring(hub, line, "now")
    vendor.files = {f"https://media.example/{name}.png": PNG for name in ("a", "b", "c", "now")}
    fetch_media(hub)
    assert vendor.downloads[0][0] == "https://media.example/now.png"


@ON_SQLITE
def test_a_paused_channel_fetches_nothing(hub: Hub, line: Channel, vendor: Vendor) -> None:
    bring(hub, line, "box")
    with hub.database.session() as session:
        set_paused(session, session.get_one(Channel, line.id), True, NOW)
    assert fetch_media(hub) == 0


@ON_SQLITE
def test_whoever_dies_is_followed_by_another(hub: Hub, line: Channel, vendor: Vendor, clock: Clock) -> None:
    bring(hub, line, "box")
    vendor.files["https://media.example/box.png"] = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch_media(hub)
    assert fetch_media(hub) == 0, "somebody may be at it"
    vendor.files["https://media.example/box.png"] = PNG
    clock.advance(seconds=media.LEASE_SECONDS)
    assert fetch_media(hub) == 1


@ON_SQLITE
def test_a_message_that_is_deleted_meanwhile_keeps_no_file(hub: Hub, line: Channel, vendor: Vendor) -> None:
    bring(hub, line, "box")

    def gone() -> None:
        with hub.database.session() as session:
            session.delete(session.scalars(select(Row)).one())

    vendor.files["https://media.example/box.png"] = gone
    assert fetch_media(hub) == 1
    assert files(hub) == {}
