"""`hub listen` as a process: it says that it is ready, and ends at once when it is told."""

from __future__ import annotations

import time
from pathlib import Path

from tests.servers import hub_listen


def test_it_is_ready_and_ends_when_told(postgres_url: str, redis_url: str, tmp_path: Path) -> None:
    settings = {
        "HUB_HOME": str(tmp_path),
        "HUB_DATABASE_URL": postgres_url,
        "HUB_BROKER_URL": redis_url,
        "HUB_SECRET_KEY": "a key for this test",
    }
    process = hub_listen(settings, tmp_path)
    with process:
        told_at = time.monotonic()
        assert process.terminate() == 0
        # At once by itself; the rest is for a machine with much else to do.
        assert time.monotonic() - told_at < 15
