from __future__ import annotations

import pytest

from hub.runtime import Hub
from tests.hub.cli.conftest import Cli
from tests.hub.conftest import Clock
from tests.hub.queue.updates import owe_an_update


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_list_says_that_an_update_is_owed(cli: Cli, hub: Hub, clock: Clock) -> None:
    owe_an_update(hub, clock)
    assert "an update is owed" in cli("queue").stdout
    assert [row["waiting_since"] for row in cli.json("queue")] == [None]
