"""A small storm; `python -m tests.hub.assignment.storm` raises a large one."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.runtime import Hub
from hub.settings import Settings
from tests.hub.assignment import storm
from tests.hub.assignment.storm import Storm


def test_a_small_storm_breaks_nothing(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storm, "ROUND_SECONDS", 0.5)
    hub = Hub(Settings(home=tmp_path, database_url=postgres_url, secret_key="test key"))
    count = Storm(hub, workers=4, conversations=60, agents=12).run()
    hub.close()
    assert count.broken == []
    assert count.answered >= 60
    assert min(count.handed_out, count.asked, count.accepted, count.snapshots) > 0
