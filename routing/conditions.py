"""Conditions: expressions in CEL over the facts, checked when they are read.

CEL is the Common Expression Language, https://cel.dev. Google's own implementation parses, checks types and
evaluates; here its findings are told in our words, and what it cannot know is checked beside it: which values
a fact can have.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from typing import Any

from cel_expr_python import cel
from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from routing.condition_words import Word, compared, numbers, thresholds, whole_numbers_to_widen, words_of
from routing.facts import ABSENT, FACTS, Fact, FactType, Value, values_of
from routing.types import Facts

MOST_CHARACTERS = 4000
CONDITIONS = "conditions"
"""In the context of a validation: `ruled`, as for `Condition.parse`, or `unread`: any text is let be."""
FUNCTIONS = ("size", "contains", "startsWith", "endsWith", "matches", "exists", "all", "exists_one", "filter")
"""Those of CEL that the guide tells of."""

_TYPES = {
    "text": cel.Type.STRING,
    "number": cel.Type.DOUBLE,
    "yes or no": cel.Type.BOOL,
    "list": cel.Type.List(cel.Type.STRING),
}
_ENV = cel.NewEnv(variables={fact.name: _TYPES[fact.type] for fact in FACTS.values()})
_NOTHING: Mapping[str, Value] = {fact.name: ABSENT[fact.type] for fact in FACTS.values()}

_ARTICLES = {"text": "a text", "number": "a number", "yes or no": "yes or no", "list": "a list"}
_CEL_TYPES = {
    "string": "a text",
    "double": "a number",
    "int": "a whole number",
    "uint": "a whole number",
    "bool": "yes or no",
    "null_type": "null",
}
_INSTEAD = {
    "and": "&&",
    "or": "||",
    "not": "!",
    "AND": "&&",
    "OR": "||",
    "NOT": "!",
    "=": "==",
    "&": "&&",
    "|": "||",
}
_NOT_KNOWN = 'what is not known is "" as a text, and no comparison with it as a number holds'
_ORDER = ("<", "<=", ">", ">=")
_BINARY = ("==", "!=", *_ORDER, "+", "-", "*", "/", "&&", "||")
_NEEDS = ("needs two that match", "needs a list on its right")
_FINDING = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_RANGE = re.compile(r"expression of type '([^']*)' cannot be the range of a comprehension")
_SELECT = re.compile(r"expression of type '([^']*)' cannot be the operand of a select")
_MACRO = re.compile(r"(\w+)\(\) variable name must be a simple identifier")
_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '\((.*)\)'")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in an expression, at this character of it."""

    at: int
    message: str


class ConditionError(ValueError):
    """The expression cannot be used; `faults` says why, each at its place in `text`."""

    def __init__(self, text: str, faults: Iterable[Fault]) -> None:
        self.text = text
        self.faults = tuple(sorted(faults, key=lambda fault: fault.at))
        super().__init__("; ".join(fault.message for fault in self.faults))


