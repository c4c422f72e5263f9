"""Logs: a static event name with fields; ids, and never a customer's words."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from hub.settings import Settings


def configure(settings: Settings) -> None:
    """Send structlog's and the standard library's lines to stderr, in one format."""
    level = getattr(logging, settings.log_level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_json
        # Plain tracebacks: the others show local variables, which may hold what a customer wrote.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ]
            if settings.log_json
            else [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # The access log and the migrations' progress say nothing that our own lines do not.
    for noisy in ("uvicorn.access", "alembic", "httpx2", "celery.app.trace"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))


def get(name: str) -> Any:
    """The logger of a module."""
    return structlog.get_logger(name)
