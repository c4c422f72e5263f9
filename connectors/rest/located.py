"""YAML that remembers where everything stands, so that a mistake is shown on its line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]

_MAX_CHARACTERS = 200_000


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `line` counts from 1, 0 where there are no lines; `field` is dotted."""

    line: int
    field: str
    message: str

    def __str__(self) -> str:
        return ": ".join(
            part for part in (f"line {self.line}" * bool(self.line), self.field, self.message) if part
        )


@dataclass(slots=True)
class Document:
    """Plain data, and the line of each of its parts. `data` is None where there are `problems`."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, message: str) -> Problem:
        """A problem at `path`, or at the nearest thing around it that stands in the text."""
        known = next((path[:end] for end in range(len(path), -1, -1) if path[:end] in self.lines), None)
        return Problem(0 if known is None else self.lines[known], dotted(path), message)


class _Loader(yaml.SafeLoader):
    """The scalars of JSON only: here `no` is a word, and a date is text."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("null", r"^(?:~|null|)$", ["~", "n", ""]),
    ("int", r"^-?(?:0|[1-9][0-9]{0,17})$", "-0123456789"),
    ("float", r"^-?[0-9]{1,17}\.[0-9]{1,17}$", "-0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def dotted(path: Path) -> str:
    """`tickets.message.text`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def read_yaml(source: str | Mapping[str, Any]) -> Document:
    """Read a YAML text; a mapping is taken as it is. Never raises: what cannot be read is in `problems`."""
    if not isinstance(source, str):
        return Document(dict(source))
    if len(source) > _MAX_CHARACTERS:
        return Document(problems=[Problem(1, "", f"the text has more than {_MAX_CHARACTERS:,} characters")])
    document = Document()
    try:
        loader = _Loader(source)
        root = loader.get_single_node()
        if root is None:
            return Document(problems=[Problem(1, "", "the text is empty")])
        document.problems.extend(_note(root, (), document, set()))
        if not document.problems:
            document.data = loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = str(error.problem or error.context)
        document.problems.append(Problem(mark.line + 1 if mark else 1, "", f"not YAML: {said}"))
    except yaml.reader.ReaderError as error:
        line = source.count("\n", 0, error.position) + 1
        document.problems.append(Problem(line, "", f"not YAML: {error.reason}"))
    except RecursionError:
        document.problems.append(Problem(1, "", "the text is nested too deeply"))
    return document


def _note(node: yaml.Node, path: Path, document: Document, seen: set[int]) -> Iterator[Problem]:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in seen:
        yield document.problem(path, "an alias (*name): write it out instead")
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield from _note(item, (*path, place), document, seen)
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            yield Problem(line, dotted(path), "a name must be a plain word")
            continue
        here = (*path, str(key.value))
        if here in document.lines:
            yield Problem(line, dotted(here), f"given twice, first on line {document.lines[here]}")
            continue
        document.lines[here] = line
        yield from _note(value, here, document, seen)