class Known:
    """The facts of one conversation as conditions see them: read once, asked as often as you like."""

    __slots__ = ("activation", "values")

    def __init__(
        self, facts: Facts, tier: str | None, threshold: float, names: Collection[str] | None = None
    ) -> None:
        """`tier` as the policy spells it; what the model is less sure of than `threshold` is not known.

        With `names`, only conditions can be asked that ask no other facts.
        """
        self.values = values_of(facts, tier, threshold, names)
        self.activation = _ENV.Activation(self.values)


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression over the facts that is yes or no. Made of a text by `parse`, by pydantic in a model.

    It is its text, so that it can be compared, hashed and sent elsewhere; compiled once in each process.
    """

    text: str

    @classmethod
    def parse(cls, text: object, *, ruled: bool = False) -> Condition:
        """Check an expression: its words, its types, the values it compares with. Raises: ConditionError.

        `ruled`: an earlier check let it pass; then values that can never be are let be.
        """
        if isinstance(text, Condition):
            return text
        if not isinstance(text, str):
            raise ConditionError("", [Fault(0, _old_spelling(text))])
        if len(text) > MOST_CHARACTERS:
            raise ConditionError(text, [Fault(0, f"has more than {MOST_CHARACTERS} characters")])
        faults = list(_faults(text, ruled))
        if faults:
            raise ConditionError(text, faults)
        return cls(text)

    @classmethod
    def _validated(cls, text: object, info: ValidationInfo) -> Condition:
        how = (info.context or {}).get(CONDITIONS)
        if how == "unread" and isinstance(text, str) and len(text) <= MOST_CHARACTERS:
            return cls(text)
        return cls.parse(text, ruled=how == "ruled")

    def holds(self, known: Known) -> bool:
        """Whether it is so. Never raises: what cannot be told (the third of two intents) is not so."""
        return _program(self.text).eval(known.activation).value() is True

    @property
    def facts(self) -> frozenset[Fact]:
        """The facts that it asks."""
        asked = (word.text for word in words_of(self.text) if word.kind == "path")
        return frozenset(FACTS[name] for name in asked if name in FACTS)

    def compared_with(self, fact: str) -> Iterator[tuple[int, str]]:
        """The texts that `fact` is compared with, each with its place in the expression."""
        for each in compared(words_of(self.text)):
            if each.fact == fact and each.literal.kind == "text":
                yield each.literal.start, each.value

    def thresholds(self, fact: str) -> list[float] | None:
        """The numbers that `fact` is compared with; None where more is done with it than to compare it."""
        return thresholds(words_of(self.text), fact)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._validated,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda condition: condition.text),
            json_schema_input_schema=core_schema.str_schema(min_length=1, max_length=MOST_CHARACTERS),
        )


def suggest(name: str, known: Iterable[str]) -> str:
    """The nearest right name, or all where there are few and none is near."""
    known = sorted(set(known))
    near = [each for each in known if each.casefold() == name.casefold()]
    near = near or get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known are {', '.join(known)}" if 0 < len(known) <= 20 else ""


@lru_cache(maxsize=4096)
def _program(text: str) -> Any:
    return _ENV.compile(_widened(text, words_of(text))[0])


def _faults(text: str, ruled: bool) -> Iterator[Fault]:
    words = words_of(text)
    if not words:
        yield Fault(0, 'is empty: write a condition such as channel.kind == "social", or leave it out')
        return
    unreadable = list(_unreadable(words))
    if unreadable:
        yield from unreadable
        return
    wrong = [*_wrong_values(words), *(() if ruled else _never(words))]
    yield from wrong
    widened, inserted = _widened(text, words)
    try:
        program = _ENV.compile(widened)
    except RuntimeError as error:
        for fault in _translated(str(error), text, widened, inserted, words):
            # A wrong value beside a fact was told already, by its own place.
            if not (wrong and any(needs in fault.message for needs in _NEEDS)):
                yield fault
        return
    if wrong:
        return
    if program.return_type() != cel.Type.BOOL:
        kind = _in_words(program.return_type().name().lower())
        yield Fault(0, f"gives {kind}, and a condition must be yes or no: compare it with something")
    yield from _wrong_patterns(words)


def _unreadable(words: list[Word]) -> Iterator[Fault]:
    for word in words:
        if word.kind == "bad" or (word.kind == "path" and word.text in _INSTEAD):
            instead = _INSTEAD.get(word.text)
            if instead:
                yield Fault(word.start, f"{word.text!r} is no word of CEL: write {instead}")
            elif word.text in "\"'":
                yield Fault(word.start, "a text begins here and does not end")
            else:
                yield Fault(word.start, f"{word.text!r} cannot stand here")
            return
    for word, after in pairwise(words):
        if word.kind == "path" and word.text == "has" and after.text == "(":
            yield Fault(word.start, f"has() is not needed: {_NOT_KNOWN}")
        elif after.kind == "path" and after.text == "null":
            yield Fault(after.start, f"null is not needed: {_NOT_KNOWN}")


def _wrong_values(words: list[Word]) -> Iterator[Fault]:
    for each in compared(words):
        fact, literal = FACTS[each.fact], each.literal
        wanted: FactType = "text" if fact.type == "list" else fact.type
        kind = _kind_of(literal)
        if kind != wanted:
            what = "a list of texts" if fact.type == "list" else _ARTICLES[fact.type]
            given = f"{literal.text} {'a number' if kind == 'number' else 'is ' + _ARTICLES[kind]}"
            yield Fault(literal.start, f"{fact.name} is {what}, {given}")
        elif fact.values and each.value and each.value not in fact.values:
            yield Fault(
                literal.start, f"{fact.name} is never {each.value!r}{suggest(each.value, fact.values)}"
            )


def _never(words: list[Word]) -> Iterator[Fault]:
    """Texts that no value of a fact looks like, and numbers out of its reach."""
    for each in compared(words):
        form, lower = FACTS[each.fact].form, each.value.lower()
        if form and each.literal.kind == "text" and each.value and not re.fullmatch(form[0], each.value):
            near = f"; did you mean {lower}?" if re.fullmatch(form[0], lower) else ""
            yield Fault(each.literal.start, f"{each.fact} is {form[1]}, never {each.value!r}{near}")
    for name, literal, number in numbers(words):
        least, most = FACTS[name].within or (number, number)
        if not least <= number <= most:
            # 90 for 90 %.
            near = (
                f"; did you mean {number / 100:g}?" if (least, most) == (0, 1) and 1 < number <= 100 else ""
            )
            yield Fault(literal.start, f"{name} is {least:g} to {most:g}, never {number:g}{near}")


def _kind_of(literal: Word) -> FactType:
    if literal.kind == "text":
        return "text"
    return "yes or no" if literal.kind == "path" else "number"


def _wrong_patterns(words: list[Word]) -> Iterator[Fault]:
    """Regular expressions are read only when they are asked: asked here of an empty text."""
    for word, opened, pattern in zip(words, words[1:], words[2:], strict=False):
        if word.text == "matches" and opened.text == "(" and pattern.kind == "text":
            answer = _ENV.compile(f'"".matches({pattern.text})').eval(data=_NOTHING)
            if answer.type() == cel.Type.ERROR:
                why = str(answer.value()).removeprefix("INVALID_ARGUMENT: ")
                yield Fault(pattern.start, f"{pattern.text}: {why}")


def _widened(text: str, words: list[Word]) -> tuple[str, list[int]]:
    """The text with `.0` after its whole numbers, and where that was put, counted in the text as it was."""
    ends = [word.end for word in whole_numbers_to_widen(words)]
    parts, last = [], 0
    for end in ends:
        parts.append(text[last:end] + ".0")
        last = end
    return "".join(parts) + text[last:], ends


def _translated(
    said: str, text: str, widened: str, inserted: list[int], words: list[Word]
) -> Iterator[Fault]:
    """What the library found, in our words and at its place in the text as it was written."""
    findings = _FINDING.findall(said)
    if not findings:
        yield Fault(0, "is nested too deeply" if "recursion" in said else said.splitlines()[0])
    for line, column, message in findings:
        lines = widened.splitlines(keepends=True)
        at = sum(len(each) for each in lines[: int(line) - 1]) + int(column) - 1
        for end in inserted:
            at -= 2 if at > end else 0
        at = min(at, len(text))
        index = next((i for i, word in enumerate(words) if word.start <= at < word.end), None)
        if undeclared := _UNDECLARED.match(message):
            yield _no_such(undeclared[1], index, words, at)
        elif overload := _OVERLOAD.match(message):
            yield _mismatch(overload[1], overload[2], index, words, at)
        elif "Syntax error" in message:
            near = "its end" if index is None else repr(words[index].text)
            yield Fault(at, f"cannot be read near {near}: {_hint(index, words)}")
            # What comes after it was read wrongly.
            return
        elif ranged := _RANGE.match(message):
            yield Fault(at, f"{_called(index, words)} needs a list before it, not {_in_words(ranged[1])}")
        elif selected := _SELECT.match(message):
            yield _no_member(_in_words(selected[1]), index, words, at)
        elif macro := _MACRO.match(message):
            example = f'intents.{macro[1]}(i, i == "complaint")'
            yield Fault(at, f"{macro[1]} first needs a name for what it looks at: {example}")
        else:
            yield Fault(at, message)


def _hint(index: int | None, words: list[Word]) -> str:
    opened = sum(word.text in ("(", "[") for word in words) - sum(word.text in (")", "]") for word in words)
    if opened > 0:
        return "a bracket is not closed"
    if opened < 0:
        return "a bracket too many"
    return "something is missing after it" if index is None else "an operator such as && or == may be missing"


def _no_such(name: str, index: int | None, words: list[Word], at: int) -> Fault:
    """`undeclared` names a fact, a group of facts or a function."""
    word = words[index] if index is not None else None
    if index is not None and word is not None and word.text == "(":
        word = words[index - 1]
    if word is None:
        return Fault(at, f"no such name: {name}")
    after = words[words.index(word) + 1].text if words.index(word) + 1 < len(words) else ""
    if word.text in FUNCTIONS:
        return Fault(word.start, f"{word.text} is used otherwise: not with so many values, or not of this")
    if word.kind == "method" or after == "(":
        return Fault(word.start, f"no such function: {word.text}{suggest(word.text, FUNCTIONS)}")
    members = [fact for fact in FACTS if fact.startswith(f"{word.text}.")]
    if members:
        return Fault(word.start, f"{word.text} is a group of facts: write one of {', '.join(members)}")
    by_last = [fact for fact in FACTS if fact.rsplit(".", 1)[-1] == word.text.rsplit(".", 1)[-1]]
    near = f"; did you mean {by_last[0]}?" if len(by_last) == 1 else suggest(word.text, FACTS)
    if not near and any(word.text in fact.values for fact in FACTS.values()):
        near = f'; a text stands in quotes: "{word.text}"'
    return Fault(word.start, f"no such fact: {word.text}{near}")


def _no_member(kind: str, index: int | None, words: list[Word], at: int) -> Fault:
    """Something is asked of a fact as if that were a group of facts."""
    word = words[index] if index is not None else None
    if word is not None and word.kind == "path":
        fact = max((name for name in FACTS if word.text.startswith(f"{name}.")), key=len, default=None)
        if fact is not None:
            return Fault(word.start, f"no such fact: {word.text}; did you mean {fact}? It is {kind}")
    return Fault(at, f"{kind} has no parts with names")


def _called(index: int | None, words: list[Word]) -> str:
    """The method that is called on what stands there."""
    methods = [word.text for word in words[index or 0 :] if word.kind == "method"]
    return methods[0] if methods else "this"


def _mismatch(operator: str, types: str, index: int | None, words: list[Word], at: int) -> Fault:
    """Two sides that do not go together; each by its name where it is a single word."""
    kinds = [_in_words(kind) for kind in re.findall(r"\w+(?:\([^)]*\))?", types)]
    sign = operator.strip("_").lstrip("@")
    binary = index is not None and words[index].text in (*_BINARY, "in")
    if sign == "%":
        return Fault(at, "% is of whole numbers, and every number here may have a point")
    if sign == "!" and index is not None and index + 1 < len(words):
        denied = f"{words[index + 1].text} is {kinds[0]}"
        return Fault(at, f"! denies yes or no, and {denied}: put a comparison in brackets")
    if sign == "[_]":
        return Fault(at, f"what stands in [ ] is the place in a list, counted from 0, not {kinds[-1]}")
    if sign == "?_:":
        return Fault(at, f"? and : need two that match, not {kinds[-2]} and {kinds[-1]}")
    if len(kinds) == 2 and binary and index is not None and 0 < index < len(words) - 1:
        left, right = words[index - 1].text, words[index + 1].text
        if kinds[0] == "yes or no" and index > 1 and words[index - 2].text in _ORDER:
            return Fault(at, f"{sign} cannot go on from {words[index - 2].text}: join two comparisons by &&")
        if sign in ("==", "!=") and sorted(kinds) == ["a list", "a text"]:
            listed, one = (left, right) if kinds[0] == "a list" else (right, left)
            written = f"{one} in {listed}" if sign == "==" else f"!({one} in {listed})"
            return Fault(at, f"{listed} is a list: write {written}")
        if kinds[0] == kinds[1] and sign != "in":
            return Fault(at, f"{sign} cannot be used with {kinds[0]} and {kinds[1]}")
        if left != ")" and right not in ("(", "[", "-", "!"):
            needs = _NEEDS[sign == "in"]
            return Fault(at, f"{left} is {kinds[0]}, {right} is {kinds[1]}: {sign} {needs}")
    return Fault(at, f"{sign} cannot be used with {' and '.join(kinds)}")


def _in_words(kind: str) -> str:
    return "a list" if kind.startswith("list") else _CEL_TYPES.get(kind, kind)


_OLD = {
    "channel": "channel.name in {}",
    "channel_kind": "channel.kind in {}",
    "tier": "customer.tier in {}",
    "sentiment": "sentiment in {}",
    "language": "language in {}",
    "spend_percentile_at_least": "customer.spend_percentile >= {}",
    "followers_at_least": "customer.followers >= {}",
}


def _old_spelling(given: object) -> str:
    """What to write instead of the names and values that conditions once were."""
    if not isinstance(given, Mapping) or not given:
        return "write a condition such as 'channel.kind == \"social\"'"
    parts = []
    for name, value in given.items():
        each = value if isinstance(value, list) else [value]
        texts = "[" + ", ".join(f'"{item}"' for item in each) + "]"
        if name == "intent":
            parts.append(" || ".join(f'"{item}" in intents' for item in each))
            if len(each) > 1 and len(given) > 1:
                parts[-1] = f"({parts[-1]})"
        elif name in ("known_customer", "expects_reply"):
            fact = "customer.known" if name == "known_customer" else name
            parts.append(fact if value is True else f"!{fact}")
        elif name in _OLD:
            parts.append(_OLD[name].format(value if name.endswith("_at_least") else texts))
    apart = "; `query` stands beside `when` by itself" if "query" in given else ""
    written = f"'{' && '.join(parts)}'" if parts else "a condition"
    return f"is one line now: write {written}{apart}"
