"""JMESPath (https://jmespath.org/specification.html), checked when it is read."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from pydantic import BeforeValidator

from connectors.fields import BadRecord


class Compiled:
    """An expression, ready to be asked of many documents."""

    def __init__(self, text: str) -> None:
        """Raises: ValueError, which says what is wrong with it."""
        self.text = text
        try:
            self._parsed = jmespath.compile(text)
        except JMESPathError as error:
            raise ValueError(f"{text!r} is no JMESPath: {str(error).splitlines()[0]}") from None
        known = Functions.FUNCTION_TABLE
        for name in _functions(self._parsed.parsed):
            if name not in known:
                raise ValueError(f"JMESPath has no function {name!r}{nearest(name, list(known))}")

    def __call__(self, document: Any) -> Any:
        """What it finds; None where there is nothing. Raises: BadRecord bad_expression."""
        try:
            return self._parsed.search(document)
        except (JMESPathError, RecursionError, ValueError, TypeError) as error:
            said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise BadRecord("bad_expression", f"{self.text!r} cannot be asked of it: {said}.") from None

    def holds(self, document: Any) -> bool:
        """Whether what it finds is true, by JMESPath's own rule: 0 is, an empty text or list is not."""
        found = self(document)
        return not (found is None or found is False or found in ("", [], {}))


def _compiled(value: Any) -> Any:
    if isinstance(value, Compiled):
        return value
    if not isinstance(value, str):
        raise ValueError("write a JMESPath expression")
    return Compiled(value)


Expression = Annotated[Compiled, BeforeValidator(_compiled)]


def nearest(name: str, known: list[str]) -> str:
    """`; did you mean text?`, or nothing where no known name is like it."""
    found = get_close_matches(name, known, 1, 0.6)
    return f"; did you mean {found[0]}?" if found else ""


def _functions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "function_expression":
            yield str(node["value"])
        for child in node.get("children", ()):
            yield from _functions(child)
