"""A hub that people can open in a browser: what `hub serve` runs, in threads of this process."""

from __future__ import annotations

from contextlib import AbstractContextManager
from threading import Thread

import uvicorn
from sqlalchemy.orm import Session

from hub.cli.serving import listen
from hub.clock import utcnow
from hub.policies.service import activate
from hub.runtime import Hub
from hub.server import create_app
from hub.settings import Settings
from hub.worker.embedded import EmbeddedWorker
from routing.policy import DEFAULT_POLICY
from tests.factories import WordScorer
from tests.servers import wait_until


class ServedHub:
    """Pages, live stream and background work over one database, with a model that knows three words.

    After `stop` it can be started again, on the same port.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Begin to serve."""
        worker = EmbeddedWorker()
        self._hub = Hub(self._settings, nudge=worker.nudge)
        self._hub._scorer = WordScorer()
        with self.session() as session:
            activate(session, DEFAULT_POLICY, utcnow())
        listening = listen("127.0.0.1", self._port)
        self._port = listening.getsockname()[1]
        # Open streams are cut at once: nobody waits for them.
        config = uvicorn.Config(create_app(self._hub, worker), log_config=None, timeout_graceful_shutdown=0)
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, what="the server's start")

    def stop(self) -> None:
        """End it, and every stream with it."""
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    def session(self) -> AbstractContextManager[Session]:
        """One transaction, after which the hub's jobs are woken as after one of its own."""
        return self._hub.database.session()
