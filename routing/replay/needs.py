"""What became of conversations by what they need, and of agents by what they can do."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from routing.assignment import Needs
from routing.replay.desk import Desk
from routing.replay.jobs import Abilities, Demanded, Jobs, Staffing
from routing.replay.metrics import Replies, replies
from routing.replay.records import Record
from routing.replay.simulator import Outcome

ANYBODY = "anybody"
_NAMED_ABILITIES = 3
_NAMED_REFS = 20


@dataclass(frozen=True, slots=True)
class NeedGroup:
    """The replies of conversations that need the same.

    `needs` in words, as `team service, german 3`; `rules` are those that ask for it. Who has waited
    `relax_seconds` needs only `relaxed`; both are None where that does not change. `agents` is how many who
    can answer them are on duty at most, without relaxing; None where nobody says who can do what. `nobody`
    counts those that stay without an answer since nobody who could ever give it was on duty after they
    arrived; `nobody_refs` are the first of them.
    """

    needs: str
    rules: Sequence[str]
    relaxed: str | None
    relax_seconds: float | None
    agents: int | None
    replies: Replies
    nobody: int
    nobody_refs: Sequence[int]


@dataclass(frozen=True, slots=True)
class AgentGroup:
    """Agents who can answer the same: how many are on duty at most, their hours on duty and of work.

    `load` is None where they are never on duty. `can` is in words.
    """

    can: str
    agents: int
    staffed_hours: float
    worked_hours: float
    load: float | None


def in_words(needs: Needs) -> str:
    """What it takes to answer, as a manager reads it."""
    words = [f"team {needs.team}"] if needs.team else []
    return ", ".join([*words, *(f"{name} {level}" for name, level in needs.skills)]) or ANYBODY


def demand_of(jobs: Jobs, job: int) -> Demanded | None:
    """What one of them needs; None where nothing in particular."""
    return jobs.demands[jobs.demand[job]] if jobs.demands else None


def nobody_for(jobs: Jobs, staffing: Staffing, outcome: Outcome) -> set[int]:
    """Who stays without an answer since nobody who could ever give it was on duty after they arrived."""
    desk = outcome.desk
    found = set()
    for job, answered in enumerate(outcome.answered):
        if answered == math.inf:
            last = staffing.last if desk is None else desk.last[desk.relaxed[jobs.demand[job]]]
            if last <= jobs.at[job]:
                found.add(job)
    return found


def need_groups(
    records: Sequence[Record], jobs: Jobs, staffing: Staffing, outcome: Outcome, nobody: set[int]
) -> list[NeedGroup]:
    """By what is needed, most frequent first; empty where the policy asks for nothing in particular."""
    members: dict[int, array[int]] = {}
    for job, demand in enumerate(jobs.demand):
        members.setdefault(demand, array("q")).append(job)
    alike: dict[tuple[str, str | None, float], list[int]] = {}
    for demand in members:
        each = jobs.demands[demand]
        relaxed = in_words(each.relaxed) if each.relaxed else None
        alike.setdefault((in_words(each.needs), relaxed, each.relax_seconds), []).append(demand)
    if set(alike) <= {(ANYBODY, None, math.inf)}:
        return []
    groups = []
    for (needs, relaxed, seconds), demands in alike.items():
        some = sorted(job for demand in demands for job in members[demand])
        lost = [job for job in some if job in nobody]
        groups.append(
            NeedGroup(
                needs=needs,
                rules=[rule for demand in demands if (rule := jobs.demands[demand].rule)],
                relaxed=relaxed,
                relax_seconds=None if relaxed is None else seconds,
                agents=_most_able(staffing, outcome.desk, demands),
                replies=replies(jobs, outcome, some),
                nobody=len(lost),
                nobody_refs=[records[job].ref for job in lost[:_NAMED_REFS]],
            )
        )
    return sorted(groups, key=lambda group: (-group.replies.count, group.needs, group.relaxed or ""))


def _most_able(staffing: Staffing, desk: Desk | None, demands: Sequence[int]) -> int | None:
    if not staffing.groups:
        return None
    if desk is None:
        return max(staffing.counts, default=0)
    lanes = {desk.lanes[demand] for demand in demands}
    able = [kind.staffing for kind in desk.kinds if lanes <= set(kind.lanes)]
    return max(Staffing.together(able).counts, default=0) if able else 0


def agent_groups(jobs: Jobs, outcome: Outcome, begin: float, end: float) -> list[AgentGroup]:
    """Of each kind of agents, between two moments; empty where everybody can answer everything."""
    desk = outcome.desk
    if desk is None:
        return []
    worked = [0.0] * len(desk.kinds)
    for job, number in enumerate(outcome.kind):
        if number >= 0:
            worked[number] += jobs.handle[job] / 3600
    found = []
    for kind, hours in zip(desk.kinds, worked, strict=True):
        staffed = kind.staffing.seconds(begin, end) / 3600
        most = max(kind.staffing.counts, default=0)
        load = hours / staffed if staffed else None
        found.append(AgentGroup(_can(kind.abilities), most, staffed, hours, load))
    return found


def _can(abilities: Sequence[Abilities]) -> str:
    words = [_abilities_in_words(each) for each in abilities]
    more = len(words) - _NAMED_ABILITIES
    return " or ".join([*words[:_NAMED_ABILITIES], *([f"{more} more"] if more > 0 else [])])


def _abilities_in_words(abilities: Abilities) -> str:
    words = [f"team {team}" for team in sorted(abilities.teams or ())]
    words += [f"{name} {level}" for name, level in sorted(abilities.skills or ())]
    words += [f"capacity {abilities.capacity}"] if abilities.capacity is not None else []
    return ", ".join(words) or ("everything" if abilities == Abilities() else "nothing in particular")
