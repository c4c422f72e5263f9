"""`hub bench`: what this machine makes of the hub."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from hub.cli.output import FAILED, JsonOption, fail_usage, say, show, table, write_json

if TYPE_CHECKING:
    from hub.bench.figures import Figure

PARTS = ("scoring", "listening", "replay", "plan", "planner", "ingest", "webhook", "policy", "next")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(bench)


def bench(
    postgres: Annotated[
        str, typer.Option(help="URL of an empty PostgreSQL database to measure too; it is filled.")
    ] = "",
    only: Annotated[list[str] | None, typer.Option(help=f"Only these parts: {', '.join(PARTS)}.")] = None,
    quick: Annotated[bool, typer.Option(help="Smaller sizes, for a first look.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the figures to this file as JSON too.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the hub on this machine: the model, listening, replay, the plan, the flow, the policy, `next`.

    Everything is stored in a temporary folder on the disk of the current folder, and removed. Goals are
    ratios and bounds taken in one run; exit status 1 where one is missed.
    """
    parts = tuple(only or PARTS)
    if unknown := set(parts) - set(PARTS):
        raise fail_usage(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    figures: list[Figure] = []
    # Not in /tmp, which may be memory: commits are to be as slow as they are.
    with tempfile.TemporaryDirectory(prefix=".hub-bench-", dir=Path.cwd()) as folder:
        for figure in _measure(parts, Path(folder), postgres, quick):
            figures.append(figure)
            say(f"{figure.area}: {figure.name}: {_value(figure)} {figure.unit} {figure.goal}")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(_json(figures) + "\n", encoding="utf-8")
    if as_json:
        write_json([asdict(figure) for figure in figures])
    else:
        show(_table(figures))
    if any(figure.met is False for figure in figures):
        raise typer.Exit(FAILED)


def _measure(parts: tuple[str, ...], folder: Path, postgres: str, quick: bool) -> Iterator[Figure]:
    from hub.bench.claims import bench_claims
    from hub.bench.flow import bench_ingest, bench_webhook
    from hub.bench.listening import bench_listening
    from hub.bench.plan import bench_plan
    from hub.bench.planner import bench_plan_queue, bench_planner
    from hub.bench.policy import bench_policy
    from hub.bench.replay import bench_replay
    from hub.bench.scoring import bench_scoring
    from hub.runtime import Hub
    from hub.settings import Settings

    if "scoring" in parts:
        yield from bench_scoring(100 if quick else 400, say)
    if "listening" in parts:
        yield from bench_listening(2000 if quick else 20_000, say)
    if "replay" in parts:
        yield from bench_replay(3 if quick else 10, 100_000 if quick else 1_000_000, say)
    if "plan" in parts:
        yield from bench_plan(4 if quick else 20, say)
    if "planner" in parts:
        yield from bench_planner(say)
    if not set(parts) - {"scoring", "listening", "replay", "plan"}:
        return
    for url in ["", postgres] if postgres else [""]:
        home = folder / ("postgres" if url else "sqlite")
        settings = Settings(home=home, database_url=url, broker_url="", model_threads=0)
        hub = Hub(settings)
        try:
            hub.start()
            # While nobody else waits.
            if "planner" in parts:
                yield from bench_plan_queue(hub, say)
            if "ingest" in parts:
                yield from bench_ingest(hub, 300 if quick else 3000, say)
            if "webhook" in parts:
                yield from bench_webhook(settings, hub, say)
            if "policy" in parts:
                yield from bench_policy(hub, 3000 if quick else 30_000, say)
            if "next" in parts:
                sizes = (10_000, 100_000) if quick else (10_000, 100_000, 1_000_000)
                yield from bench_claims(hub.database, sizes, say)
        finally:
            hub.close()


def _table(figures: list[Figure]) -> Table:
    rows = [
        (
            figure.area,
            figure.name,
            Text(f"{_value(figure)} {figure.unit}"),
            Text(figure.goal, "" if figure.met is None else "green" if figure.met else "bold red"),
        )
        for figure in figures
    ]
    return table(("area", "figure", "measured", "goal"), rows, right=("measured",))


def _value(figure: Figure) -> str:
    return f"{figure.value:,.0f}" if figure.value >= 100 else f"{figure.value:.3g}"


def _json(figures: list[Figure]) -> str:
    import json

    return json.dumps([asdict(figure) for figure in figures], indent=2)
