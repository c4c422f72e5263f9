"""Connecting and renewing channels by page and by API: tried before it is saved, and never a secret shown."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from connectors.base import AuthExpired, Budget, RetryLater
from hub.accounts.service import create_token
from hub.channels.fetching import fetch
from hub.channels.models import Backfill, Channel
from hub.channels.queries import list_channels
from hub.channels.service import find_channel, open_connector, renew_channel
from hub.channels.silence import listen_for_silence
from hub.channels.trying import try_out
from hub.database import EncryptedJson
from hub.errors import Invalid
from hub.runtime import Hub
from tests import factories
from tests.factories import NOW, PASSWORD
from tests.hub.channels.conftest import TOKEN
from tests.hub.channels.vendor import ScriptedConfig, Vendor, message
from tests.hub.conftest import ON_SQLITE, Clock

HTMX = {"HX-Request": "true"}
FILLED = {"name": "chirp", "config.handle": "brand", "config.token": TOKEN, "config.words": "a b\n\nc"}


@pytest.fixture
def manager(hub: Hub, app_client: TestClient) -> TestClient:
    """A manager who is signed in."""
    with hub.database.session() as session:
        email = factories.user(session, "Mo Manager", role="manager").email
    app_client.post("/sign-in", data={"email": email, "password": PASSWORD})
    return app_client


@pytest.fixture
def managing_api(hub: Hub, api: TestClient) -> TestClient:
    """A manager's program."""
    with hub.database.session() as session:
        token = create_token(session, factories.user(session, role="admin"), "test", NOW)
    api.headers["Authorization"] = f"Bearer {token}"
    return api


def channel(hub: Hub, name: str = "chirp") -> Channel:
    with hub.database.reading() as session:
        found = find_channel(session, name)
        session.expunge(found)
        return found


@ON_SQLITE
@pytest.mark.usefixtures("vendor")
def test_a_form_shows_the_settings_and_the_steps(manager: TestClient) -> None:
    assert 'href="/channels/new/scripted"' in manager.get("/channels/new").text
    # What names files of this machine is for who is there.
    refused = manager.get("/channels/new/files")
    assert (refused.status_code, "hub channels add NAME --connector files" in refused.text) == (403, True)
    assert manager.get("/channels/new/fax").status_code == 404
    text = manager.get("/channels/new/scripted").text
    assert 'type="password" id="config-token"' in text
    assert "What to search for. One a line." in text
    assert "<li>Open <b>Keys</b> in the account&#39;s settings.</li>" in text


@ON_SQLITE
def test_a_form_shows_the_address_to_push_to(hub: Hub, manager: TestClient) -> None:
    assert "/webhooks/…" in manager.get("/channels/new/zendesk").text
    assert "/webhooks/" not in manager.get("/channels/new/mastodon").text
    with hub.database.session() as session:
        factories.channel(session, "helpdesk", connector="zendesk", kind="ticket", subdomain="acme")
    assert "/webhooks/helpdesk<" in manager.get("/channels/helpdesk/settings").text


@ON_SQLITE
def test_it_is_tried_then_saved(hub: Hub, manager: TestClient, vendor: Vendor) -> None:
    tried = manager.post("/channels/new/scripted/test", data=FILLED, headers=HTMX)
    assert "It works: reads as @brand" in tried.text
    assert manager.get("/api/v1/channels").status_code == 401
    saved = manager.post("/channels/new/scripted", data=FILLED, headers=HTMX)
    assert saved.headers["hx-redirect"] == "/channels"
    made = channel(hub)
    assert (made.config, made.secrets) == ({"handle": "brand", "words": ["a b", "c"]}, {"token": TOKEN})
    assert fetch(hub) == 1
    assert TOKEN not in tried.text + manager.get("/channels").text


@ON_SQLITE
def test_what_does_not_work_is_said_beside_the_form_and_can_be_saved_all_the_same(
    hub: Hub, manager: TestClient, vendor: Vendor
) -> None:
    vendor.says = AuthExpired(f"{TOKEN} was revoked.")
    told = manager.post("/channels/new/scripted", data=FILLED, headers=HTMX)
    assert "does not take these credentials: … was revoked." in told.text
    assert TOKEN not in told.text
    with hub.database.reading() as session:
        assert session.scalars(select(Channel)).all() == []
    saved = manager.post("/channels/new/scripted", data={**FILLED, "untested": "1"}, headers=HTMX)
    assert saved.headers["hx-redirect"] == "/channels"


@ON_SQLITE
@pytest.mark.parametrize(
    ("changed", "field", "told"),
    [
        ({"config.handle": ""}, "handle", "Field required"),
        ({"config.depth": "12"}, "depth", "less than or equal to 9"),
        ({"name": "Chirp!"}, "name", "lower-case letters"),
        ({"poll_seconds": "1"}, "poll_seconds", "every 5 to 86,400 seconds"),
        ({"poll_seconds": "x"}, "poll_seconds", "A whole number"),
    ],
)
@pytest.mark.usefixtures("vendor")
def test_a_problem_stands_beside_its_field(
    manager: TestClient, changed: dict[str, str], field: str, told: str
) -> None:
    answer = manager.post("/channels/new/scripted", data={**FILLED, **changed}, headers=HTMX).text
    place = f'<p class="field-error" id="error-{field}" hx-swap-oob="true">'
    assert told in answer.partition(place)[2].partition("</p>")[0]
    assert TOKEN not in answer
    # Without scripts the whole form comes back; secrets have to be typed again.
    whole = manager.post("/channels/new/scripted", data={**FILLED, **changed}).text
    assert told in whole
    assert "<h1>Connect Scripted</h1>" in whole
    assert TOKEN not in whole


