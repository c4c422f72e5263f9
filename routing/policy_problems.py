"""What can be wrong with a policy beyond its YAML, said so that a manager can mend it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from routing.conditions import Condition, ConditionError, suggest
from routing.located_yaml import Document, Path, Problem
from routing.promise_rules import ALWAYS, DEFAULT, REQUIRED, Rule
from routing.types import METRICS
from routing.weight_rules import Weights

if TYPE_CHECKING:
    from routing.calendar_rules import CalendarRules
    from routing.policy import ListeningRule, Policy

_MESSAGES = {
    "missing": "is missing",
    "tuple_type": "write a list, such as [a, b]",
    "dict_type": "write names and values, one a line",
    "model_type": "write names and values, one a line",
    "string": "is no text: put it in quotes",
    "bool": "write true or false",
    "int": "write a whole number",
    "float": "write a number",
    "decimal": "write a number",
    "date": "is no date: write it as 2026-12-24",
    "greater_than_equal": "is less than {ge:g}, the least",
    "greater_than": "must be more than {gt:g}",
    "less_than_equal": "is more than {le:g}, the most",
    "less_than": "must be less than {lt:g}",
    "string_too_short": "is empty",
    "string_too_long": "has more than {max_length} characters",
    "string_pattern_mismatch": "does not look like {pattern}",
    "finite_number": "write a number",
    "too_short": "is empty: name at least one",
    "too_long": "has more than {max_length}",
}
"""By the type of pydantic's finding, or what that begins with."""
_BANDS = {
    "spend": "top",
    "lifetime_value": "at_least",
    "followers": "at_least",
    "contacts": "at_least",
    "valence": "at_most",
}


def field_problems(error: ValidationError, document: Document, schema: Mapping[str, Any]) -> list[Problem]:
    """What pydantic found, in our words and at its place."""
    problems = []
    details = error.errors(include_url=False)
    faulty_within = {each["loc"][:length] for each in details for length in range(len(each["loc"]))}
    for detail in details:
        if detail["type"] == "too_short" and detail["loc"] in faulty_within:
            # What is wrong with its items was told; that none of them is right says nothing new.
            continue
        path: Path = tuple(part for part in detail["loc"] if part != "[key]")
        match detail["type"]:
            case "extra_forbidden":
                known = _names_at(schema, path[:-1])
                message = f"unknown name{suggest(str(path[-1]), known)}"
            case "literal_error":
                expected = detail["ctx"]["expected"].replace(" or ", ", ").split(", ")
                known = [value.strip("'") for value in expected]
                message = f"{detail['input']!r} is not known{suggest(str(detail['input']), known)}"
            case "value_error" if isinstance(faulty := detail["ctx"]["error"], ConditionError):
                problems += [
                    document.problem(path, fault.message, text=faulty.text, at=fault.at)
                    for fault in faulty.faults
                ]
                continue
            case "value_error":
                message = str(detail["ctx"]["error"])
            case kind:
                ours = _MESSAGES.get(kind) or _MESSAGES.get(kind.partition("_")[0])
                # Only ours has names to fill: what is said elsewhere may have braces of its own.
                message = ours.format_map(detail.get("ctx", {})) if ours else detail["msg"]
        problems.append(document.problem(path, message))
    return problems


def contradictions(policy: Policy) -> Iterator[tuple[Path, str]]:
    """Where parts that are right each for itself do not fit together."""
    yield from _in_tiers(policy)
    if policy.currency in policy.exchange_rates:
        yield ("exchange_rates", policy.currency), "is the policy's own currency, which counts 1"
    yield from _in_bands(policy.weights)
    yield from _in_order("policies", policy.policies, policy)
    yield from _in_order("listening", policy.listening, policy)
    for index, rule in enumerate(policy.policies):
        yield from _in_rule(("policies", index), rule, policy)
    *others, last = policy.policies
    if not last.matches_all:
        path = ("policies", len(others), "when")
        yield path, "the last policy must be for everybody: leave out its conditions"
    for tier in policy.weights.tier:
        if tier not in (*policy.tiers, DEFAULT):
            yield ("weights", "tier", tier), no_such("tier", tier, (*policy.tiers, DEFAULT))


