"""`hub tags`."""

from __future__ import annotations

from hub.runtime import Hub
from tests.factories import channel, receive_one, user
from tests.hub.cli.conftest import Cli


def test_tags_are_put_found_and_taken(cli: Cli, hub: Hub) -> None:
    assert "No tags yet" in cli("tags", "list").stderr
    with hub.database.session() as session:
        known, who = str(receive_one(session, channel(session)).conversation_id), user(session).email
    done = cli.json("tags", "add", known, "VIP", "wants refund", "--as", who)
    assert done == {
        "conversation": int(known),
        "added": ["vip", "wants_refund"],
        "removed": [],
        "tags": ["vip", "wants_refund"],
    }
    assert "vip" in cli("tags", "list", "v").stdout
    assert cli.json("tags", "list", "w") == [{"name": "wants_refund", "conversations": 1}]
    assert "Ann" in cli("tags", "find", "vip").stdout
    assert [each["id"] for each in cli.json("tags", "find", "vip")] == [int(known)]
    assert "1 tag taken away" in cli("tags", "remove", known, "vip", "--as", who).stderr
    assert "nothing to change" in cli("tags", "remove", known, "vip", "--as", who).stderr
    assert "No conversation has" in cli("tags", "find", "vip").stderr
    assert "no user" in cli.problem("tags", "add", known, "vip", "--as", "nobody@brand.example")
    assert "no conversation" in cli.problem("tags", "add", "999", "vip", "--as", who)
    assert "letters, digits" in cli.problem("tags", "add", known, "a,b", "--as", who)
