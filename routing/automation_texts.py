"""What automations write to customers: texts with placeholders, `Hello {{customer.name | there}}`.

A placeholder names a fact; what stands after the bar is written where it is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from routing.conditions import ConditionError, Fault, suggest
from routing.facts import FACTS, Value
from routing.promise_rules import DEFAULT

_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_PARTS = re.compile(r"\s*([a-z_.]+)\s*(?:\|(.*))?", re.DOTALL)
_BLANKS = re.compile(r"\s+")
# A fact that a customer can choose (a name, a subject) is cut there, and is always one line.
MOST_OF_A_FACT = 200

PLACEHOLDERS: tuple[str, ...] = tuple(
    fact.name for fact in FACTS.values() if fact.type == "text" and fact.name != "text" and not fact.of_event
)
"""The facts that a template may tell. Not the words of a message: nobody should have us repeat theirs."""


def check_template(text: str) -> str:
    """The text, if every placeholder can be filled. Raises: ConditionError, which says where it is wrong."""
    faults = list(_faults(text))
    if faults:
        raise ConditionError(text, faults)
    return text


def facts_in(text: str) -> Iterator[str]:
    """The facts that its placeholders name."""
    for each in _PLACEHOLDER.finditer(text):
        if parts := _PARTS.fullmatch(each[1]):
            yield parts[1]


def fill(template: Mapping[str, str], values: Mapping[str, Value], language: str) -> str:
    """The text for a customer of this language ("" where it is not known), with what is known of them."""

    def filled(match: re.Match[str]) -> str:
        parts = _PARTS.fullmatch(match[1])
        assert parts is not None
        known = _BLANKS.sub(" ", str(values.get(parts[1], ""))).strip()[:MOST_OF_A_FACT]
        return known or (parts[2] or "").strip()

    return _PLACEHOLDER.sub(filled, template.get(language) or template[DEFAULT]).strip()


def _faults(text: str) -> Iterator[Fault]:
    if not text.strip():
        yield Fault(0, "is empty")
    for each in _PLACEHOLDER.finditer(text):
        parts = _PARTS.fullmatch(each[1])
        name = parts[1] if parts else each[1].strip()
        if name == "text":
            yield Fault(each.start(), "a template cannot repeat what a customer wrote")
        elif name not in PLACEHOLDERS:
            what = (
                "cannot be told to customers" if name in FACTS else f"is no fact{suggest(name, PLACEHOLDERS)}"
            )
            yield Fault(each.start(), f"{{{{{name}}}}} {what}")
    rest = _PLACEHOLDER.sub(lambda match: " " * len(match[0]), text)
    for brackets in ("{{", "}}"):
        if brackets in rest:
            yield Fault(
                rest.index(brackets), f"{brackets} stands alone: a placeholder is {{{{customer.name}}}}"
            )
