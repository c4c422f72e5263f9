"""`hub replay`: a policy tried on traffic that was, before it rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from hub.cli.opening import opened, quiet_settings
from hub.cli.output import JsonOption, fail_usage, plural, say, show, stepping, table, write_json
from hub.errors import Invalid

if TYPE_CHECKING:
    from hub.replay.files import Problems
    from hub.replay.service import Replayed, Source
    from routing.policy import Policy
    from routing.replay.metrics import Replies
    from routing.replay.report import Rival, Run

_SHOWN_PROBLEMS = 10
_PAST = timedelta(days=7)


class RivalName(StrEnum):
    """The orders that a policy is compared with."""

    first_come = "first-come"
    strict = "strict"
    deadline = "deadline"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(replay)


def replay(
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Conversations as JSON lines, or packed by gzip; else the past."),
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Of the past: from then on (UTC); 7 days ago.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(help="Of the past: until then (UTC); now.")] = None,
    staffing: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Who is on duty, as CSV: from,to,agents; and teams,skills."),
    ] = None,
    agents: Annotated[
        int | None, typer.Option(min=0, help="So many agents on duty at all times, instead of a file.")
    ] = None,
    policy: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A policy in YAML; several are compared with the first."),
    ] = None,
    rival: Annotated[
        list[RivalName] | None,
        typer.Option(help="Also first come, strict levels as helpdesks have them, or the earliest deadline."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with plots to this file.")
    ] = None,
    exact: Annotated[
        bool, typer.Option(help="Plan at every change, as the hub does; slow where many wait.")
    ] = False,
    tune: Annotated[
        bool, typer.Option("--tune", help="Search for better weights of the policy, and say how sure it is.")
    ] = False,
    goal: Annotated[
        list[str] | None,
        typer.Option(metavar="TIER=PERCENT", help="With --tune: so many of a tier are to be in time."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="With --tune: how often it searches.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="With --tune: tries of each search.")] = 30,
    proposal: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --tune: write the changed policy to this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Try policies on traffic that was: who would have been answered when, and which promises kept.

    Without --trace on the hub's own past, without --policy with the configured one. Lines that cannot be read
    are counted, shown with their reasons, and left out. docs/replay.md tells the formats and what each figure
    means. Nothing is changed, and --tune only proposes.
    """
    from hub.cli.tuning import tune_and_tell
    from hub.clock import utcnow
    from hub.replay.html import html_page
    from hub.replay.service import as_json as report_json
    from hub.replay.service import run
    from routing.replay.ours import REPLAN_SHARE

    _check(trace, since, until, staffing, agents, tune)
    texts = _policies(policy or [])
    policies = {name: read for name, (_, read) in texts.items()}
    with stepping() as step:
        source = _source(trace, since, until, staffing, agents, policies, step)
    if tune:
        (name, (text, _)), *others = texts.items()
        if others:
            raise fail_usage("--tune takes one --policy")
        tune_and_tell(source, name, text, goal or [], seeds, rounds, proposal, as_json)
        return
    with stepping() as step:
        names: list[Rival] = [each.value for each in dict.fromkeys(rival or [])]
        found = run(source, policies, names, 0.0 if exact else REPLAN_SHARE, step)
    if html is not None:
        html.write_text(html_page(found, utcnow()), encoding="utf-8")
        say(f"{html} holds the page.")
    if as_json:
        write_json(report_json(found))
    else:
        _show(found)


def _check(
    trace: Path | None,
    since: datetime | None,
    until: datetime | None,
    staffing: Path | None,
    agents: int | None,
    tune: bool,
) -> None:
    if trace is not None and (since or until):
        raise fail_usage("--since and --until are of the hub's own past, not of --trace")
    if staffing is not None and agents is not None:
        raise fail_usage("who is on duty is said twice: by --staffing and by --agents")
    if trace is not None and staffing is None and agents is None:
        raise fail_usage("say who is on duty: either --staffing FILE or --agents NUMBER")
    if trace is None and staffing is not None:
        raise fail_usage("--staffing is for a --trace; the hub knows who answered when")


