"""`hub connectors`: what there is, whether it is as it should be, and a new one that can be finished."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import connectors
from connectors import connector_names
from connectors.base import RULES
from connectors.registry import GROUP, built_in_names
from connectors.scorecard import BEGIN, END, updated
from tests.hub.cli.conftest import Cli

FOLDER = Path(connectors.__path__[0])

CLIENT = '''
from __future__ import annotations

import hashlib
import json
from pathlib import Path

from connectors.base import RetryLater


class Loft:
    """A folder: letters lie in `in`, answers go to `out`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def letters(self, since: str) -> list[tuple[str, bytes]]:
        found = sorted((self.folder / "in").glob("*"))
        return [(path.name, path.read_bytes()) for path in found if path.name >= since]

    def answers(self) -> dict[str, str]:
        found = map(Path.read_text, (self.folder / "out").glob("*"))
        return {each["key"]: each["id"] for each in map(json.loads, found)}

    def leave(self, key: str, text: str) -> str:
        name = hashlib.sha256(key.encode()).hexdigest()
        try:
            (self.folder / "out").mkdir(parents=True, exist_ok=True)
            (self.folder / "out" / name).write_text(json.dumps({"key": key, "id": name, "text": text}))
        except OSError as error:
            raise RetryLater(f"No loft: {error.strerror}.") from error
        return name
