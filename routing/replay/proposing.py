"""A policy's text with other numbers, everything else as it was written, comments included."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import unified_diff

from routing.located_yaml import read_yaml
from routing.policy import read_policy
from routing.replay.tuning import Path, with_values

_VALUE = re.compile(r"(\s*:\s*)([-+.0-9eE]+)")


def proposal(text: str, values: Mapping[Path, float]) -> str:
    """The text with these numbers. Raises: routing.policy.PolicyError; ValueError where a number stands in no
    place that can be changed."""
    policy = read_policy(text)
    changed = text
    for path, value in values.items():
        changed = _with(changed, path, f"{value:g}")
    if read_policy(changed).model_dump() != with_values(policy, values).model_dump():
        raise ValueError("the policy is written in a way that cannot be changed here")
    return changed


def diff(text: str, changed: str, name: str) -> str:
    """What changes, as a unified diff."""
    lines = unified_diff(
        text.splitlines(keepends=True), changed.splitlines(keepends=True), name, f"{name}, proposed"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _with(text: str, path: Path, value: str) -> str:
    places = read_yaml(text).places
    lines = text.splitlines(keepends=True)
    if path in places:
        number, column = places[path]
        line = lines[number - 1]
        # The place is that of the key, which may be written in quotes.
        key = re.compile(r"""(["']?)""" + re.escape(path[-1]) + r"\1").match(line, column - 1)
        found = _VALUE.match(line, key.end()) if key else None
        if found is not None:
            lines[number - 1] = f"{line[: found.start(2)]}{value}{line[found.end(2) :]}"
        return "".join(lines)
    if path[:1] not in places and len(path) == 2:
        end = "" if text.endswith("\n") else "\n"
        return f"{text}{end}{path[0]}:\n  {path[1]}: {value}\n"
    if path[:-1] not in places:
        return text
    # Beside the first of its brothers: on its line within braces, above it otherwise.
    brothers = [
        place for other, place in places.items() if other[:-1] == path[:-1] and len(other) == len(path)
    ]
    if not brothers:
        return text
    number, column = min(brothers)
    line = lines[number - 1]
    before = line[: column - 1]
    if before.strip():
        lines[number - 1] = f"{before}{path[-1]}: {value}, {line[column - 1 :]}"
    else:
        lines.insert(number - 1, f"{before}{path[-1]}: {value}\n")
    return "".join(lines)
