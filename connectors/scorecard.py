"""What each connector does, as a table for people, and what of its class is not as it should be."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import SecretStr

from connectors.base import RULES, Connector

BEGIN = "<!-- scorecard: hub connectors list --markdown --update connectors/README.md -->"
END = "<!-- end of scorecard -->"

_SIGNS = {"done": "✓", "todo": "todo", "exempt": "–"}
_SECRET_WORDS = ("secret", "password", "token", "api_key")


def markdown(connectors: Sequence[type[Connector]]) -> str:
    """The scorecards side by side, and below each reason for what is not done."""
    names = [each.name for each in connectors]
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for rule, what in RULES.items():
        signs = (_SIGNS[mark_of(each, rule)] for each in connectors)
        lines.append(f"| **{rule}**: {what} | {' | '.join(signs)} |")
    lines.append("")
    for each in connectors:
        left = [f"{rule} ({mark})" for rule, mark in _marks(each) if mark != "done"]
        lines.append(f"- `{each.name}`: {'; '.join(left) or 'all of it'}.")
    return "\n".join(lines)


def updated(text: str, connectors: Sequence[type[Connector]]) -> str:
    """`text` with the table between its marks made anew. Raises: ValueError where it has no marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"there is no {BEGIN} … {END} in it")
    return f"{before}{BEGIN}\n\n{markdown(connectors)}\n\n{END}{after}"


def mark_of(connector: type[Connector], rule: str) -> str:
    """`done`, `todo` or `exempt`."""
    return connector.scorecard[rule].split(":")[0]


def problems(connector: type[Connector]) -> Iterator[str]:
    """What of a connector's class and README is not as the contract wants it, a sentence each."""
    for rule, mark in _marks(connector):
        if mark != "done" and not mark.startswith(("todo: ", "exempt: ")):
            yield f"The scorecard says {mark!r} of {rule}: write done, todo: why or exempt: why."
    readme = Path(inspect.getfile(connector)).parent / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    if not text:
        yield f"There is no {readme}."
    for name, field in connector.config_type.model_fields.items():
        if text and f"`{name}`" not in text:
            yield f"README.md does not explain the setting `{name}`."
        secret = any(name == word or name.endswith(f"_{word}") for word in _SECRET_WORDS)
        if secret and SecretStr.__name__ not in str(field.annotation):
            yield f"The setting {name} sounds like a secret, and is no SecretStr."


def _marks(connector: type[Connector]) -> Iterator[tuple[str, str]]:
    return ((rule, connector.scorecard[rule]) for rule in RULES)
