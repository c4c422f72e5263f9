"""A real browser for the pages."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.servers.unavailable import Unavailable

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC_APPS = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
)
FLAGS = (
    "--no-sandbox",  # its sandbox does not work for root; it sees our own pages only
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_browser() -> Path:
    """A Chromium or Chrome of this machine, else one that playwright has installed. Raises: Unavailable."""
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    for path in (*MAC_APPS, *_installed_by_playwright()):
        if path.exists():
            return path
    raise Unavailable("a browser: apt install chromium, or playwright install chromium")


def _installed_by_playwright() -> Iterator[Path]:
    caches = (Path.home() / ".cache/ms-playwright", Path.home() / "Library/Caches/ms-playwright")
    for cache in caches:
        yield from cache.glob("chromium-*/chrome-linux*/chrome")
        yield from cache.glob("chromium-*/chrome-mac*/*.app/Contents/MacOS/*")


@contextlib.contextmanager
def launch_browser() -> Iterator[Browser]:
    """A headless browser that goes with the block. Raises: Unavailable."""
    path = find_browser()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()
