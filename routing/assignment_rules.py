"""What a policy says of who gets which conversation: teams, skills, capacity, and the rules of assignment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field

from routing.conditions import Condition
from routing.located_yaml import Path
from routing.policy_fields import STRICT, Duration, Name, write_duration
from routing.policy_problems import condition_problems, no_such

if TYPE_CHECKING:
    from routing.policy import Policy

MOST_SKILLS = 8
HIGHEST_LEVEL = 5

Level = Annotated[int, Field(ge=1, le=HIGHEST_LEVEL)]
Units = Annotated[int, Field(ge=1, le=1000)]
Skills = Annotated[dict[Name, Level], Field(max_length=MOST_SKILLS)]


class _Part(BaseModel):
    model_config = STRICT


class Capacity(_Part):
    """How much an agent has in hand at once, in units.

    A conversation counts for its owner while it waits for an answer of ours; once it is answered, put off or
    solved it does not.
    """

    default: Units
    """Of an agent for whom nothing else is set."""
    weights: dict[Name, Units] = Field(default={})
    """Units by a channel's name or its kind, the name first; 1 where neither is named."""


class KnownCustomer(_Part):
    """Who had a conversation with the customer before is preferred."""

    within: Duration = timedelta(days=30)
    """So long ago at most."""
    hold: Duration = timedelta(minutes=5)
    """So long, counted from when the customer began to wait, it is kept for them while they are online."""


class NeedsRule(_Part):
    """What it takes to answer some conversations."""

    name: Name
    when: Condition | None = None
    """For which conversations; for all where it is left out."""
    team: Name | None = None
    """Only agents of this team."""
    skills: Skills = Field(default={})
    """Skills that an agent must have, with the least level of each, 1 to 5."""
    additional_skills: Skills = Field(default={})
    """Skills that are asked for at first, and no longer after `relax_after`."""
    relax_after: Duration = timedelta(minutes=10)
    """Counted from when the customer began to wait."""


class Assignment(_Part):
    """Who gets which conversation, and when it goes back to the queue."""

    mode: Literal["pull", "push"] = "pull"
    """Agents ask for the next one, or are offered it as soon as they have room."""
    choose: Literal["most_free", "least_recent", "round_robin"] = "most_free"
    """Of several agents who could: the one with most room, the one who was given nothing for
    longest, or whose turn it is."""
    accept_within: Duration | None = timedelta(minutes=2)
    """What is offered and not accepted by then goes to somebody else; null: it need not be accepted."""
    offer_again_after: Duration = timedelta(minutes=10)
    """Who declined a conversation, or let it pass, is not given it again before."""
    away_after_offers: Annotated[int, Field(ge=0, le=100)] = 3
    """An agent who lets offers pass so many times in a row is set away, until they do something here or
    ask for the next; 0: never. Offers that lie with them at the same time count as one."""
    away_after: Duration = timedelta(minutes=5)
    """An agent without a sign of life for this long is away."""
    release_after: Duration = timedelta(minutes=15)
    """A conversation of an agent who is away this long is released; no less than `away_after`."""
    known_customer: KnownCustomer | None = None
    needs: tuple[NeedsRule, ...] = ()
    """What a conversation needs, tried from top to bottom; anybody may answer what matches none."""


def contradictions(policy: Policy) -> Iterator[tuple[Path, str]]:
    """Where the rules of assignment do not fit together."""
    for part, names in (("teams", policy.teams), ("skills", policy.skills)):
        for index, name in enumerate(names):
            if name in names[:index]:
                yield (part, index), f"{name!r} is given twice"
    assignment, capacity = policy.assignment, policy.capacity
    if assignment.mode == "push" and capacity is None:
        yield ("assignment", "mode"), "push needs capacity: how much an agent has in hand at once"
    if assignment.release_after < assignment.away_after:
        least = f"at least away_after, {write_duration(assignment.away_after)}"
        yield (
            ("assignment", "release_after"),
            f"{write_duration(assignment.release_after)} would take back what somebody has while they still "
            f"count as here, and give it to them again: {least}",
        )
    if capacity is not None:
        for name, units in capacity.weights.items():
            if units > capacity.default:
                yield ("capacity", "weights", name), f"is more than an agent can hold ({capacity.default})"
    seen: set[str] = set()
    for index, rule in enumerate(assignment.needs):
        path: Path = ("assignment", "needs", index)
        if rule.name in seen:
            yield (*path, "name"), f"{rule.name!r} is already the name of a rule before it"
        seen.add(rule.name)
        if rule.when is None and index < len(assignment.needs) - 1:
            yield path, "has no conditions, so that no rule after it is ever used"
        for message in condition_problems(rule.when, policy) if rule.when else ():
            yield (*path, "when"), message
        if rule.team is not None and rule.team not in policy.teams:
            yield (*path, "team"), no_such("team", rule.team, policy.teams)
        for field, skills in (("skills", rule.skills), ("additional_skills", rule.additional_skills)):
            for skill in skills:
                if skill not in policy.skills:
                    yield (*path, field, skill), no_such("skill", skill, policy.skills)
        for skill, level in rule.additional_skills.items():
            if rule.skills.get(skill, 0) >= level:
                yield (*path, "additional_skills", skill), "adds nothing to what skills asks for already"