def _in_tiers(policy: Policy) -> Iterator[tuple[Path, str]]:
    seen: set[str] = set()
    for index, tier in enumerate(policy.tiers):
        if tier.casefold() in seen:
            yield ("tiers", index), f"{tier!r} is given twice"
        elif tier.casefold() == DEFAULT:
            yield ("tiers", index), f"{DEFAULT} stands for everybody without a tier and cannot be one"
        seen.add(tier.casefold())


def _in_bands(weights: Weights) -> Iterator[tuple[Path, str]]:
    """Of two bands with the same bound only one could count."""
    for factor, bound in _BANDS.items():
        seen: dict[float, int] = {}
        for index, band in enumerate(getattr(weights, factor)):
            before = seen.setdefault(getattr(band, bound), index)
            if before != index:
                path = ("weights", factor, index, bound)
                yield path, f"is already the bound of weights.{factor}[{before}]"


def _in_order(part: str, rules: Sequence[Rule | ListeningRule], policy: Policy) -> Iterator[tuple[Path, str]]:
    """Of rules of which the first that matches decides."""
    one = "policy" if part == "policies" else "rule"
    first_use: dict[str, int] = {}
    for index, rule in enumerate(rules):
        before = first_use.setdefault(rule.name, index)
        if before != index:
            yield (part, index, "name"), f"{rule.name!r} is already the name of {part}[{before}]"
        if rule.matches_all and index < len(rules) - 1:
            yield (part, index), f"has no conditions, so that no {one} after it is ever used"
        if rule.when is not None:
            for message in condition_problems(rule.when, policy):
                yield (part, index, "when"), message


def condition_problems(condition: Condition, policy: Policy, passing: bool = False) -> Iterator[str]:
    """What is wrong with a condition in this policy. `passing`: it is one of an automation, asked as time
    passes and of events."""
    for _, tier in condition.compared_with("customer.tier"):
        if tier and tier not in policy.tiers:
            yield no_such("tier", tier, policy.tiers)
    for fact in condition.facts:
        if fact.passing and not passing:
            yield f"{fact.name} changes as time passes, and this is asked only when something happens"
        if fact.of_event and not passing:
            yield f"{fact.name} is of an event, and only automations know of any"


def _in_rule(path: Path, rule: Rule, policy: Policy) -> Iterator[tuple[Path, str]]:
    if rule.calendar not in (*policy.calendars, ALWAYS):
        yield (*path, "calendar"), no_such("calendar", rule.calendar, (*policy.calendars, ALWAYS))
    rules = policy.calendars.get(rule.calendar)
    for metric in METRICS:
        targets = rule.targets(metric)
        if DEFAULT not in targets and metric in REQUIRED:
            yield (*path, metric), f"has no {DEFAULT}, for everybody whose tier is not named"
        in_calendar = rules is not None and rule.calendar_name(metric) == rule.calendar
        for tier, target in targets.items():
            if tier not in (*policy.tiers, DEFAULT):
                yield (*path, metric, tier), no_such("tier", tier, (*policy.tiers, DEFAULT))
            longest = max(target.values()) if isinstance(target, dict) else target
            if in_calendar and rules and any(rules.hours.days) and longest > _open_in_a_year(rules):
                yield (*path, metric, tier), f"is more than {rule.calendar!r} is open in a year"


def _open_in_a_year(rules: CalendarRules) -> timedelta:
    minutes = sum(interval.end - interval.start for day in rules.hours.days for interval in day)
    return timedelta(minutes=minutes * 52)


def no_such(what: str, name: str, known: Iterable[str]) -> str:
    """That there is none of this name, and which was meant if one is near."""
    return f"no such {what}: {name!r}{suggest(name, known)}"


def _names_at(schema: Mapping[str, Any], path: Path) -> list[str]:
    """The names that a part of the policy may have, by its JSON Schema."""
    node: Mapping[str, Any] = schema
    for part in (*path, None):
        for option in node.get("anyOf", ()):
            if "$ref" in option:
                node = option
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        if part is None:
            break
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties", {})
    return list(node.get("properties", ()))
