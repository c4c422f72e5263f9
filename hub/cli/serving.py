"""`hub serve` and `hub worker`: the processes that stay."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.output import fail_usage, say
from hub.errors import HubError

if TYPE_CHECKING:
    from hub.runtime import Hub
    from hub.settings import Settings
    from hub.worker.embedded import EmbeddedWorker

# An open page holds a stream; it is cut after this long, and its browser comes back by itself.
GRACE_SECONDS = 3
BACKLOG = 2048

HostOption = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all of this machine's.")]
PortOption = Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 for any free one.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(serve)
    app.command()(worker)
    app.command("listen")(listen_to_channels)


def serve(host: HostOption = "127.0.0.1", port: PortOption = 8000) -> None:
    """Serve the pages, the API and the webhooks.

    Without `HUB_BROKER_URL` this process does the background work too. With it, `hub worker` does, and as
    many `hub serve` as you like may run side by side.
    """
    from hub.settings import Settings

    settings = Settings()
    listening = listen(host, port)
    settings = with_address(settings, listening)
    with running(settings) as (hub, embedded):
        say(f"cem-hub on {settings.public_url}")
        if not embedded:
            say("Background work is left to `hub worker`.")
        run_web(hub, embedded, listening)


def worker(
    concurrency: Annotated[
        int, typer.Option(min=1, help="How many jobs run side by side; they share one loaded model.")
    ] = 4,
    beat: Annotated[
        bool,
        typer.Option(
            "--beat", help="Run the clock only, which has all workers look from time to time; run one."
        ),
    ] = False,
) -> None:
    """Do the background work that `hub serve` leaves to Celery: receive, analyse, deliver, plan.

    Needs `HUB_BROKER_URL`. Beside any number of workers there is one `hub worker --beat`.
    """
    from hub import log
    from hub.settings import Settings

    settings = Settings()
    if not settings.broker_url:
        raise HubError(
            "HUB_BROKER_URL is not set: without a broker, `hub serve` does the background work itself"
        )
    from celery import signals

    from hub.worker.celery import celery_app

    log.configure(settings)
    # Whoever handles this signal has the logs set up already; Celery then leaves them alone.
    signals.setup_logging.connect(lambda **_: log.configure(settings), weak=False)
    app = celery_app(settings)
    if beat:
        signals.beat_init.connect(lambda **_: say("beat ready."), weak=False)
        # Every entry is due each few seconds: nothing needs to be remembered over a restart.
        app.Beat(scheduler_cls="celery.beat:Scheduler", quiet=True, loglevel=settings.log_level.upper()).run()
        return
    process = app.Worker(
        pool="threads",
        concurrency=concurrency,
        hostname=f"hub-{os.getpid()}@{socket.gethostname()}",
        loglevel=settings.log_level.upper(),
        quiet=True,
        # Workers need not know of each other.
        without_gossip=True,
        without_mingle=True,
    )
    process.start()
    raise typer.Exit(process.exitcode or 0)


def listen_to_channels() -> None:
    """Hold the open lines of channels whose vendors tell at once; `hub worker` does all other work.

    Needs `HUB_BROKER_URL`. One is enough; of several, each line is held by one, and taken over within half a
    minute when that one dies.
    """
    from signal import SIGINT, SIGTERM, signal
    from threading import Event

    from hub.channels.streaming import Streams
    from hub.runtime import open_hub
    from hub.settings import Settings

    settings = Settings()
    if not settings.broker_url:
        raise HubError("HUB_BROKER_URL is not set: without a broker, `hub serve` holds the lines itself")
    ended = Event()
    for number in (SIGINT, SIGTERM):
        signal(number, lambda *_: ended.set())
    hub, streams = open_hub(settings), Streams()
    streams.start(hub)
    say("listen ready.")
    ended.wait()
    streams.stop()
    hub.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises: HubError where the port is taken or the address is not ours."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(BACKLOG)
        except OSError:
            made.close()
            raise
    except socket.gaierror as error:
        raise fail_usage(f"--host {host}: {error.strerror}") from error
    except OSError as error:
        raise HubError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port"
        ) from error
    return made


def with_address(settings: Settings, listening: socket.socket) -> Settings:
    """The settings with `public_url` as it is, where nobody said it."""
    if "public_url" in settings.model_fields_set:
        return settings
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not listened on
        host = "127.0.0.1"
    shown = f"[{host}]" if ":" in host else host
    return settings.model_copy(update={"public_url": f"http://{shown}:{port}"})


@contextmanager
def running(settings: Settings) -> Iterator[tuple[Hub, EmbeddedWorker | None]]:
    """A hub, and what does its background work in this process; None where a broker's workers do it."""
    from hub.runtime import open_hub
    from hub.worker.embedded import EmbeddedWorker

    worker = None if settings.broker_url else EmbeddedWorker()
    hub = open_hub(settings, nudge=worker.nudge if worker else None)
    try:
        yield hub, worker
    finally:
        hub.close()


def run_web(
    hub: Hub,
    worker: EmbeddedWorker | None,
    listening: socket.socket,
    sign_ins: Sequence[Mapping[str, str]] = (),
) -> None:
    """Serve until somebody ends it; `sign_ins` are offered on the sign-in page."""
    import uvicorn

    from hub.server import create_app

    config = uvicorn.Config(
        create_app(hub, worker, sign_ins),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        say("Stopped.")
