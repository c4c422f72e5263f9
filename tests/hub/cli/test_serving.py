"""The processes that stay, as processes."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx2
import pytest

from tests.hub.cli.conftest import Cli
from tests.servers import hub_web, hub_worker


def test_a_taken_port_is_said_before_anything_starts(alone: Cli, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for command in ("serve", "demo"):
            said = alone.problem(command, "--port", port)
            assert f"cannot listen on 127.0.0.1:{port}" in said
    assert not (tmp_path / "var").exists()


def test_an_address_nobody_has_is_a_wrong_command(alone: Cli) -> None:
    assert "--host" in alone("serve", "--host", "no such host", status=2).stderr


def test_the_web_process_serves_until_it_is_ended(sqlite_url: str, tmp_path: Path) -> None:
    settings = {"HUB_DATABASE_URL": sqlite_url, "HUB_HOME": str(tmp_path)}
    with hub_web(settings, tmp_path) as web:
        assert httpx2.get(f"{web.url}/readyz").json() == {"status": "ok"}
        assert f"cem-hub on {web.url}" in web.output()
        web.terminate()
    assert "Traceback" not in web.output()


def test_a_worker_without_a_broker_says_what_to_do(alone: Cli) -> None:
    assert "HUB_BROKER_URL is not set" in alone.problem("worker")


@pytest.mark.parametrize("options", [(), ("--beat",)])
def test_worker_and_beat_get_ready_and_end_in_peace(
    sqlite_url: str, redis_url: str, tmp_path: Path, options: tuple[str, ...]
) -> None:
    settings = {"HUB_DATABASE_URL": sqlite_url, "HUB_HOME": str(tmp_path), "HUB_BROKER_URL": redis_url}
    with hub_worker(settings, tmp_path, *options) as worker:
        assert worker.terminate() == 0
    assert "Traceback" not in worker.output()
