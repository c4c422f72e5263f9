"""A real browser for the pages."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.unavailable import Unavailable

if TYPE_CHECKING:
    from playwright.sync_api import Browser

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


def find_browser() -> Path | None:
    """A Chromium or Chrome of this machine."""
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    return next((app for app in MAC_APPS if app.exists()), None)


@contextlib.contextmanager
def launch_browser() -> Iterator[Browser]:
    """A headless browser that goes with the block. Raises: Unavailable."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise Unavailable("playwright: pip install -e '.[dev]'") from error
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        path = find_browser() or (own if own.exists() else None)
        if path is None:
            raise Unavailable("a browser: install one (apt install chromium, or playwright install chromium)")
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()
