"""Trying settings out: does the vendor know us, and who are we there? Nothing is stored or sent."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Thread

from connectors.base import AuthExpired, Config, Connector, ConnectorError
from connectors.registry import connector_type
from hub import log
from hub.channels.service import split_config
from hub.channels.trouble import scrubbed

logger = log.get(__name__)
LONGEST_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Tried:
    """Whether it worked; `text` is who we are there, or what to change."""

    works: bool
    text: str


def try_out(connector: str, config: Config, *, longest_seconds: float = LONGEST_SECONDS) -> Tried:
    """Contact the vendor with these settings, for so long at most. No transaction may be open meanwhile."""
    answers: list[Tried] = []
    # A thread, since a vendor that says nothing cannot be interrupted; it ends with the process.
    thread = Thread(target=lambda: answers.append(_ask(connector, config)), name="try-out", daemon=True)
    thread.start()
    thread.join(longest_seconds)
    if answers:
        return answers[0]
    return Tried(False, f"No answer within {longest_seconds:.0f} seconds.")


def _ask(name: str, config: Config) -> Tried:
    _, secrets = split_config(config)
    connector: Connector | None = None
    try:
        connector = connector_type(name)(config)
        return Tried(True, scrubbed(connector.check(), secrets))
    except AuthExpired as error:
        return Tried(False, scrubbed(f"The vendor does not take these credentials: {error}", secrets))
    except ConnectorError as error:
        return Tried(False, scrubbed(str(error), secrets))
    except Exception as error:
        logger.warning("try_out_failed", connector=name, error=type(error).__name__)
        return Tried(False, f"The connector failed: {type(error).__name__}.")
    finally:
        if connector is not None:
            try:
                connector.close()
            except Exception as error:
                logger.warning("close_failed", connector=name, error=type(error).__name__)
