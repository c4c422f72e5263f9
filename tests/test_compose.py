"""docker-compose.yml and the Dockerfile, as far as can be told without an engine.

That the same commands and settings work as processes is shown by the tests that start them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from hub.cli import app
from hub.settings import Settings

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
DOCKERFILE = (ROOT / ".docker/Dockerfile").read_text()


def test_it_keeps_to_the_compose_specification() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    command = [checker, "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_it_has_all_parts_and_each_is_watched() -> None:
    assert set(SERVICES) == {"web", "worker", "beat", "listen", "postgres", "redis"}
    assert [name for name, service in SERVICES.items() if "test" not in service["healthcheck"]] == []


@pytest.mark.parametrize("name", OURS)
def test_its_commands_are_the_hub_s(name: str) -> None:
    program, *words = SERVICES[name]["command"]
    assert program == "hub"
    # --help comes last: what stands before it is parsed, and nothing is started.
    parsed = CliRunner().invoke(app, [*words, "--help"])
    assert parsed.exit_code == 0, parsed.output


@pytest.mark.parametrize("name", OURS)
def test_its_settings_are_the_hub_s(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for variable, value in SERVICES[name]["environment"].items():
        assert variable.removeprefix("HUB_").lower() in Settings.model_fields
        monkeypatch.setenv(variable, interpolate(value))
    settings = Settings()
    assert settings.resolved_database_url == "postgresql+psycopg://hub:given@postgres:5432/hub"
    assert settings.broker_url == "redis://redis:6379/0"
    assert settings.key == "given"


def interpolate(value: str) -> str:
    """Fill `${NAME:?message}` with a word and `${NAME:-default}` with its default, as compose does."""
    return re.sub(r"\$\{\w+:(?:\?[^}]*|-([^}]*))\}", lambda found: found[1] or "given", value)


def test_what_others_wait_for_is_there() -> None:
    for service in SERVICES.values():
        for needed, condition in service.get("depends_on", {}).items():
            assert needed in SERVICES
            assert condition == {"condition": "service_healthy"}
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"]


def test_the_image_copies_what_is_there() -> None:
    copied = [
        word
        for line in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for word in line.split()
    ]
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == sent
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_image_runs_the_hub_unprivileged() -> None:
    assert re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE) == ["hub"]
    assert "/healthz" in DOCKERFILE
