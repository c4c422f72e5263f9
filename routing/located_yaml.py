"""YAML that remembers on which line everything stands, so that a mistake can be shown where it was made."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
MOST_CHARACTERS = 500_000
_TAGGED = re.compile(r"!(?!!)")
# A line whose value begins with what YAML reads by itself, as conditions may.
_SIGN = re.compile(r"[\s-]*(?:[\w ]+:\s+)?(?=([!\"]))(.*?)\s*(?: #.*)?$")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `line` and `column` count from 1; `field` is dotted, empty for the whole."""

    line: int
    column: int
    field: str
    message: str


@dataclass(slots=True)
class Document:
    """Plain data with the place of every key and item. `data` is None where the text cannot be read."""

    data: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, message: str, *, text: str = "", at: int = 0) -> Problem:
        """A problem at `path`, or at the nearest thing around it that stands in the text.

        `text` is the scalar there and `at` the character of it that is wrong: where it has several lines (a
        block after `|`), the problem is on the line of that character.
        """
        near = path
        while near and near not in self.places:
            near = near[:-1]
        line, column = self.places.get(near, (1, 1))
        if "\n" in text.rstrip("\n"):
            line += 1 + text.count("\n", 0, at)
        return Problem(line, column, dotted(path), message)


class _Loader(yaml.SafeLoader):
    """The scalars of YAML 1.2: here `no` is Norwegian and a date is read by who wants a date."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?(?:0|[1-9][0-9]{0,17})$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(_TAG + _tag, re.compile(_pattern), list(_first))

_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": lambda value: value.lower() == "true",
    "null": lambda value: None,
}


def dotted(path: Path) -> str:
    """`policies[1].first_reply_time.platinum`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def read_yaml(text: str) -> Document:
    """Read one YAML document. Never raises: what cannot be read, and keys given twice, are its problems."""
    document = Document()
    if len(text) > MOST_CHARACTERS:
        document.problems.append(Problem(1, 1, "", f"the text has more than {MOST_CHARACTERS} characters"))
        return document
    try:
        root = yaml.compose(text, Loader=_Loader)
        if root is None:
            document.problems.append(Problem(1, 1, "", "the document is empty"))
        else:
            document.data = _build(root, (), document, set())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        signs = _SIGN.match("".join(text.splitlines()[line - 1 : line]))
        why = _in_quotes(signs[1], signs[2]) if signs else error.problem or error.context
        document.problems.append(Problem(line, column, "", f"not YAML: {why}"))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.problems.append(Problem(line, 1, "", f"not YAML: {error.reason}"))
    except RecursionError:
        document.problems.append(Problem(1, 1, "", "the document is nested too deeply"))
    return document


def _build(node: yaml.Node, path: Path, document: Document, seen: set[int]) -> Any:
    document.places.setdefault(path, _place(node))
    if id(node) in seen:
        document.problems.append(document.problem(path, "an alias (*name): write it out instead"))
        return None
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        return _build_mapping(node, path, document, seen)
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, i), document, seen) for i, item in enumerate(node.value)]
    mark = node.start_mark
    if mark.buffer is not None and _TAGGED.match(mark.buffer, mark.pointer):
        # YAML takes the sign for its own, and some of what is meant with it.
        written = mark.buffer[mark.pointer : node.end_mark.pointer].strip()
        document.problems.append(document.problem(path, _in_quotes("!", written)))
        return written
    try:
        return _SCALARS[node.tag.removeprefix(_TAG)](node.value)
    except (KeyError, ValueError):
        document.problems.append(document.problem(path, f"{node.value!r} cannot be read as {node.tag!r}"))
        return None


def _build_mapping(node: yaml.MappingNode, path: Path, document: Document, seen: set[int]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            line, column = _place(key_node)
            document.problems.append(Problem(line, column, dotted(path), "a key must be a plain word"))
            continue
        key = str(key_node.value)
        here = (*path, key)
        line, column = _place(key_node)
        if key in mapping:
            message = f"given twice, first on line {document.places[here][0]}"
            document.problems.append(Problem(line, column, dotted(here), message))
            continue
        document.places[here] = line, column
        mapping[key] = _build(value_node, here, document, seen)
    return mapping


def _in_quotes(sign: str, written: str) -> str:
    return f"what begins with {sign} stands in single quotes: '{written}'"


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
