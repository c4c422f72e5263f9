"""Requests with holes: `{name}` in a path, a parameter, a header or a body is filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from connectors.rest.located import Path

_HOLE = re.compile(r"\{([a-z_][a-z0-9_.]*)\}")
_DOUBLED = re.compile(r"\{\{|\}\}")
_ABSENT = object()


class Unfillable(Exception):
    """There is nothing to put into a path; the text says what is missing."""


def holes(template: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every name that a template asks for, and where."""
    if isinstance(template, str):
        for match in _HOLE.finditer(_without_doubled(template)):
            yield path, match[1]
    elif isinstance(template, Mapping):
        for key, value in template.items():
            yield from holes(value, (*path, str(key)))
    elif isinstance(template, list | tuple):
        for place, value in enumerate(template):
            yield from holes(value, (*path, place))


def fill_path(template: str, values: Mapping[str, Any]) -> str:
    """The path, every value in it quoted. Raises: Unfillable."""

    def put(match: re.Match[str]) -> str:
        value = values.get(match[1])
        text = "" if value is None else str(value)
        # Quoting leaves dots alone, and with dots alone a path leads elsewhere.
        if text.strip() in ("", ".", ".."):
            raise Unfillable(f"there is no {match[1]} to put into {template}")
        return quote(text, safe="", errors="replace")

    return _replace(template, put)


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """The same structure with its holes filled; a text that is one hole becomes the value itself.

    Members and items that are one hole, for which there is nothing, are left out.
    """
    filled = _fill(template, values)
    return None if filled is _ABSENT else filled


def _fill(template: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(template, str):
        whole = _HOLE.fullmatch(template)
        if whole:
            value = values.get(whole[1])
            return _ABSENT if value is None else value
        return _replace(template, lambda match: str(values.get(match[1]) or ""))
    if isinstance(template, Mapping):
        members = ((str(key), _fill(value, values)) for key, value in template.items())
        return {key: value for key, value in members if value is not _ABSENT}
    if isinstance(template, list | tuple):
        items = (_fill(value, values) for value in template)
        return [value for value in items if value is not _ABSENT]
    return template


def _without_doubled(template: str) -> str:
    return _DOUBLED.sub("\x00\x00", template)


def _replace(template: str, put: Any) -> str:
    """Replace the holes; `{{` and `}}` stand for a brace."""
    parts = re.split(r"(\{\{|\}\})", template)
    return "".join(part[0] if part in ("{{", "}}") else _HOLE.sub(put, part) for part in parts)
