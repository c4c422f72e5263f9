"""Opening the hub for one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hub.errors import HubError

if TYPE_CHECKING:
    from hub.runtime import Hub
    from hub.settings import Settings


def quiet_settings() -> Settings:
    """The settings, logging warnings only where nobody asked for more. Raises: pydantic.ValidationError."""
    from hub.settings import Settings

    settings = Settings()
    if "log_level" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_level": "warning"})
    return settings


@contextmanager
def opened(*, nudging: bool = False) -> Iterator[Hub]:
    """The hub, for the time of a command; `nudging` where the workers are to be told of what changes."""
    from hub.runtime import open_hub

    hub = open_hub(quiet_settings(), nudge=None if nudging else lambda job: None)
    try:
        yield hub
    finally:
        hub.close()


@contextmanager
def loading_model(name: str) -> Iterator[None]:
    """A block that loads a model. Raises: HubError, which says which and why, whatever loading raises."""
    try:
        yield
    except Exception as error:
        raise HubError(f"the model {name!r} cannot be loaded: {error}") from error


def load_model(hub: Hub) -> None:
    """Have the hub's model ready. Raises: HubError, which says why it cannot be."""
    with loading_model(hub.settings.model):
        _ = hub.base_scorer
