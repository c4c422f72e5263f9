"""A replay as one HTML page that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from hub.replay import charts
from hub.replay.service import Replayed
from hub.replay.words import need_words, nobody_words, undue_words
from hub.web.render import duration
from routing.replay.report import Bucket, Run


def html_page(replayed: Replayed, made_at: datetime) -> str:
    """The page, in UTC throughout."""
    report = replayed.report
    names = [run.name for run in report.runs]
    return _template().render(
        replayed=replayed,
        report=report,
        made_at=made_at,
        colours=charts.COLOURS,
        names=names,
        tiers=_rows(names, [run.tiers for run in report.runs]),
        channels=_rows(names, [run.channels for run in report.runs]),
        groups=_rows(
            names,
            [{f"{each.tier}, {each.channel}": each.replies for each in run.groups} for run in report.runs],
        ),
        needs=_rows(names, [{need_words(each): each.replies for each in run.needs} for run in report.runs]),
        agents=_rows(names, [{each.can: each for each in run.agents} for run in report.runs]),
        nobody=[(run.name, nobody_words(run, replayed.source.ref)) for run in report.runs if run.nobody],
        undue=undue_words(report),
        kept=charts.bars(
            "Promises kept by tier",
            {
                "all": {run.name: run.all.attainment for run in report.runs},
                "by value": {run.name: run.all.attainment_by_value for run in report.runs},
                **{
                    tier: {
                        run.name: run.tiers[tier].attainment if tier in run.tiers else None
                        for run in report.runs
                    }
                    for tier in dict.fromkeys(tier for run in report.runs for tier in run.tiers)
                },
            },
        ),
        backlog=_over_time("Waiting conversations", report.runs, lambda bucket: bucket.waiting),
        overdue=_over_time(
            "Waiting conversations past their promise", report.runs, lambda bucket: bucket.overdue
        ),
        load=_over_time(
            "Load of the agents on duty",
            report.runs,
            lambda bucket: 100 * bucket.worked_hours / bucket.staffed_hours if bucket.staffed_hours else 0.0,
            "%",
            100.0,
        ),
    )


def _over_time(
    label: str, runs: Sequence[Run], value: Any, unit: str = "", guide: float | None = None
) -> object:
    longest: Sequence[Bucket] = max((run.timeline for run in runs), key=len)
    sizes = {run.bucket_seconds for run in runs if run.timeline}
    if len(sizes) > 1:
        # One run ends so much later that its hours are counted in larger pieces: each has its own picture.
        return [
            charts.over_time(
                f"{label}, {run.name}",
                [bucket.begins_at for bucket in run.timeline],
                {run.name: [value(bucket) for bucket in run.timeline]},
                unit,
                guide,
            )
            for run in runs
        ]
    lines = {
        run.name: [
            *(value(bucket) for bucket in run.timeline),
            *[0.0] * (len(longest) - len(run.timeline)),
        ]
        for run in runs
    }
    return [charts.over_time(label, [bucket.begins_at for bucket in longest], lines, unit, guide)]


def _rows(names: Sequence[str], runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Any]]]:
    """Of each label that any run has, the runs that have it and what they found for it."""
    labels = dict.fromkeys(label for run in runs for label in run)
    return [
        (label, [(name, run[label]) for name, run in zip(names, runs, strict=True) if label in run])
        for label in labels
    ]


def _moment(value: datetime | None) -> str:
    return "never" if value is None else f"{value:%Y-%m-%d %H:%M}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _long(seconds: float | None) -> str:
    return "–" if seconds is None else duration(seconds)


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(moment=_moment, percent=_percent, duration=_long)
    return environment.get_template("report.html")
