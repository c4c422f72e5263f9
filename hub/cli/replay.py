"""`hub replay`: a policy tried on traffic that was, before it rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from hub.cli.opening import quiet_settings
from hub.cli.output import JsonOption, fail_usage, plural, say, show, stepping, table, write_json
from hub.errors import Invalid

if TYPE_CHECKING:
    from hub.replay.files import Problems
    from hub.replay.service import Replayed
    from routing.policy import Policy
    from routing.replay.metrics import Replies
    from routing.replay.report import Rival

_SHOWN_PROBLEMS = 10


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
        Path | None, typer.Option(metavar="FILE", help="Conversations as JSON lines, packed by gzip or not.")
    ] = None,
    staffing: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Who is on duty, as CSV: from,to,agents.")
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
    as_json: JsonOption = False,
) -> None:
    """Try policies on traffic that was: who would have been answered when, and which promises kept.

    Without --policy the configured one is tried. Lines that cannot be read are counted, shown with their
    reasons, and left out. docs/replay.md tells the formats and what each figure means.
    """
    from hub.clock import utcnow
    from hub.replay.html import html_page
    from hub.replay.service import as_json as report_json
    from hub.replay.service import from_files, run
    from routing.replay.report import REPLAN_SHARE

    if trace is None:
        raise fail_usage("say what is to be replayed: --trace FILE")
    if (staffing is None) == (agents is None):
        raise fail_usage("say who is on duty: either --staffing FILE or --agents NUMBER")
    policies = _policies(policy or [])
    with stepping() as step:
        source = from_files(trace, staffing, agents, step)
        names: list[Rival] = [each.value for each in dict.fromkeys(rival or [])]
        found = run(source, policies, names, 0.0 if exact else REPLAN_SHARE, step)
    if html is not None:
        html.write_text(html_page(found, utcnow()), encoding="utf-8")
        say(f"{html} holds the page.")
    if as_json:
        write_json(report_json(found))
    else:
        _show(found)


def _policies(files: Sequence[Path]) -> dict[str, Policy]:
    from hub.policies.service import policy_text
    from routing.policy import PolicyError, read_policy

    policies: dict[str, Policy] = {}
    if not files:
        policies["policy"] = read_policy(policy_text(quiet_settings()))
    for file in files:
        if str(file) in policies:
            raise fail_usage(f"--policy {file} is given twice")
        try:
            policies[str(file)] = read_policy(file.read_text(encoding="utf-8"))
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


def _cells(found: Replies) -> tuple[str, ...]:
    from hub.web.render import duration

    waits = ("–" if each is None else duration(each) for each in (found.p50, found.p90, found.longest))
    shares = (_share(found.attainment), _share(found.attainment_by_value))
    return (f"{found.count:,}", *shares, *waits, f"{found.unanswered:,}")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
