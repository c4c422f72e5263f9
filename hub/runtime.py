"""One running hub: its settings, its database, its model, and the way to ask for background work."""

from __future__ import annotations

import gc
from collections.abc import Callable
from threading import Lock

import sentiment
from hub import log, migrations
from hub.clock import utcnow
from hub.database import Database, EncryptedJson
from hub.files import FileStore
from hub.learning.versions import Version, Versions
from hub.policies.service import activate_configured
from hub.settings import Settings
from sentiment.types import Scorer


class Hub:
    """What every face and every job is given. Opening it is cheap; the model loads when first asked for."""

    def __init__(self, settings: Settings, *, nudge: Callable[[str], None] = lambda job: None) -> None:
        self.settings = settings
        EncryptedJson.use_key(settings.key)
        self.files = FileStore(settings.home / "attachments", settings.attachment_max_bytes)
        self.database = Database(settings.resolved_database_url, nudge=nudge, files=self.files)
        self.versions = Versions(self.database)
        self._scorer: Scorer | None = None
        self._loading = Lock()

    @property
    def scorer(self) -> Scorer:
        """The model with what it has learnt by now. Raises whatever loading it raises, at every try anew."""
        return self.active_version().scorer

    def active_version(self) -> Version:
        """The version of the model that reads messages now; raises what loading the model raises."""
        return self.versions.active(self.base_scorer)

    @property
    def base_scorer(self) -> Scorer:
        """The model as it is shipped, or as the settings name it. Raises whatever loading it raises."""
        with self._loading:
            if self._scorer is None:
                self._scorer = sentiment.load(
                    self.settings.model,
                    intent_model=self.settings.intent_model or None,
                    threads=self.settings.model_threads or None,
                    precision=self.settings.model_precision,
                )
            return self._scorer

    def start(self) -> None:
        """Bring the tables up to date and let the configured policy rule. Raises: PolicyError, OSError."""
        migrations.upgrade(self.database)
        with self.database.session() as session:
            activate_configured(session, self.settings, utcnow())
        # Batches of rows are many objects that live for a moment: to look for cycles among them every 700
        # took a fifth to a quarter of the processor time of placing anew.
        gc.set_threshold(50_000, 20, 100)

    def close(self) -> None:
        """Give connections back."""
        self.database.close()


def open_hub(settings: Settings | None = None, *, nudge: Callable[[str], None] | None = None) -> Hub:
    """A hub by the settings, ready to use: migrated, with its policy active.

    Where a broker is configured, nudges go to its workers; else `nudge` is told, or nobody.
    """
    settings = settings or Settings()
    log.configure(settings)
    if nudge is None and settings.broker_url:
        from hub.broker import Nudger

        nudge = Nudger(settings)
    hub = Hub(settings, nudge=nudge or (lambda job: None))
    hub.start()
    return hub
