"""One replay from what was asked for to what is shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hub.errors import Invalid
from hub.replay.files import Names, Problems, read_staffing, read_trace
from routing.calendars import NeverOpen
from routing.policy import Policy
from routing.replay.jobs import Staffing
from routing.replay.ours import REPLAN_SHARE
from routing.replay.promising import promise_all
from routing.replay.records import Record
from routing.replay.report import Progress, Report, Rival, replay
from routing.replay.tuning import Tuning, tune

ALL_CAN = "who can answer what: nobody says, so everybody answers everything"


@dataclass(frozen=True, slots=True)
class Source:
    """What is replayed: conversations, who was on duty, and what of either could not be read.

    `staffing` counts seconds since the first arrival. `estimated` says in words what nobody knew. `ref` is
    what the records' numbers are of.
    """

    name: str
    records: Sequence[Record]
    staffing: Staffing
    lines: int
    problems: Problems
    staffing_problems: Problems
    estimated: Sequence[str] = ()
    ref: str = "line"


@dataclass(frozen=True, slots=True)
class Replayed:
    """A source with its report."""

    source: Source
    report: Report


def from_files(
    trace: Path,
    staffing: Path | None,
    agents: int | None,
    policies: Collection[Policy] = (),
    progress: Progress = lambda step, done, total: None,
) -> Source:
    """Read a trace, and shifts or so many agents at all times, who can do what `policies` have names for.

    Raises: OSError; hub.errors.Invalid.
    """
    if (staffing is None) == (agents is None):
        raise Invalid("say who is on duty: a file of shifts, or a number of agents", field="staffing")
    read = read_trace(trace, lambda done, total: progress("reading", done, total))
    if not read.records:
        first = read.problems.first
        why = f"; line {first[0].line}: {first[0].reason}" if first else ""
        raise Invalid(f"{trace}: there is no conversation that can be read{why}", field="trace")
    staffing_problems = Problems()
    if staffing is not None:
        shifts, staffing_problems = read_staffing(staffing, read.records[0].arrived_at, Names.of(policies))
    else:
        shifts = Staffing.constant(agents or 0)
    unknown = sum(record.handle_seconds is None for record in read.records)
    estimated = [f"{unknown:,} handling times: the first policy's expected ones"] if unknown else []
    if not shifts.groups and any(policy.assignment.needs for policy in policies):
        estimated.append(ALL_CAN)
    return Source(str(trace), read.records, shifts, read.lines, read.problems, staffing_problems, estimated)


def run(
    source: Source,
    policies: Mapping[str, Policy],
    rivals: Sequence[Rival] = (),
    share: float = REPLAN_SHARE,
    progress: Progress = lambda step, done, total: None,
) -> Replayed:
    """Replay a source. Raises: hub.errors.Invalid where a policy's calendar never opens."""
    try:
        return Replayed(source, replay(source.records, source.staffing, policies, rivals, share, progress))
    except NeverOpen as error:
        raise Invalid(f"a policy promises what cannot be: {error}", field="policy") from error


def tuned(
    source: Source,
    policy: Policy,
    goals: Mapping[str, float],
    seeds: int,
    rounds: int,
    progress: Progress = lambda step, done, total: None,
) -> Tuning:
    """Search for better numbers of a policy. Raises: hub.errors.Invalid where the past is too short."""
    done = 0

    def count(more: int, total: int) -> None:
        nonlocal done
        done += more
        progress("searching", done, total)

    try:
        jobs = promise_all(source.records, policy, policy)
        zone = ZoneInfo(policy.time_zone)
        offset = source.records[0].arrived_at.astimezone(zone).utcoffset() or timedelta()
        return tune(jobs, source.staffing, policy, goals, seeds, rounds, offset.total_seconds(), count)
    except (NeverOpen, ValueError) as error:
        raise Invalid(str(error), field="trace") from error


def as_json(replayed: Replayed) -> dict[str, Any]:
    """All that was found, as docs/replay.md tells it; moments in ISO 8601 and UTC, durations in seconds."""
    source = replayed.source
    report: dict[str, Any] = _plain(asdict(replayed.report))
    return {
        "source": {
            "name": source.name,
            "lines": source.lines,
            "skipped": source.problems.skipped,
            "problems": _problems(source.problems),
            "staffing_skipped": source.staffing_problems.skipped,
            "staffing_problems": _problems(source.staffing_problems),
            "estimated": list(source.estimated),
        },
        **report,
    }


def _problems(problems: Problems) -> dict[str, Any]:
    return {
        "by_reason": dict(problems.by_reason.most_common()),
        "first": [asdict(each) for each in problems.first],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value
