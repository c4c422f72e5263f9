"""Lays out a new connector: its folder, its tests, and what is still to be done in each."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from pathlib import Path
from string import Template

from connectors.base import RULES, ChannelKind
from connectors.registry import connector_names, plug_ins

_NAME = re.compile(r"[a-z][a-z0-9_]{1,30}")
_MODULES = ("__init__.py", "client.py", "parse.py", "connector.py", "README.md")


class CannotLayOut(ValueError):
    """The name cannot be used, or something is in the way; the text says what."""


def in_working_copy(name: str, kind: ChannelKind, root: Path) -> tuple[Path, ...]:
    """A connector of the hub itself: `connectors/NAME` and `tests/connectors/NAME`. Raises: CannotLayOut."""
    if not (root / "connectors" / "registry.py").is_file():
        raise CannotLayOut(
            "this is no working copy of the hub: go to the root of one, or lay out a package of its own"
            " with --into DIR"
        )
    _check_name(name)
    if (root / "connectors" / f"{name}.py").exists():
        raise CannotLayOut(f"{name!r} is the name of something that all connectors share")
    folder, tests = root / "connectors" / name, root / "tests" / "connectors" / name
    plan = {folder / each: each for each in _MODULES}
    plan |= {tests / "test_contract.py": "test_contract.py", tests / "fixtures" / ".gitkeep": ""}
    return _write(plan, name, kind, f"connectors.{name}")


def as_package(name: str, kind: ChannelKind, root: Path) -> tuple[Path, ...]:
    """A package of its own under `root`, which plugs in by its entry point. Raises: CannotLayOut."""
    _check_name(name)
    package = f"cem_hub_{name}"
    plan = {root / package / each: each for each in _MODULES}
    plan |= {
        root / "pyproject.toml": "pyproject.toml",
        root / "tests" / "conftest.py": "conftest.py",
        root / "tests" / "test_contract.py": "test_contract.py",
        root / "tests" / "fixtures" / ".gitkeep": "",
    }
    return _write(plan, name, kind, package)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise CannotLayOut(
            f"{name!r} cannot be a connector's name: 2 to 31 lower-case letters, digits and _, a letter"
            " first, and no word of Python's own"
        )
    if name in connector_names() or any(each.name == name for each in plug_ins()):
        raise CannotLayOut(f"there is a connector named {name!r} already")


def _write(plan: dict[Path, str], name: str, kind: ChannelKind, package: str) -> tuple[Path, ...]:
    for path in plan:
        if path.exists():
            raise CannotLayOut(f"{path} is there already")
    title = "".join(word.capitalize() for word in name.split("_"))
    todo = "".join(f'        "{rule}": "todo: {what}",\n' for rule, what in RULES.items()).lstrip()
    words = {"name": name, "title": title, "kind": kind, "package": package, "scorecard": todo.rstrip()}
    for path, template in plan.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_template(template).substitute(words) if template else "", encoding="utf-8")
    return tuple(plan)


def _template(name: str) -> Template:
    # Not called .py: they are no modules before their names are filled in.
    return Template(files(__name__).joinpath("templates", f"{name}.template").read_text(encoding="utf-8"))
