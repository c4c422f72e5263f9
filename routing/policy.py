"""The written rules: targets, factors, calendars, assignment. Read from YAML; errors name line and field."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache, cached_property
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from routing import assignment_rules, automation_rules, calendar_rules, warnings
from routing.assignment_rules import Assignment, Capacity
from routing.automation_rules import Automation, Template
from routing.calendar_rules import CalendarRules, TimeZone
from routing.calendars import Calendar, HolidaySource
from routing.conditions import CONDITIONS, Condition
from routing.handling import Handling
from routing.located_yaml import Problem, read_yaml
from routing.plan_rules import PlanRules
from routing.policy_fields import STRICT, Currency, Name
from routing.policy_problems import contradictions, field_problems
from routing.promise_rules import ALWAYS, Rule
from routing.query import parse_query
from routing.types import EVENT_KINDS, EventKind, Metric
from routing.warnings import WarningStep
from routing.weight_rules import Weights

MOST_AUTOMATIONS = 200


class PolicyError(Exception):
    """The policy cannot be used; every problem names its line and field."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"line {p.line}: {p.field}: {p.message}" for p in problems))


def _check_query(value: str) -> str:
    parse_query(value)
    return value


QueryText = Annotated[str, AfterValidator(_check_query), Field(max_length=4000)]


class _Part(BaseModel):
    model_config = STRICT


class ListeningRule(_Part):
    """What becomes of an overheard message."""

    name: Name
    query: QueryText | None = None
    """A boolean query that must find it, as docs/queries.md tells it."""
    when: Condition | None = None
    """An expression in CEL over the facts that must hold too."""
    then: Literal["conversation", "count"]
    """A conversation has a place in the queue; what is only counted is in every report."""

    @property
    def matches_all(self) -> bool:
        """Whether there is no condition."""
        return self.query is None and self.when is None


class SecondPromise(_Part):
    """What a conversation is worth, once its first promise gave way, when that might return."""

    weight_factor: Annotated[float, Field(gt=0, le=1)] = 0.5


