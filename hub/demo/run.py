"""`hub demo`: one process with the brand, its live feed, and the hub."""

from __future__ import annotations

from pathlib import Path

import uvicorn

from hub.demo.service import DemoFeed, Progress, is_loaded, load_demo, sign_ins
from hub.runtime import Hub, open_hub
from hub.server import create_app
from hub.settings import Settings
from hub.worker.embedded import EmbeddedWorker


def demo_settings(settings: Settings) -> Settings:
    """The settings with the demo's own brand and, where none is named, its own database file."""
    database = settings.database_url or f"sqlite:///{(settings.home / 'demo.db').absolute()}"
    return settings.model_copy(update={"database_url": database, "brand": "Larkfell"})


def open_demo(settings: Settings, worker: EmbeddedWorker, progress: Progress, *, fresh: bool = False) -> Hub:
    """The demo's hub, loaded. Its own database file is begun anew if asked, or if its loading was interrupted."""
    chosen = demo_settings(settings)
    own_file = not settings.database_url
    if own_file and fresh:
        _remove(settings.home / "demo.db")
    hub = open_hub(chosen, nudge=worker.nudge)
    if own_file and not is_loaded(hub):
        hub.close()
        _remove(settings.home / "demo.db")
        hub = open_hub(chosen, nudge=worker.nudge)
    if not is_loaded(hub):
        load_demo(hub, progress)
    return hub


def serve_demo(hub: Hub, worker: EmbeddedWorker, host: str, port: int) -> None:
    """Serve until somebody ends it; customers go on writing meanwhile."""
    app = create_app(hub, worker)
    app.state.demo_sign_ins = sign_ins()
    feed = DemoFeed(hub)
    feed.start()
    try:
        uvicorn.run(app, host=host, port=port, log_config=None, access_log=False)
    finally:
        feed.stop()


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