@ON_SQLITE
def test_settings_change_and_an_empty_secret_stays(
    hub: Hub, manager: TestClient, vendor: Vendor, line: Channel
) -> None:
    text = manager.get("/channels/chirp/settings").text
    assert "leave empty to keep it" in text
    assert TOKEN not in text
    data = {"config.handle": "other", "config.token": "", "config.words": "", "poll_seconds": "30"}
    assert "It works" in manager.post("/channels/chirp/settings/test", data=data, headers=HTMX).text
    manager.post("/channels/chirp/settings", data=data, headers=HTMX)
    assert (channel(hub).config["handle"], channel(hub).secrets) == ("other", {"token": TOKEN})
    assert channel(hub).poll_seconds == 30
    assert vendor.tokens[-1] == TOKEN
    manager.post("/channels/chirp/settings", data={**data, "config.token": "fresh one"}, headers=HTMX)
    assert channel(hub).secrets == {"token": "fresh one"}


@ON_SQLITE
@pytest.mark.usefixtures("line")
@pytest.mark.parametrize(
    ("connector", "field", "path"),
    [("rest", "source", "{folder}/tracker.yaml"), ("email", "ca_file", "{folder}/ca.pem")],
)
def test_whoever_is_elsewhere_names_no_file_of_this_machine(
    managing_api: TestClient, manager: TestClient, tmp_path: Path, connector: str, field: str, path: str
) -> None:
    secret = tmp_path / "tracker.yaml"
    secret.write_text("password: tr0ub4dor\n")
    named = path.format(folder=tmp_path)
    wanted = {"name": "c", "connector": connector, "config": {field: named}}
    refused = managing_api.post("channels", json=wanted)
    assert refused.status_code == 422
    assert refused.json()["problems"].keys() == {field}
    page = manager.post(f"/channels/new/{connector}/test", data={"name": "c", f"config.{field}": named})
    for text in (refused.text, page.text):
        assert "command line only" in text
        assert "password" not in refused.text
    by_name = {**wanted, "config": {field: "freshdesk"}}
    if connector == "rest":
        assert "command line" not in managing_api.post("channels", json=by_name).text


@ON_SQLITE
def test_agents_set_nothing_up(agent: TestClient, api: TestClient) -> None:
    assert "/channels/new" not in agent.get("/channels").text
    for path in ("/channels/new", "/channels/new/scripted", "/channels/chirp/settings"):
        assert agent.get(path).status_code == 403
    for path in (
        "new/scripted",
        "new/scripted/test",
        "chirp/settings",
        "chirp/settings/test",
        "chirp/backfill",
    ):
        assert agent.post(f"/channels/{path}", data={"since": "2026-01-01"}).status_code == 403
    wanted = {"name": "x", "connector": "scripted", "config": {}}
    assert api.post("channels", json=wanted).status_code == 403
    for path in ("renew", "test", "backfill", "backfill/stop"):
        assert api.post(f"channels/chirp/{path}", json={"since": "2026-01-01T00:00:00Z"}).status_code == 403


def test_programs_do_the_same(hub: Hub, managing_api: TestClient, vendor: Vendor) -> None:
    wanted = {"name": "chirp", "connector": "scripted", "config": {"handle": "brand", "token": TOKEN}}
    made = managing_api.post("channels", json=wanted)
    assert (made.status_code, made.json()["health"]) == (201, "ok")
    assert managing_api.post("channels/chirp/test").json() == {"works": True, "text": "reads as @brand"}
    renewed = managing_api.post("channels/chirp/renew", json={"config": {"token": "fresh one"}})
    assert channel(hub).secrets == {"token": "fresh one"}
    begun = managing_api.post("channels/chirp/backfill", json={"since": "2026-01-01T00:00:00Z"})
    assert (begun.status_code, begun.json()["finished_at"]) == (202, None)
    assert managing_api.post("channels/chirp/backfill/stop").json()["cancelled"] is True
    wrong = managing_api.post(
        "channels", json={**wanted, "name": "b", "config": {"token": TOKEN, "depth": TOKEN}}
    )
    assert wrong.status_code == 422
    assert set(wrong.json()["problems"]) == {"handle", "depth"}
    assert managing_api.post("channels", json={**wanted, "connector": "files"}).status_code == 422
    assert TOKEN not in made.text + renewed.text + wrong.text + managing_api.get("channels").text


