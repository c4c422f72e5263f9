from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from connectors import registry
from connectors.base import Delivery
from hub.channels.service import find_channel, open_connector
from hub.runtime import Hub
from tests.hub.channels import vendor as scripted
from tests.hub.cli.conftest import Cli
from tests.hub.conftest import ON_SQLITE

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_webhook_channel_gets_a_secret_that_is_shown_once_and_signs(cli: Cli, hub: Hub) -> None:
    made = cli.json("channels", "add", "shop", "--connector", "webhook", "--kind", "ticket")
    assert made["url"].endswith("/webhooks/shop")
    now = datetime.now(UTC)
    signature = Webhook(made["secret"]).sign("d-1", now, "{}")
    headers = {
        "webhook-id": "d-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    with hub.database.reading() as session:
        assert open_connector(find_channel(session, "shop")).verify(Delivery(headers, b"{}", now)) == "d-1"
    for words in (("channels", "list"), ("channels", "test", "shop")):
        assert made["secret"] not in cli(*words, "--json").output
        assert made["secret"] not in cli(*words).output


def test_settings_are_given_as_text_json_or_a_file(cli: Cli, hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text(f"{SECRET}\n")
    words = ("--set", "secrets=@secret.txt", "--set", f"secrets={SECRET}", "--set", "timeout_seconds=3")
    made = cli.json("channels", "add", "shop", "--connector", "webhook", *words)
    assert "secret" not in made
    assert made["config"] == {"timeout_seconds": 3.0}
    cli("channels", "add", "reviews", "--connector", "files", "--set", 'map={"text": "review"}')
    with hub.database.reading() as session:
        assert find_channel(session, "shop").secrets == {"secrets": [SECRET, SECRET]}
        assert find_channel(session, "reviews").config["map"] == {"text": "review"}


def test_a_setting_that_cannot_be_used_is_one_line_without_its_value(cli: Cli) -> None:
    words = (
        "--connector",
        "webhook",
        "--set",
        "reply_url=https://shop.example/",
        "--set",
        "reply_secret=hunter2",
    )
    told = cli.problem("channels", "add", "shop", *words)
    assert "reply_secret" in told
    assert "hunter2" not in told
    assert cli.json("channels", "list") == []


def test_a_channel_pauses_and_goes_on(cli: Cli) -> None:
    cli("channels", "add", "shop", "--connector", "webhook")
    assert cli.json("channels", "pause", "shop")["health"] == "off"
    assert "off" in cli("channels", "list").stdout
    assert cli.json("channels", "resume", "shop")["health"] == "ok"


def test_a_channel_is_tried_out_and_nothing_is_stored(cli: Cli, posts: Path) -> None:
    cli("channels", "add", "posts", "--connector", "files", "--set", f"paths={posts}")
    tried = cli.json("channels", "test", "posts")
    assert (tried["read"], tried["would_reject"], tried["received_today"]) == (5, 2, 0)
    posts.unlink()
    assert "there is no such file" in cli.problem("channels", "test", "posts")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "Shop!", "--connector", "webhook"), "channel name 'Shop!'"),
        (("add", "shop", "--connector", "fax"), "no connector 'fax'"),
        (("add", "taken", "--connector", "files"), "there is a channel 'taken' already"),
        (("test", "nowhere"), "no channel 'nowhere'"),
        (("pause", "nowhere"), "no channel 'nowhere'"),
    ],
)
def test_what_cannot_be_done_is_one_line(cli: Cli, words: tuple[str, ...], said: str) -> None:
    cli("channels", "add", "taken", "--connector", "files")
    assert said in cli.problem("channels", *words)


def test_no_channels_are_said_so(cli: Cli) -> None:
    assert "No channels yet" in cli("channels", "list").stderr


def test_credentials_are_renewed_and_asked_for_unseen(cli: Cli, hub: Hub) -> None:
    cli("channels", "add", "shop", "--connector", "webhook", "--poll-seconds", "30")
    cli("channels", "renew", "shop", "--set", "secrets=-", given=f"{SECRET}\n")
    with hub.database.reading() as session:
        assert find_channel(session, "shop").secrets == {"secrets": [SECRET]}
    cli("channels", "renew", "shop", "--set", "timeout_seconds=4")
    with hub.database.reading() as session:
        shop = find_channel(session, "shop")
        assert (shop.secrets, shop.config, shop.poll_seconds) == (
            {"secrets": [SECRET]},
            {"timeout_seconds": 4.0},
            30,
        )
    assert "timeout_seconds" in cli.problem("channels", "renew", "shop", "--set", "timeout_seconds=soon")
    cli("channels", "renew", "shop", status=2)


def test_history_is_only_brought_in_where_there_is_any(cli: Cli) -> None:
    cli("channels", "add", "shop", "--connector", "webhook")
    assert "no history" in cli.problem("channels", "backfill", "shop", "--since", "2026-01-01")
    assert "no history of shop" in cli.problem("channels", "backfill", "shop")
    assert "no history of shop" in cli.problem("channels", "backfill", "shop", "--stop")
    cli("channels", "backfill", "shop", "--stop", "--since", "2026-01-01", status=2)


@pytest.mark.parametrize(
    ("connector", "settings", "pushes"),
    [
        ("zendesk", {"subdomain": "acme"}, True),
        ("rest", {"source": "intercom", "variables": '{"admin_id": "8"}', "token": "t"}, True),
        (
            "rest",
            {"source": "freshdesk", "variables": '{"domain": "acme"}', "username": "k", "password": "X"},
            False,
        ),
        ("mastodon", {"server": "https://social.example", "access_token": "t"}, False),
    ],
)
def test_the_address_to_push_to_is_told_where_there_is_one(
    cli: Cli, connector: str, settings: dict[str, str], pushes: bool
) -> None:
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    told = cli("channels", "add", "line", "--connector", connector, *words)
    assert ("/webhooks/line" in told.stdout) == pushes
    made = cli.json("channels", "renew", "line", "--poll-seconds", "60")
    assert ("url" in made) == pushes


@ON_SQLITE
def test_a_channel_is_signed_in_to_by_a_browser(cli: Cli, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._CONNECTORS, "scripted", "tests.hub.channels.vendor:ScriptedConnector")
    monkeypatch.setattr(scripted, "VENDOR", scripted.Vendor())
    given = ("--set", "handle=brand", "--set", "token=none-yet")
    cli("channels", "add", "acme", "--connector", "scripted", *given)
    told = cli("channels", "authorize", "acme", given="http://127.0.0.1/?code=token-of-the-browser\n")
    assert "https://vendor.example/agree" in told.stdout
    assert "token-of-the-browser" not in told.output
    with hub.database.reading() as session:
        assert find_channel(session, "acme").secrets == {"token": "token-of-the-browser"}
    as_json = cli.json("channels", "authorize", "acme", given="http://127.0.0.1/?code=another\n")
    assert (as_json["name"], as_json["config"]) == ("acme", {"handle": "brand"})
    wrong = cli("channels", "authorize", "acme", given="http://127.0.0.1/?error=no\n", status=1)
    assert "begin anew" in wrong.stderr
    cli("channels", "add", "shop", "--connector", "webhook")
    assert "not signed in to by a browser" in cli.problem("channels", "authorize", "shop")