'''

PARSE = """
from __future__ import annotations

import json
from datetime import datetime

from connectors.base import Author, InboundMessage, Rejected
from connectors.fields import BadRecord, body, content_id, identity


def message(raw: bytes, where: str, now: datetime) -> InboundMessage | Rejected:
    try:
        try:
            record = json.loads(raw)
        except (ValueError, RecursionError):
            raise BadRecord("bad_json", "The letter is not JSON.") from None
        if not isinstance(record, dict) or not isinstance(record.get("text"), str):
            raise BadRecord("missing_text", "The letter has no text.")
        if not isinstance(record.get("from"), str) or not record["from"].strip():
            raise BadRecord("missing_author", "The letter does not say who wrote it.")
        author = Author((identity(record["from"], "birds"),))
        return InboundMessage(content_id(raw), body(record["text"], 10_000), author)
    except BadRecord as bad:
        return Rejected(raw or b" ", bad.reason, bad.detail, where)
"""

CONTRACT = """
from __future__ import annotations

import shutil
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from connectors import connect
from connectors.testing import ConnectorContract, Vendor

from PACKAGE.client import Loft

_lofts = count()


class TestPigeonContract(ConnectorContract):
    name = "pigeon"
    config = {"loft": "/tmp/loft"}

    def loft(self, folder):
        loft = folder / f"loft-{next(_lofts)}"
        (loft / "in").mkdir(parents=True)
        return loft

    def items(self, loft):
        return [item for batch in connect("pigeon", {"loft": str(loft)}).fetch(None) for item in batch.items]

    def read(self, events, folder):
        loft = self.loft(folder)
        for event in events:
            shutil.copy(event, loft / "in")
        return self.items(loft)

    def read_bytes(self, raw, folder):
        loft = self.loft(folder)
        (loft / "in" / "letter").write_bytes(raw)
        return self.items(loft)

    def pulled(self, folder):
        loft = self.loft(folder)
        for number in range(5):
            (loft / "in" / f"{number}").write_text('{"from": "mara", "text": "words %d"}' % number)
        return connect("pigeon", {"loft": str(loft)})

    @contextmanager
    def vendor(self, folder):
        loft = self.loft(folder)
        yield Vendor(connect("pigeon", {"loft": str(loft)}), lambda: list(Loft(loft).answers()))

    def absent_vendor(self, folder):
        (folder / "file").write_text("in the way of a folder")
        return connect("pigeon", {"loft": str(folder / "file")})
"""


def connector_code(package: str) -> str:
    """The laid out connector, filled in: its folder for a URL, and its methods."""
    scorecard = dict.fromkeys(RULES, "todo: not yet")
    scorecard |= dict.fromkeys(("fetch", "send", "idempotent"), "done")
    return f"""
from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from connectors.base import Batch, Config, Connector, OutboundMessage, Refused, Sent
from {package}.client import Loft
from {package}.parse import message


class PigeonConfig(Config):
    loft: str | None = None


class PigeonConnector(Connector):
    name = "pigeon"
    kind = "mail"
    config_type = PigeonConfig
    scorecard = {scorecard!r}

    def __init__(self, config: PigeonConfig) -> None:
        self.loft = Loft(Path(config.loft)) if config.loft else None

    def fetch(self, cursor) -> Iterator[Batch]:
        for name, raw in self.loft.letters(cursor["name"] if cursor else ""):
            yield Batch((message(raw, name, datetime.now(UTC)),), {{"name": name}})

    def send(self, outbound: OutboundMessage) -> Sent:
        if self.loft is None:
            raise Refused("There is no loft.")
        return Sent(self.loft.leave(outbound.idempotency_key, outbound.text))

    def find_sent(self, outbound: OutboundMessage) -> Sent | None:
        found = self.loft.answers().get(outbound.idempotency_key)
        return Sent(found) if found else None
"""


def fill_in(folder: Path, tests: Path, package: str) -> None:
    """Do the work that was laid out."""
    (folder / "client.py").write_text(CLIENT)
    (folder / "parse.py").write_text(PARSE)
    (folder / "connector.py").write_text(connector_code(package))
    (folder / "README.md").write_text("# pigeon\n\n- `loft`: the folder.\n")
    (tests / "test_contract.py").write_text(CONTRACT.replace("PACKAGE", package))
    (tests / "fixtures" / "letter.json").write_text('{"from": "mara", "text": "Where is it?"}')
    (tests / "fixtures" / "rejected_missing_author.json").write_text('{"text": "Where is it?"}')
    (tests / "fixtures" / "rejected_bad_json.json").write_text("{")


def run_tests(root: Path) -> tuple[int, str]:
    """Its tests in a process of their own, which finds what lies in `root` first."""
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line", "-rf", "tests"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    return told.returncode, told.stdout + told.stderr


@pytest.fixture
def working_copy(alone: Cli, tmp_path: Path) -> Path:
    """The connectors as they are in a working copy of the hub, and this the current folder."""
    shutil.copytree(FOLDER, tmp_path / "connectors", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\naddopts = "--import-mode=importlib"\n'
    )
    return tmp_path


def test_a_new_connector_fails_until_it_is_written_and_then_passes(alone: Cli, working_copy: Path) -> None:
    told = alone("connectors", "new", "pigeon", "--kind", "mail")
    assert "connectors/pigeon/connector.py" in told.stdout.splitlines()
    assert "python -m pytest tests/connectors/pigeon" in told.stderr
    status, output = run_tests(working_copy)
    assert status == 1
    assert "name it in connectors/registry.py" in output
    assert "put real events into" in output
    assert "vendor: a stand-in that takes replies" in output

    fill_in(working_copy / "connectors/pigeon", working_copy / "tests/connectors/pigeon", "connectors.pigeon")
    registry = working_copy / "connectors" / "registry.py"
    entry = '    "pigeon": "connectors.pigeon.connector:PigeonConnector",\n    "webhook"'
    registry.write_text(registry.read_text().replace('    "webhook"', entry, 1))
    status, output = run_tests(working_copy)
    assert status == 0, output


def test_a_package_of_its_own_is_held_to_the_same_and_found(alone: Cli, tmp_path: Path) -> None:
    root = tmp_path / "pigeons"
    files = alone.json("connectors", "new", "pigeon", "--into", root)["files"]
    assert str(root / "pyproject.toml") in files
    project = (root / "pyproject.toml").read_text()
    [entry] = re.findall(rf'\[project\.entry-points\."{re.escape(GROUP)}"\]\n(.+)\n', project)
    assert entry == 'pigeon = "cem_hub_pigeon.connector:PigeonConnector"'
    # What `pip install -e .` would leave behind.
    facts = root / "cem_hub_pigeon-0.1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: cem-hub-pigeon\nVersion: 0.1.0\n")
    (facts / "entry_points.txt").write_text(f"[{GROUP}]\n" + entry.replace('"', "") + "\n")
    fill_in(root / "cem_hub_pigeon", root / "tests", "cem_hub_pigeon")
    status, output = run_tests(root)
    assert status == 0, output


def test_what_is_laid_out_is_good_python(alone: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "birds"
    alone("connectors", "new", "carrier_pigeon", "--kind", "social", "--into", root)
    told = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--isolated",
            "--select",
            "E,F",
            "--line-length",
            "110",
            root,
        ],
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stdout
    code = (
        "from cem_hub_carrier_pigeon.connector import CarrierPigeonConnector as C;"
        "print(C.kind, *C.scorecard, repr(C.config_type(url='https://x', token='t')))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    assert printed.split()[:-3] == ["social", *RULES]


@pytest.mark.parametrize("name", ["Pigeon", "1st", "a", "pi-geon", "x" * 32, "class", "", "../up"])
def test_a_bad_name_is_refused(alone: Cli, tmp_path: Path, name: str) -> None:
    assert "cannot be a connector's name" in alone.problem(
        "connectors", "new", name, "--into", tmp_path / "at"
    )
    assert not (tmp_path / "at").exists()


def test_what_is_taken_or_in_the_way_is_refused(alone: Cli, working_copy: Path) -> None:
    assert "a connector named 'files' already" in alone.problem("connectors", "new", "files")
    assert "all connectors share" in alone.problem("connectors", "new", "base")
    alone("connectors", "new", "pigeon")
    assert "is there already" in alone.problem("connectors", "new", "pigeon")


def test_a_working_copy_is_asked_for(alone: Cli) -> None:
    assert "--into DIR" in alone.problem("connectors", "new", "pigeon")


def test_the_list_has_every_connector(alone: Cli) -> None:
    found = {each["name"]: each for each in alone.json("connectors", "list")}
    assert set(connector_names()) <= set(found)
    assert found["files"]["package"] == "cem-hub"
    assert set(found["files"]["scorecard"]) == set(RULES)
    assert "webhook" in alone("connectors", "list").stdout


def test_a_broken_package_is_in_the_list(alone: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = tmp_path / "site" / "broken-3.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 3.0\n")
    (facts / "entry_points.txt").write_text(f"[{GROUP}]\ndove = nowhere_at_all:Dove\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    [found] = [each for each in alone.json("connectors", "list") if each["name"] == "dove"]
    assert found["package"] == "broken 3.0"
    assert found["error"].startswith("ModuleNotFoundError")
    assert "nowhere_at_all" in alone("connectors", "list").stdout
    checked = alone.json("connectors", "check", status=1)
    assert "dove" in [each["what"] for each in checked["problems"]]
    assert "broken 3.0 cannot be used" in alone.problem("connectors", "check", "dove")


def test_every_connector_of_the_hub_is_fine(alone: Cli) -> None:
    assert alone.json("connectors", "check") == {"valid": True, "problems": []}
    assert "Every connector is fine." in alone("connectors", "check").stderr


def test_a_description_is_checked_by_line(alone: Cli, tmp_path: Path) -> None:
    good = FOLDER / "rest" / "examples" / "homemade.yaml"
    assert "is fine." in alone("connectors", "check", good).stderr
    bad = tmp_path / "bad.yaml"
    bad.write_text(good.read_text().replace("written_at", "[").replace("tickets:", "tikets:", 1))
    assert f"{bad}:" in alone("connectors", "check", bad, status=1).stderr
    assert alone.json("connectors", "check", bad, status=1)["problems"][0]["line"] > 0


def test_the_readme_s_table_is_what_the_classes_say() -> None:
    """Where it is not: hub connectors list --markdown --update connectors/README.md"""
    text = (FOLDER / "README.md").read_text()
    assert updated(text, [connectors.connector_type(name) for name in built_in_names()]) == text


def test_the_table_is_made_anew_in_its_place(alone: Cli, tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(f"before\n{BEGIN}\nan old table\n{END}\nafter\n")
    alone("connectors", "list", "--markdown", "--update", file)
    table = alone("connectors", "list", "--markdown").stdout.strip()
    assert file.read_text() == f"before\n{BEGIN}\n\n{table}\n\n{END}\nafter\n"
    assert "| **fetch**: " in table
    file.write_text("no marks")
    assert BEGIN in alone.problem("connectors", "list", "--markdown", "--update", file)
    for words in (("--update", file), ("--markdown", "--json")):
        alone("connectors", "list", *words, status=2)
