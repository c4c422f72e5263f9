"""The house keeps its own rules: what is where, what is pinned, what is written down."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hub import migrations
from hub.database import Database
from hub.settings import Settings

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

TOP_LEVEL = {
    *("hub", "connectors", "sentiment", "routing", "tests", "docs", ".ci", ".docker"),
    *("pyproject.toml", "constraints.txt", "Makefile", "docker-compose.yml"),
    *("README.md", "CONTRIBUTING.md", "LICENSE"),
    *(".gitignore", ".dockerignore", ".editorconfig", ".pre-commit-config.yaml"),
}
CODE = {".py", ".html", ".css", ".js", ".mjs"}
MOST_LINES = 450


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def requirements() -> dict[str, list[Requirement]]:
    """What pyproject.toml asks for, by what for."""
    project = PROJECT["project"]
    asked = {"run": project["dependencies"], "build": PROJECT["build-system"]["requires"]}
    asked |= project["optional-dependencies"]
    return {use: [Requirement(line) for line in lines] for use, lines in asked.items()}


def test_the_top_level_holds_what_it_is_meant_to_hold() -> None:
    found = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert found <= TOP_LEVEL


def test_no_file_has_grown_into_two() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in tracked()
        if path.suffix in CODE and "versions" not in path.parts  # migrations are generated
    }
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_no_file_names_a_folder_of_somebody_s_machine() -> None:
    folder = re.compile(rb"(?<![\w.])/(home|root|work|Users)/\w")
    assert [path for path in tracked() if folder.search(path.read_bytes())] == []


def test_the_lock_of_the_browser_s_packages_names_no_host() -> None:
    """Who installs takes them from the registry that is configured there."""
    for path in tracked():
        if path.name == "package-lock.json":
            packages = json.loads(path.read_text())["packages"]
            assert [name for name, package in packages.items() if "resolved" in package] == []
            assert [name for name, package in packages.items() if name and "integrity" not in package] == []


def test_every_package_is_pinned_to_a_version_that_is_allowed() -> None:
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    versions = {canonicalize_name(name): version for name, version in pinned.items()}
    for use, asked in requirements().items():
        for requirement in asked:
            # A build has an environment of its own, and what is for another system is nowhere here.
            if use == "build" or (requirement.marker and "win32" in str(requirement.marker)):
                continue
            version = versions.get(canonicalize_name(requirement.name))
            assert version is not None, f"{requirement} is not in constraints.txt"
            assert requirement.specifier.contains(version), f"constraints.txt has {version} for {requirement}"


def test_every_package_has_its_reason() -> None:
    asked = {canonicalize_name(line.name) for lines in requirements().values() for line in lines}
    assert set(reasons()) == asked


def test_every_package_that_is_said_to_be_used_is_imported() -> None:
    distributions = packages_distributions()
    source = "\n".join(path.read_text() for path in tracked() if path.suffix == ".py")
    modules = set(re.findall(r"^\s*(?:from|import) (\w+)", source, re.MULTILINE))
    imported = {canonicalize_name(name) for module in modules for name in distributions.get(module, [])}
    asked = {canonicalize_name(line.name) for line in requirements()["run"]}
    assert {name for name in asked - imported if "not imported" not in reasons()[name]} == set()


def reasons() -> dict[str, str]:
    """Package to reason, as docs/dependencies.md has them."""
    rows = re.findall(r"^\| ([\w-]+) \| (.+) \|$", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE)
    return {canonicalize_name(name): reason for name, reason in rows if name != "package"}


def test_every_setting_is_documented() -> None:
    written = re.findall(r"^\| `HUB_(\w+)` \|", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    assert sorted(name.lower() for name in written) == sorted(Settings.model_fields)


def test_the_tables_are_what_the_models_say(empty_database_url: str) -> None:
    """Every change of a model comes with its migration (`alembic check`)."""
    database = Database(empty_database_url)
    migrations.upgrade(database)
    migrations.check(database)
    database.close()


@pytest.mark.parametrize("tool", ["ruff format --check", "ruff check", "mypy", "lint-imports"])
def test_make_check_checks_everything(tool: str) -> None:
    told = subprocess.run(["make", "-n", "check"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"/{tool}\n" in told.stdout


def test_the_hooks_before_a_commit_fetch_nothing() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert {repo["repo"] for repo in hooks["repos"]} == {"local"}
    for hook in hooks["repos"][0]["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")
