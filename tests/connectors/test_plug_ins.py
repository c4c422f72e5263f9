"""Connectors of other packages: installed beside the hub, found by their entry point, never in its way."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from connectors import UnknownConnector, connect, connector_names, connector_type
from connectors.base import RULES
from connectors.registry import GROUP, built_in_names, plug_ins

CLASS = f"""
from connectors.base import Config, Connector


class PigeonConfig(Config):
    loft: str = "north"


class PigeonConnector(Connector):
    name = "pigeon"
    kind = "mail"
    config_type = PigeonConfig
    scorecard = {dict.fromkeys(RULES, "exempt: a bird")!r}

    def __init__(self, config: PigeonConfig) -> None:
        self.loft = config.loft
"""


class Site:
    """A folder that Python imports from, with packages in it as pip installs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, package: str, code: str, entries: str) -> None:
        (self.folder / package).mkdir()
        (self.folder / package / "__init__.py").write_text(code)
        facts = self.folder / f"{package}-1.2.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (facts / "entry_points.txt").write_text(f"[{GROUP}]\n{dedent(entries)}")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Site(tmp_path)
    for name in [each for each in sys.modules if each.endswith("pigeons")]:
        del sys.modules[name]


def errors() -> dict[str, str]:
    return {each.package: each.error for each in plug_ins()}


def test_without_other_packages_there_are_the_hub_s_own() -> None:
    assert connector_names() == built_in_names()


def test_an_installed_package_adds_its_connector(site: Site) -> None:
    site.install("pigeons", CLASS, "pigeon = pigeons:PigeonConnector")
    assert "pigeon" in connector_names()
    assert "pigeon" not in built_in_names()
    assert connector_type("pigeon").kind == "mail"
    assert vars(connect("pigeon", {"loft": "south"})) == {"loft": "south"}
    [found] = plug_ins()
    assert (found.name, found.package, found.error) == ("pigeon", "pigeons 1.2", "")


def test_the_hub_s_own_wins(site: Site) -> None:
    site.install("pigeons", CLASS.replace('"pigeon"', '"files"'), "files = pigeons:PigeonConnector")
    assert connector_type("files").__module__ == "connectors.files.connector"
    assert errors() == {"pigeons 1.2": "The hub has a connector of this name itself."}


def test_of_two_packages_the_first_by_name_wins(site: Site) -> None:
    site.install("a_pigeons", CLASS, "pigeon = a_pigeons:PigeonConnector")
    site.install("b_pigeons", CLASS, "pigeon = b_pigeons:PigeonConnector")
    assert connector_type("pigeon").__module__ == "a_pigeons"
    assert errors() == {"a_pigeons 1.2": "", "b_pigeons 1.2": "Another package has a connector of this name."}


def test_a_broken_package_leaves_its_name_to_another(site: Site) -> None:
    site.install("a_pigeons", "raise RuntimeError('no birds')", "pigeon = a_pigeons:PigeonConnector")
    site.install("b_pigeons", CLASS, "pigeon = b_pigeons:PigeonConnector")
    assert connector_type("pigeon").__module__ == "b_pigeons"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError while it was imported: "),
        ("raise SystemExit('gone')", "SystemExit while it was imported: gone"),
        ("def broken(:", "SyntaxError while it was imported: "),
        ("PigeonConnector = 7", "Its entry point leads to something that is no subclass of "),
        ("class PigeonConnector: pass", "Its entry point leads to something that is no subclass of "),
        (CLASS.replace("    scorecard", "    other"), "Its class lacks scorecard."),
        (CLASS.replace('"pigeon"', '"dove"'), "Its class calls itself 'dove'."),
        (CLASS.replace("'fetch'", "'fetsh'"), "Its scorecard does not answer the rules of "),
        ("", "AttributeError while it was imported: "),
    ],
)
def test_a_broken_package_is_listed_and_breaks_nothing(site: Site, code: str, said: str) -> None:
    site.install("pigeons", code, "pigeon = pigeons:PigeonConnector")
    assert connector_names() == built_in_names()
    [found] = plug_ins()
    assert found.type is None
    assert found.error.startswith(said)
    with pytest.raises(UnknownConnector, match=r"'pigeon' of pigeons 1\.2 cannot be used: "):
        connector_type("pigeon")
