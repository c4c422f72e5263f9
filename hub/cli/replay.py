"""`hub replay`: a policy tried on traffic that was, before it rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.opening import opened, quiet_settings
from hub.cli.output import JsonOption, fail_usage, say, stepping, write_json
from hub.errors import Invalid

if TYPE_CHECKING:
    from hub.replay.service import Source
    from routing.policy import Policy
    from routing.replay.report import Rival

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
    from hub.cli.replayed import show_replayed
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
        show_replayed(found)


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
