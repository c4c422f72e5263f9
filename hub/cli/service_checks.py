"""What `hub doctor` looks at beyond this process: database, broker, workers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from hub.cli.checks import Check, fail, ok, warn
from hub.cli.output import plural

if TYPE_CHECKING:
    from hub.database import Database
    from hub.settings import Settings

WORKERS_SECONDS = 2.0
# The planner runs every few seconds wherever background work is done.
ALIVE = timedelta(seconds=60)


def check_database(settings: Settings) -> Iterator[Check]:
    """It answers and can be written, its tables are new, its secrets can be read, and somebody works."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from hub.database import Database

    try:
        url = make_url(settings.resolved_database_url)
    except SQLAlchemyError:
        yield fail(
            "database",
            "HUB_DATABASE_URL cannot be read",
            "write postgresql+psycopg://… or sqlite:///…",
        )
        return
    shown = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).exists():
        yield ok("database", f"{shown}, made at the first start")
        return
    database = Database(settings.resolved_database_url)
    try:
        yield _tables(database, shown)
        yield from _work(database, settings)
    except SQLAlchemyError as error:
        first = str(getattr(error, "orig", error)).strip().splitlines()[0]
        yield fail("database", f"{shown}: {first}", "start the database, or mend HUB_DATABASE_URL")
    finally:
        database.close()


def _tables(database: Database, shown: str) -> Check:
    from sqlalchemy import text

    from hub import migrations

    current, newest = migrations.current(database), migrations.newest(database)
    if current != newest:
        detail = f"{shown}: the tables are {current or 'not made'}, this version wants {newest}"
        return warn("database", detail, "hub db upgrade; every start does it too")
    with database.session() as session:
        # It changes no row, and fails where none could be changed.
        session.execute(text("UPDATE plans SET agents = agents WHERE id = -1"))
    return ok("database", f"{shown}, {newest}, writable")


def _work(database: Database, settings: Settings) -> Iterator[Check]:
    """What the rows say: whether secrets can be read, and whether anybody works."""
    from hub import migrations
    from hub.channels.queries import list_channels
    from hub.clock import utcnow
    from hub.database import EncryptedJson, Locked
    from hub.inbox.ingest import unanalysed
    from hub.queue.models import PlanSummary

    if migrations.current(database) != migrations.newest(database):
        return
    if settings.secret_key or (settings.home / "secret.key").exists():
        EncryptedJson.use_key(settings.key)
        with database.reading() as session:
            channels = [each.channel for each in list_channels(session, utcnow())]
            locked = [channel.name for channel in channels if isinstance(channel.secrets, Locked)]
        if locked:
            remedy = (
                "set the HUB_SECRET_KEY, or put back the secret.key, that they were stored with; "
                "or give each its credentials again with `hub channels renew`"
            )
            detail = f"the secrets of {', '.join(locked)} were stored with another secret key"
            yield fail("channels", detail, remedy)
        else:
            yield ok("channels", plural(len(channels), "channel"))
    with database.reading() as session:
        plan, waiting = session.get(PlanSummary, 1), unanalysed(session)
        planned_at = plan.planned_at if plan else None
    if planned_at is not None and planned_at > utcnow() - ALIVE:
        yield ok("background work", f"running; {waiting:,} to analyse")
    else:
        remedy = (
            "start `hub worker` and one `hub worker --beat`" if settings.broker_url else "start `hub serve`"
        )
        yield warn("background work", f"nobody is at it; {waiting:,} to analyse", remedy)


def check_broker(settings: Settings) -> Iterator[Check]:
    """It answers, and so does a worker."""
    if not settings.broker_url:
        yield ok("broker", "none set: `hub serve` does the background work")
        return
    from kombu.exceptions import OperationalError

    from hub.worker.celery import celery_app

    app = celery_app(settings)
    with app.connection_for_write() as connection:
        shown = connection.as_uri()
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=WORKERS_SECONDS)
        except (OperationalError, OSError) as error:
            yield fail("broker", f"{shown}: {error}", "start the broker, or mend HUB_BROKER_URL")
            return
    yield ok("broker", shown)
    answers = app.control.ping(timeout=WORKERS_SECONDS)
    names = sorted(name for answer in answers for name in answer)
    if names:
        yield ok("workers", ", ".join(names))
    else:
        yield fail("workers", "none answers", "start `hub worker`")
