"""What `hub replay` found, for people: tables on stdout, what was estimated or left out on stderr."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from rich.table import Table

from hub.cli.output import plural, say, show, table
from hub.replay.files import Problems
from hub.replay.service import Replayed
from hub.replay.words import need_words, nobody_words, undue_words
from hub.web.render import duration
from routing.replay.changes import Changes
from routing.replay.metrics import Replies
from routing.replay.report import Run

_SHOWN_PROBLEMS = 10
_SHOWN_ROWS = 5


def show_replayed(found: Replayed) -> None:
    """Print it; of breaches and changes those that matter most, the rest is in JSON and on the page."""
    source, report = found.source, found.report
    for number, part in enumerate(_parts(found)):
        if number:
            show("")
        for each in part:
            show(each)
    skipped = plural(source.problems.skipped, "line")
    say(f"{plural(report.conversations, 'conversation')} replayed, {skipped} skipped.")
    for words in source.estimated:
        say(f"Estimated: {words}.")
    for words in undue_words(report):
        say(words)
    _tell("trace", source.problems)
    _tell("staffing", source.staffing_problems)


def _parts(found: Replayed) -> Iterator[Sequence[Table | str]]:
    """What is shown, with nothing between what belongs together."""
    report, ref = found.report, found.source.ref
    yield [_totals(found)]
    yield [_groups("tier", {run.name: run.tiers for run in report.runs})]
    yield [_groups("channel", {run.name: run.channels for run in report.runs})]
    yield from ([more] for more in (_needs(report.runs), _agents(report.runs)) if more is not None)
    if nobody := _nobody(report.runs, ref):
        yield nobody
    yield [_backlog(report.runs)]
    for run in report.runs:
        if run.breaches:
            heading = f"{plural(run.breached, 'promise')} that {run.name} breaks; of most weight:"
            yield [heading, _breaches(run, ref)]
    for change in report.changes:
        heading = (
            f"From {change.before} to {change.after}: {change.earlier:,} answered earlier, "
            f"{change.later:,} later; {plural(change.won, 'promise')} more kept, {change.lost:,} no longer"
            f"{'; first of all:' if change.conversations else '.'}"
        )
        yield [heading, _changes(change, ref)] if change.conversations else [heading]


def _tell(what: str, problems: Problems) -> None:
    for each in problems.first[:_SHOWN_PROBLEMS]:
        say(f"{what}, line {each.line}: {each.reason}")
    more = sum(problems.by_reason.values()) - _SHOWN_PROBLEMS
    if more > 0:
        say(f"{what}: {more:,} more; --json and --html tell them.")


def _backlog(runs: Sequence[Run]) -> Table:
    """When most wait, and when most of them are past their promise."""
    rows = []
    for run in runs:
        if run.timeline:
            most = max(run.timeline, key=lambda bucket: bucket.waiting)
            late = max(run.timeline, key=lambda bucket: bucket.overdue)
            rows.append(
                (
                    *(run.name, f"{most.waiting:,}", _until(run, most.begins_at) if most.waiting else "–"),
                    *(f"{late.overdue:,}", _until(run, late.begins_at) if late.overdue else "–"),
                )
            )
    columns = ("order", "most waiting", "at (UTC)", "most past their promise", "at (UTC) ")
    return table(columns, rows, right=("most waiting", "most past their promise"))


def _until(run: Run, begins_at: datetime) -> str:
    return _moment(begins_at + timedelta(seconds=run.bucket_seconds))


def _breaches(run: Run, ref: str) -> Table:
    rows = [
        (
            *(str(each.ref), each.tier, each.channel, each.needs or "", _moment(each.due_at)),
            "nobody can" if each.nobody else _moment(each.answered_at),
            "–" if each.late_seconds is None else duration(each.late_seconds),
            f"{each.weight:.3g}",
            "yes" if each.gave_way else "",
        )
        for each in run.breaches[:_SHOWN_ROWS]
    ]
    columns = (ref, "tier", "channel", "needs", "due (UTC)", "answered", "late", "weight", "gave way")
    return table(columns, rows, right=(ref, "late", "weight"))


def _changes(change: Changes, ref: str) -> Table:
    rows = [
        (
            *(str(each.ref), each.tier, each.channel),
            f"{each.place_before or '–'} → {each.place_after or '–'}",
            f"{_moment(each.answered_before_at)} → {_moment(each.answered_after_at)}",
            f"{_kept(each.kept_before)} → {_kept(each.kept_after)}",
            "; ".join(each.why),
        )
        for each in change.conversations[:_SHOWN_ROWS]
    ]
    columns = (ref, "tier", "channel", "place", "answered (UTC)", "promise", "why")
    return table(columns, rows, right=(ref, "place"))


def _moment(value: datetime | None) -> str:
    return "never" if value is None else f"{value:%Y-%m-%d %H:%M}"


def _kept(value: bool) -> str:
    return "kept" if value else "broken"


def _totals(found: Replayed) -> Table:
    rows = []
    for run in found.report.runs:
        rows.append((run.name, *_cells(run.all), f"{run.breached:,}", _share(run.agent_load)))
        if run.by_first_promises is not None:
            other = run.by_first_promises
            name = f"  by {found.report.runs[0].name}'s promises"
            rows.append((name, *_cells(other), f"{other.broken:,}", ""))
    columns = ("order", *_COLUMNS, "broken", "load")
    return table(columns, rows, right=columns[1:])


_COLUMNS = ("conversations", "in time", "by value", "median", "p90", "longest", "unanswered")


def _groups(what: str, runs: Mapping[str, Mapping[str, Replies]]) -> Table:
    rows = [
        (name, order, *_cells(found))
        for name in dict.fromkeys(name for groups in runs.values() for name in groups)
        for order, groups in runs.items()
        if (found := groups.get(name)) is not None
    ]
    return table((what, "order", *_COLUMNS), rows, right=_COLUMNS)


def _needs(runs: Sequence[Run]) -> Table | None:
    """By what conversations need, and how many agents who can answer them are there at most."""
    rows = [
        (needs, run.name, "–" if found.agents is None else f"{found.agents:,}", *_cells(found.replies))
        for needs in dict.fromkeys(need_words(each) for run in runs for each in run.needs)
        for run in runs
        for found in run.needs
        if need_words(found) == needs
    ]
    columns = ("agents", *_COLUMNS)
    return table(("needs", "order", *columns), rows, right=columns) if rows else None


def _agents(runs: Sequence[Run]) -> Table | None:
    """By what agents can do: how many are there at most, and how much of their time they work."""
    rows = [
        (can, run.name, f"{found.agents:,}", f"{found.staffed_hours:,.1f}", _share(found.load))
        for can in dict.fromkeys(each.can for run in runs for each in run.agents)
        for run in runs
        for found in run.agents
        if found.can == can
    ]
    columns = ("agents", "hours on duty", "load")
    return table(("agents who can", "order", *columns), rows, right=columns) if rows else None


def _nobody(runs: Sequence[Run], ref: str) -> list[str]:
    """What nobody on duty could ever answer: by what it needs, said once where it is so in all runs."""
    said: dict[str, list[str]] = {}
    for run in runs:
        for words in nobody_words(run, ref):
            said.setdefault(words, []).append(run.name)
    return [
        words if len(names) == len(runs) else f"{', '.join(names)}: {words}" for words, names in said.items()
    ]


def _cells(found: Replies) -> tuple[str, ...]:
    waits = ("–" if each is None else duration(each) for each in (found.p50, found.p90, found.longest))
    shares = (_share(found.attainment), _share(found.attainment_by_value))
    return (f"{found.count:,}", *shares, *waits, f"{found.unanswered:,}")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
