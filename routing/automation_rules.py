"""What a policy says of what happens by itself: its `automations`, and the `templates` that they send."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema, model_validator

from routing.automation_texts import check_template, facts_in
from routing.conditions import Condition
from routing.facts import FACTS
from routing.located_yaml import Path
from routing.policy_fields import STRICT, Duration, Name
from routing.policy_problems import condition_problems, no_such
from routing.promise_rules import ALWAYS, DEFAULT
from routing.types import EventKind, Urgency
from routing.warnings import Recipient

if TYPE_CHECKING:
    from routing.policy import Policy

Since = Literal["opened", "unanswered", "waiting_on_customer", "on_hold", "solved"]
"""What a time can be counted from, and only while it is so."""
SINCE: tuple[Since, ...] = get_args(Since)

SettableStatus = Literal["open", "pending", "on_hold", "solved", "closed"]
MOST_ACTIONS = 10
MOST_TEXT = 4000
# The model has not read a message when it has just come in.
_UNREAD: frozenset[EventKind] = frozenset({"conversation_opened", "message_received"})
_DETAILS: dict[str, frozenset[EventKind]] = {
    "event.tag": frozenset({"tag_added"}),
    "event.before": frozenset({"status_changed", "priority_changed"}),
    "event.promise": frozenset({"promise_broken"}),
}
_KINDS = ("set", "tag", "untag", "notify", "assign", "reply")

TagName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\w\-/:.+#&]+$")]
Text = Annotated[str, Field(min_length=1, max_length=MOST_TEXT), AfterValidator(check_template)]
LanguageOrDefault = Annotated[str, Field(pattern="^([a-z]{2,3}|default)$")]


def _by_language(value: Any) -> Any:
    return {DEFAULT: value} if isinstance(value, str) else value


Template = Annotated[
    dict[LanguageOrDefault, Text],
    Field(min_length=1),
    BeforeValidator(_by_language),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": MOST_TEXT},
                {
                    "type": "object",
                    "propertyNames": {"pattern": "^([a-z]{2,3}|default)$"},
                    "additionalProperties": {"type": "string", "minLength": 1, "maxLength": MOST_TEXT},
                    "required": [DEFAULT],
                },
            ]
        }
    ),
]


class _Part(BaseModel):
    model_config = STRICT


class Setting(_Part):
    """What a conversation is given."""

    priority: Urgency | None = None
    status: SettableStatus | None = None

    @model_validator(mode="after")
    def _sets(self) -> Self:
        if self.priority is None and self.status is None:
            raise ValueError("sets nothing: give a priority or a status")
        return self


class Assignee(_Part):
    """Who gets a conversation: an agent, or a team, whose next free agent gets it."""

    agent: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The address that they sign in with. They get it only if they are online, able and have room."""
    team: Name | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.agent is None) == (self.team is None):
            raise ValueError("name an agent or a team, and not both")
        return self


class Action(_Part):
    """One thing that is done."""

    set: Setting | None = None
    tag: tuple[TagName, ...] = ()
    untag: tuple[TagName, ...] = ()
    notify: tuple[Recipient, ...] = ()
    """Who is told; where none of them is there, the managers are."""
    assign: Assignee | None = None
    reply: Name | None = None
    """The name of a template, which is sent to the customer as an automatic reply."""

    @property
    def kind(self) -> str:
        """Which of them it is."""
        return next(kind for kind in _KINDS if getattr(self, kind))

    @property
    def told(self) -> str:
        """What it does, in a few words."""
        value = getattr(self, self.kind)
        match value:
            case Setting():
                parts = {"priority": value.priority, "status": value.status}
                words = ", ".join(f"{name} {each}" for name, each in parts.items() if each)
            case Assignee():
                words = f"team {value.team}" if value.team else str(value.agent)
            case str():
                words = f"“{value}”"
            case _:
                words = ", ".join(value)
        return f"{self.kind} {words}".replace("_", " ")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        given = [kind for kind in _KINDS if getattr(self, kind)]
        if not given:
            raise ValueError(f"does nothing: write one of {', '.join(_KINDS)}")
        if len(given) > 1:
            raise ValueError(f"does {' and '.join(given)} at once: write each as a line of its own")
        return self