class Policy(_Part):
    """How a brand answers. Policies are tried from top to bottom; the first that matches decides."""

    time_zone: TimeZone
    currency: Currency
    exchange_rates: dict[Currency, Annotated[Decimal, Field(gt=0)]] = {}
    """What one unit of another currency is worth in `currency`."""
    tiers: tuple[Name, ...] = ()
    """Loyalty tiers, the best first."""
    calendars: dict[Name, CalendarRules] = {}
    policies: Annotated[tuple[Rule, ...], Field(min_length=1)]
    listening: tuple[ListeningRule, ...] = ()
    """What becomes of overheard messages, tried from top to bottom; what matches none is only counted."""
    weights: Weights = Weights()
    handling: Handling
    teams: tuple[Name, ...] = ()
    """Groups of agents, whom conversations can be kept for."""
    skills: tuple[Name, ...] = ()
    """What agents can be good at; each agent has a level of it, 1 to 5."""
    capacity: Capacity | None = None
    """How much an agent has in hand at once; without it there is no limit."""
    assignment: Assignment = Assignment()
    second_promise: SecondPromise = SecondPromise()
    plan: PlanRules = PlanRules()
    warnings: tuple[WarningStep, ...] = ()
    """When somebody is told that a promise is about to break, or has broken."""
    automations: Annotated[tuple[Automation, ...], Field(max_length=MOST_AUTOMATIONS)] = ()
    """What is done by itself, asked from top to bottom; all that apply run."""
    templates: dict[Name, Template] = {}
    """What automations send to customers: one text, or one for each language and a default."""

    @property
    def assigns_freely(self) -> bool:
        """Whether anybody may take anything: no rule says more of who gets what."""
        rules = self.assignment
        return not (self.capacity or rules.needs or rules.known_customer) and rules.mode == "pull"

    def calendar(self, name: str) -> Calendar:
        """The calendar of that name. Raises: KeyError."""
        return self._calendars[name]

    def calendar_of(self, rule_name: str, metric: Metric = "first_reply_time") -> Calendar:
        """What a rule counts a metric in; always open for a rule that is not in the policy."""
        return self._calendars[self.calendar_name_of(rule_name, metric)]

    def calendar_name_of(self, rule_name: str, metric: Metric) -> str:
        """The name of that calendar."""
        rule = self._rules.get(rule_name)
        return rule.calendar_name(metric) if rule else ALWAYS

    def weighs(self, fact: str) -> bool:
        """Whether a weight depends on this fact of a customer."""
        return bool(getattr(self.weights, fact.removeprefix("customer."), ()))

    def asks(self, fact: str) -> bool:
        """Whether any condition asks this fact, so that it need not be found out for nothing."""
        return fact in self.asked

    def automations_on(self, kind: EventKind) -> tuple[Automation, ...]:
        """The automations that are asked when this happens."""
        return self._automations_on.get(kind, ())

    @cached_property
    def timed_automations(self) -> tuple[Automation, ...]:
        """The automations that wait until something has been so for a time."""
        return tuple(automation for automation in self.automations if automation.after)

    @cached_property
    def asked(self) -> frozenset[str]:
        """The facts that any condition asks, or that templates tell."""
        conditions = [
            *(rule.when for rule in self.policies),
            *(rule.when for rule in self.listening),
            *(rule.when for rule in self.assignment.needs),
        ]
        asked = frozenset(fact.name for when in conditions if when is not None for fact in when.facts)
        return asked | automation_rules.facts_asked(self)

    def known_tier(self, tier: str | None) -> str | None:
        """The tier as the policy spells it, None where it has no such tier."""
        return self._tiers.get(tier.casefold()) if tier else None

    def base_amount(self, amount: Decimal, currency: str) -> Decimal:
        """The amount in the brand's currency. Raises: KeyError for a currency without an exchange rate."""
        return amount if currency == self.currency else amount * self.exchange_rates[currency]

    @cached_property
    def _rules(self) -> Mapping[str, Rule]:
        return {rule.name: rule for rule in self.policies}

    @cached_property
    def _automations_on(self) -> Mapping[EventKind, tuple[Automation, ...]]:
        return {
            kind: tuple(automation for automation in self.automations if kind in automation.on)
            for kind in EVENT_KINDS
        }

    @cached_property
    def _tiers(self) -> Mapping[str, str]:
        return {tier.casefold(): tier for tier in self.tiers}

    @cached_property
    def _calendars(self) -> Mapping[str, Calendar]:
        built = {name: self._build(rules) for name, rules in self.calendars.items()}
        return built | {ALWAYS: Calendar.always()}

    def _build(self, rules: CalendarRules) -> Calendar:
        given = rules.holidays
        source = HolidaySource(given.country, given.subdivision) if given else None
        return Calendar(rules.time_zone or self.time_zone, rules.hours.days, source, rules.exceptions)


def read_policy(text: str, *, ruled: bool = False) -> Policy:
    """Read a policy file. Raises: PolicyError.

    `ruled`: the check of an earlier hub let it rule. What is refused since, though it can be read, is let be.
    """
    document = read_yaml(text)
    problems = document.problems
    if isinstance(document.data, dict):
        policy: Policy | None
        try:
            policy = Policy.model_validate(document.data, context={CONDITIONS: "ruled" if ruled else None})
        except ValidationError as error:
            problems += field_problems(error, document, policy_schema())
            policy = _whatever_its_conditions(document.data)
        if policy is not None and not ruled:
            found = (
                *contradictions(policy),
                *calendar_rules.contradictions(policy),
                *assignment_rules.contradictions(policy),
                *warnings.contradictions(policy),
                *automation_rules.contradictions(policy),
            )
            problems += [document.problem(path, message) for path, message in found]
        if policy is not None and not problems:
            return policy
    elif not problems:
        problems.append(document.problem((), "a policy is a mapping of names to values"))
    raise PolicyError(tuple(sorted(problems, key=lambda problem: (problem.line, problem.column))))


def _whatever_its_conditions(data: dict[str, Any]) -> Policy | None:
    """The policy, where nothing but conditions is wrong: so what else does not fit can be told with them."""
    try:
        return Policy.model_validate(data, context={CONDITIONS: "unread"})
    except ValidationError:
        return None


@cache
def policy_schema() -> Mapping[str, Any]:
    """The JSON Schema of a policy file, as published in docs/policy.schema.json."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Policy.model_json_schema()}
    return schema | {"title": "cem-hub policy"}


DEFAULT_POLICY: str = files("routing").joinpath("default_policy.yaml").read_text(encoding="utf-8")