def test_a_vendor_that_says_nothing_is_not_waited_for(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Event()
    monkeypatch.setattr("tests.hub.channels.vendor.ScriptedConnector.check", lambda self: str(gone.wait(20)))
    tried = try_out("scripted", ScriptedConfig(handle="a", token="b"), longest_seconds=0.05)
    gone.set()
    assert (tried.works, tried.text) == (False, "No answer within 0 seconds.")


@ON_SQLITE
def test_another_key_is_said_clearly_and_new_secrets_mend_it(
    hub: Hub, manager: TestClient, line: Channel
) -> None:
    EncryptedJson.use_key("another key")
    try:
        with hub.database.session() as session:
            (shown,) = list_channels(session, NOW)
            assert (shown.health, shown.replies) == ("failing", False)
            assert "encrypted with another HUB_SECRET_KEY" in shown.detail
            with pytest.raises(Invalid, match="another HUB_SECRET_KEY"):
                open_connector(shown.channel)
        assert "another <code>HUB_SECRET_KEY</code>" in manager.get("/channels/chirp/settings").text
        assert fetch(hub) == 1
        with hub.database.session() as session:
            with pytest.raises(Invalid, match="another HUB_SECRET_KEY"):
                renew_channel(session, find_channel(session, "chirp"), {}, NOW)
            renew_channel(session, find_channel(session, "chirp"), {"token": "fresh one"}, NOW)
        assert channel(hub).secrets == {"token": "fresh one"}
    finally:
        EncryptedJson.use_key(hub.settings.key)


def test_health_is_shown_and_measured(
    hub: Hub, manager: TestClient, api: TestClient, vendor: Vendor, line: Channel, clock: Clock
) -> None:
    vendor.budgets = (Budget("search", 450, 12, NOW + timedelta(minutes=9)),)
    vendor.post("a", sent_at=NOW - timedelta(minutes=3))
    fetch(hub)
    (shown,) = api.get("channels").json()["items"]
    assert (shown["health"], shown["lag_seconds"], shown["streaming"]) == ("ok", 180, None)
    assert (shown["budgets"][0]["remaining"], shown["fetched_at"] is None) == (12, False)
    text = manager.get("/channels").text
    assert "12 of 450" in text
    measured = api.get("http://testserver/metrics").text.splitlines()
    for line_ in (
        'hub_channel_up{channel="chirp"} 1',
        'hub_channel_lag_seconds{channel="chirp"} 180',
        'hub_channel_budget_remaining{channel="chirp",budget="search"} 12',
        f'hub_channel_last_success_timestamp_seconds{{channel="chirp"}} {int(NOW.timestamp())}',
    ):
        assert line_ in measured
    clock.advance(minutes=5)
    vendor.before = [AuthExpired("The token was revoked.")]
    fetch(hub)
    assert api.get("channels").json()["items"][0]["health"] == "sign_in"
    text = manager.get("/channels").text
    assert "Needs sign-in" in text
    assert "Renew the credentials" in text
    assert "needs somebody to sign in anew" in manager.get("/queue").text
    assert 'hub_channel_needs_sign_in{channel="chirp"} 1' in api.get("http://testserver/metrics").text


@ON_SQLITE
def test_metrics_need_a_token(app_client: TestClient) -> None:
    answer = app_client.get("/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


@ON_SQLITE
def test_a_vendor_that_says_later_once_is_no_failure(
    hub: Hub, vendor: Vendor, line: Channel, clock: Clock
) -> None:
    health = []
    for _ in range(3):
        vendor.before = [RetryLater("Busy.")]
        fetch(hub)
        clock.advance(hours=1)
        with hub.database.reading() as session:
            health.append(list_channels(session, clock.now)[0].health)
    assert health == ["ok", "ok", "failing"]


def test_a_channel_that_falls_silent_is_noticed_once_and_speaks_again(
    hub: Hub, manager: TestClient, vendor: Vendor, line: Channel, clock: Clock
) -> None:
    vendor.size = 500
    for hours in range(24 * 30):
        vendor.post(f"m{hours}", sent_at=NOW - timedelta(hours=hours), author="ann", thread_key="one")
    fetch(hub)

    def silent() -> bool:
        listen_for_silence(hub)
        return channel(hub).silent_since is not None

    assert not silent()
    clock.advance(hours=2)
    assert not silent()
    clock.advance(minutes=1)
    assert silent()
    assert "Silent for longer than usual" in manager.get("/channels").text
    assert "is silent for longer than usual" in manager.get("/queue").text
    vendor.posts = [message("here again")]
    with hub.database.session() as session:
        find_channel(session, "chirp").cursor = None
    fetch(hub)
    assert not silent()


@ON_SQLITE
def test_history_is_asked_for_and_stopped_on_the_page(hub: Hub, manager: TestClient, line: Channel) -> None:
    assert "Bring in history" in manager.get("/channels").text
    assert manager.post("/channels/chirp/backfill", data={"since": "2026-01-31"}).status_code == 303
    assert "History since" in manager.get("/channels").text
    manager.post("/channels/chirp/backfill/stop")
    assert "then stopped" in manager.get("/channels").text
    manager.post("/channels/chirp/backfill", data={"since": "yesterday"})
    assert "history begins at a day" in manager.get("/channels").text.lower()
    with hub.database.reading() as session:
        assert len(session.scalars(select(Backfill)).all()) == 1
