"""`hub demo`: an invented brand to look around in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.opening import loading_model
from hub.cli.output import say, stepping, table
from hub.cli.serving import HostOption, PortOption, listen, run_web, running, with_address
from hub.errors import Conflict

if TYPE_CHECKING:
    from hub.runtime import Hub
    from hub.settings import Settings

# Left in the home folder while the brand is loaded, so that a load which was cut off is known as such.
MARK = "demo-loading"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(demo)


def demo(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    fresh: Annotated[
        bool, typer.Option("--fresh/--keep", help="Begin anew, or go on with what the last demo left.")
    ] = False,
) -> None:
    """Load an invented brand and serve it, with customers who go on writing.

    Customers, purchases and two weeks of conversations go through the same doors that real ones use; the
    first start takes about a minute.
    """
    from hub.demo.people import brand
    from hub.demo.service import DemoFeed, sign_ins
    from hub.settings import Settings

    settings = Settings()
    listening = listen(host, port)
    settings = with_address(settings, listening)
    if "brand" not in settings.model_fields_set:
        settings = settings.model_copy(update={"brand": brand().name})
    _make_room(settings, fresh)
    with running(settings) as (hub, embedded):
        _load(hub)
        _welcome(settings)
        feed = DemoFeed(hub)
        feed.start()
        try:
            run_web(hub, embedded, listening, sign_ins())
        finally:
            feed.stop()


def _make_room(settings: Settings, fresh: bool) -> None:
    """Remove what an earlier demo left, where that is asked for or its loading was cut off."""
    from hub.demo.service import is_loaded

    ours = not settings.database_url
    if fresh and not ours:
        raise Conflict(
            "--fresh empties the demo's own SQLite file only; empty HUB_DATABASE_URL's database yourself"
        )
    mark = settings.home / MARK
    if not ours or not (fresh or mark.exists()):
        return
    if not mark.exists() and (settings.home / "hub.db").exists():
        with running(settings) as (hub, _):
            if not is_loaded(hub) and not _is_empty(hub):
                raise _in_use(settings)
    for name in ("hub.db", "hub.db-wal", "hub.db-shm", MARK):
        (settings.home / name).unlink(missing_ok=True)


def _load(hub: Hub) -> None:
    from hub.demo.service import is_loaded, load_demo

    if is_loaded(hub):
        say("Going on with the last demo; --fresh begins anew.")
        return
    if not _is_empty(hub):
        raise _in_use(hub.settings)
    with loading_model(hub.settings.model):
        hub.scorer  # noqa: B018 - loaded here, so that its failure is told as one
    mark = hub.settings.home / MARK
    mark.touch()
    with stepping() as step:
        load_demo(hub, step)
    mark.unlink()


def _is_empty(hub: Hub) -> bool:
    from hub.accounts.service import all_users
    from hub.channels.queries import list_channels
    from hub.clock import utcnow

    with hub.database.reading() as session:
        return not all_users(session) and not list_channels(session, utcnow())


def _in_use(settings: Settings) -> Conflict:
    return Conflict(
        f"{settings.home / 'hub.db'} has data of your own: HUB_HOME=var/demo hub demo keeps apart from it"
    )


def _welcome(settings: Settings) -> None:
    from hub.demo.service import sign_ins

    say()
    say(f"{settings.brand} is open on {settings.public_url}")
    say()
    say(
        table(
            ("sign in as", "email", "password"), [(p["role"], p["email"], p["password"]) for p in sign_ins()]
        )
    )
    say()
    say("Ctrl-C ends it; the next `hub demo` goes on from there.")