class Automation(_Part):
    """What is done by itself, when something happened or when something has been so for a time."""

    name: Name
    on: tuple[EventKind, ...] = ()
    """What happened, any of these."""
    after: Annotated[dict[Since, Duration], Field(max_length=1)] = {}
    """What has been so, and for how long."""
    calendar: str = ALWAYS
    """A name under calendars, or always: what `after` counts in."""
    when: Condition | None = None
    """An expression in CEL over the facts that must hold when it is done."""
    do: Annotated[tuple[Action, ...], Field(min_length=1, max_length=MOST_ACTIONS)]
    """What is done, in this order. What cannot be done does not stop the rest."""

    @property
    def since(self) -> Since | None:
        """What its time is counted from; None where it waits for an event."""
        return next(iter(self.after), None)

    @property
    def time(self) -> timedelta:
        """How long `since` must have been so. Raises: KeyError where it waits for an event."""
        (time,) = self.after.values()
        return time

    @property
    def asks(self) -> frozenset[str]:
        """The facts that its condition asks."""
        return frozenset(fact.name for fact in self.when.facts) if self.when else frozenset()


def contradictions(policy: Policy) -> Iterator[tuple[Path, str]]:
    """Where automations and templates do not fit together, or not the rest of the policy."""
    for name, template in policy.templates.items():
        if DEFAULT not in template:
            yield ("templates", name), f"has no {DEFAULT}, for every other language"
    seen: dict[str, int] = {}
    for index, automation in enumerate(policy.automations):
        path: Path = ("automations", index)
        before = seen.setdefault(automation.name, index)
        if before != index:
            yield (*path, "name"), f"{automation.name!r} is already the name of automations[{before}]"
        if bool(automation.on) == bool(automation.after):
            yield path, "give either on, what happens, or after, what has been so for a time"
        if automation.calendar not in (*policy.calendars, ALWAYS):
            known = (*policy.calendars, ALWAYS)
            yield (*path, "calendar"), no_such("calendar", automation.calendar, known)
        elif automation.calendar != ALWAYS and not automation.after:
            yield (*path, "calendar"), "is what after counts in, and there is no after"
        for message in _of_condition(automation, policy):
            yield (*path, "when"), message
        for number, action in enumerate(automation.do):
            for where, message in _of_action(action, policy):
                yield (*path, "do", number, *where), message


def _of_condition(automation: Automation, policy: Policy) -> Iterator[str]:
    if automation.when is None:
        return
    yield from condition_problems(automation.when, policy, passing=True)
    unread = sorted(_UNREAD.intersection(automation.on))
    for fact in sorted(automation.when.facts, key=lambda fact: fact.name):
        if fact.by_model and unread:
            yield f"{fact.name} is not known on {unread[0]}, before the model has read it: use on: [analysed]"
        events = _DETAILS.get(fact.name)
        if events is not None and not events.intersection(automation.on):
            yield f"{fact.name} is known only on {' and '.join(sorted(events))}"


def _of_action(action: Action, policy: Policy) -> Iterator[tuple[Path, str]]:
    if action.assign is not None and action.assign.team is not None:
        team = action.assign.team
        if team not in policy.teams:
            yield ("assign", "team"), no_such("team", team, policy.teams)
    if action.reply is not None and action.reply not in policy.templates:
        yield ("reply",), no_such("template", action.reply, policy.templates)


def facts_asked(policy: Policy) -> frozenset[str]:
    """The facts that conditions of automations ask, or that what they send tells."""
    told = {
        fact
        for template in policy.templates.values()
        for text in template.values()
        for fact in facts_in(text)
    }
    return frozenset(told.union(*(automation.asks for automation in policy.automations))) & FACTS.keys()
