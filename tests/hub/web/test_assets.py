"""The sources of the browser's files: what content security, the build and the icons ask of them."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from hub.web.render import STATIC, asset, environment, load_manifest

WEB = STATIC.parent
ASSETS = WEB / "assets"
TEMPLATES = sorted(path.name for path in (WEB / "templates").glob("*.html"))


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_compiles_and_holds_no_inline_script_or_style(name: str) -> None:
    environment().get_template(name)
    source = (WEB / "templates" / name).read_text()
    markup = re.sub(r"\{#.*?#\}|\{%.*?%\}", "", source, flags=re.S)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|\shx-on", markup)
    for script in re.findall(r"<script\b[^>]*>", markup):
        assert " src=" in script or 'type="application/json"' in script


def test_every_icon_of_the_sprite_is_used_and_every_used_one_is_in_it() -> None:
    icons = set(json.loads((ASSETS / "icons.json").read_text()))
    sources = "".join(path.read_text() for path in [*WEB.glob("templates/*"), *ASSETS.glob("js/*.js")])
    assert {name for name in icons if f'"{name}"' not in sources} == set()
    assert set(re.findall(r'\bicon\("([a-z0-9-]+)"', sources)) <= icons


def test_the_lock_file_names_no_host() -> None:
    lock = json.loads((ASSETS / "package-lock.json").read_text())
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert all("resolved" not in package for package in packages.values())
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())


def test_what_pages_ask_for_was_built() -> None:
    assert set(load_manifest()) == {"app.css", "app.js", "charts.js", "icons.svg", "mail.css"}
    for name in load_manifest():
        assert (STATIC / asset(name).removeprefix("/static/")).stat().st_size > 100


def test_the_built_styles_and_scripts_ask_nobody_else() -> None:
    for path in (STATIC / "built").glob("*.css"):
        assert "//" not in path.read_text()
    for path in (STATIC / "built").glob("*.js"):
        hosts = set(re.findall(r"https?://([a-z0-9.-]+)", path.read_text()))
        assert hosts <= {"www.w3.org", "www.chartjs.org", "github.com"}  # namespaces and credits


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    pytest.importorskip("hatchling", reason="the build hook runs where packages are built")
    spec = importlib.util.spec_from_file_location("hatch_build", ASSETS / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_build_is_due_again_when_a_source_changes_and_only_then(hook: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "css").mkdir()
    (tmp_path / "css" / "a.css").write_text("a{}")
    before = hook.hash_sources(tmp_path)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "new.js").write_text("1")
    assert hook.hash_sources(tmp_path) == before
    (tmp_path / "css" / "a.css").rename(tmp_path / "css" / "b.css")
    renamed = hook.hash_sources(tmp_path)
    (tmp_path / "css" / "b.css").write_text("b{}")
    assert len({before, renamed, hook.hash_sources(tmp_path)}) == 3