def _source(
    trace: Path | None,
    since: datetime | None,
    until: datetime | None,
    staffing: Path | None,
    agents: int | None,
    policies: Mapping[str, Policy],
    step: Callable[[str, int, int], None],
) -> Source:
    from hub.clock import utcnow
    from hub.replay.past import from_past
    from hub.replay.service import from_files

    if trace is not None:
        return from_files(trace, staffing, agents, policies.values(), step)
    end = until.replace(tzinfo=UTC) if until else utcnow()
    begin = since.replace(tzinfo=UTC) if since else end - _PAST
    if begin >= end:
        raise fail_usage("--since is to be before --until")
    with opened() as hub, hub.database.reading() as session:
        return from_past(session, begin, end, agents, policies.values())


def _policies(files: Sequence[Path]) -> dict[str, tuple[str, Policy]]:
    """By name, each policy's text and what it says."""
    from hub.policies.service import policy_text
    from routing.policy import PolicyError, read_policy

    policies: dict[str, tuple[str, Policy]] = {}
    if not files:
        text = policy_text(quiet_settings())
        policies["policy"] = text, read_policy(text)
    for file in files:
        if str(file) in policies:
            raise fail_usage(f"--policy {file} is given twice")
        try:
            text = file.read_text(encoding="utf-8")
            policies[str(file)] = text, read_policy(text)
        except UnicodeDecodeError as error:
            raise Invalid(f"{file}: not UTF-8 near byte {error.start}", field="policy") from error
        except PolicyError as error:
            raise Invalid(f"{file}: {'; '.join(str(error).splitlines())}", field="policy") from error
    return policies


def _show(found: Replayed) -> None:
    source, report = found.source, found.report
    show(_totals(found))
    show("")
    show(_groups("tier", {run.name: run.tiers for run in report.runs}))
    show("")
    show(_groups("channel", {run.name: run.channels for run in report.runs}))
    for more in (_needs(report.runs), _agents(report.runs)):
        if more is not None:
            show("")
            show(more)
    for words in _nobody(report.runs):
        show("")
        show(words)
    for change in report.changes:
        show("")
        show(
            f"From {change.before} to {change.after}: {change.earlier:,} answered earlier, "
            f"{change.later:,} later; {plural(change.won, 'promise')} more kept, {change.lost:,} no longer."
        )
    skipped = plural(source.problems.skipped, "line")
    say(f"{plural(report.conversations, 'conversation')} replayed, {skipped} skipped.")
    for words in source.estimated:
        say(f"Estimated: {words}.")
    _tell("trace", source.problems)
    _tell("staffing", source.staffing_problems)


def _tell(what: str, problems: Problems) -> None:
    for each in problems.first[:_SHOWN_PROBLEMS]:
        say(f"{what}, line {each.line}: {each.reason}")
    more = sum(problems.by_reason.values()) - _SHOWN_PROBLEMS
    if more > 0:
        say(f"{what}: {more:,} more; --json and --html tell them.")


def _totals(found: Replayed) -> Table:
    rows = []
    for run in found.report.runs:
        rows.append((run.name, *_cells(run.all), _share(run.agent_load)))
        if run.by_first_promises is not None:
            rows.append((f"  by {found.report.runs[0].name}'s promises", *_cells(run.by_first_promises), ""))
    columns = ("order", *_COLUMNS, "load")
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
    from hub.replay.words import need_words

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


def _nobody(runs: Sequence[Run]) -> list[str]:
    """What nobody on duty could ever answer: by what it needs, said once where it is so in all runs."""
    from hub.replay.words import nobody_words

    said: dict[str, list[str]] = {}
    for run in runs:
        for words in nobody_words(run):
            said.setdefault(words, []).append(run.name)
    return [
        words if len(names) == len(runs) else f"{', '.join(names)}: {words}" for words, names in said.items()
    ]


def _cells(found: Replies) -> tuple[str, ...]:
    from hub.web.render import duration

    waits = ("–" if each is None else duration(each) for each in (found.p50, found.p90, found.longest))
    shares = (_share(found.attainment), _share(found.attainment_by_value))
    return (f"{found.count:,}", *shares, *waits, f"{found.unanswered:,}")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
