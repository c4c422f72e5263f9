"""Who of those on duty can answer what: agents and needs, sorted by what makes a difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from routing.assignment import Needs
from routing.replay.jobs import Abilities, Jobs, Staffing


@dataclass(frozen=True, slots=True)
class Kind:
    """Agents who can answer the same: how many are on duty when, and the lanes that they can answer."""

    abilities: tuple[Abilities, ...]
    staffing: Staffing
    lanes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Desk:
    """The kinds of agents, and of each of the jobs' demands its lane at first and after it relaxed.

    Those of one lane can be answered by the same agents. `last` is of each lane when nobody who can answer it
    is on duty any more.
    """

    kinds: tuple[Kind, ...]
    lanes: tuple[int, ...]
    relaxed: tuple[int, ...]
    last: tuple[float, ...]


def desk_of(jobs: Jobs, staffing: Staffing) -> Desk | None:
    """None where everybody on duty can answer everything that comes, or nobody says who can do what."""
    if not staffing.groups or not jobs.demands:
        return None
    groups = staffing.groups
    first = [_able(groups, each.needs) for each in jobs.demands]
    later = [_able(groups, each.least) for each in jobs.demands]
    everybody = frozenset(range(len(groups)))
    if all(able == everybody for able in first):
        return None
    lanes = {able: lane for lane, able in enumerate(dict.fromkeys([*first, *later]))}
    members: dict[tuple[int, ...], list[int]] = {}
    for group in range(len(groups)):
        answers = tuple(lane for able, lane in lanes.items() if group in able)
        members.setdefault(answers, []).append(group)
    return Desk(
        kinds=tuple(
            Kind(
                tuple(groups[group][0] for group in some),
                Staffing.together([groups[group][1] for group in some]),
                answers,
            )
            for answers, some in members.items()
        ),
        lanes=tuple(lanes[able] for able in first),
        relaxed=tuple(lanes[able] for able in later),
        last=tuple(max((groups[group][1].last for group in able), default=float("-inf")) for able in lanes),
    )


def _able(groups: Sequence[tuple[Abilities, Staffing]], needs: Needs) -> frozenset[int]:
    return frozenset(group for group, (abilities, _) in enumerate(groups) if abilities.can(needs))
