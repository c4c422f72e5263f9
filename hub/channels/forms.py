"""A form for a connector's settings, made from their JSON schema, and what was filled in, read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from connectors.base import Config
from hub.errors import Invalid

Kind = Literal["text", "number", "checkbox", "select", "lines", "json", "document", "secret", "secrets"]
PREFIX = "config."


@dataclass(frozen=True, slots=True)
class FormField:
    """One setting: what to type, and what is there. A secret has no `value`, only whether one `is_set`."""

    name: str
    label: str
    hint: str
    kind: Kind
    required: bool
    value: str = ""
    checked: bool = False
    is_set: bool = False
    options: tuple[str, ...] = ()

    @property
    def is_secret(self) -> bool:
        return self.kind in ("secret", "secrets")


def form_of(
    config_type: type[Config],
    current: Mapping[str, Any] | None = None,
    given: Mapping[str, str] | None = None,
) -> list[FormField]:
    """The fields, filled with what was `given` last, else with the `current` settings, else the defaults."""
    schema = config_type.model_json_schema(by_alias=False)
    required = set(schema.get("required", ()))
    return [
        _field(name, each, schema.get("$defs", {}), name in required, current, given)
        for name, each in schema.get("properties", {}).items()
    ]


def read_form(
    config_type: type[Config], given: Mapping[str, str], current: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The settings that were filled in. Raises: Invalid with `problems` where one is no JSON.

    An empty field is left out; where there are `current` settings it takes one away (None), but for a secret,
    which stays.
    """
    config: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for field in form_of(config_type):
        text = given.get(PREFIX + field.name, "").strip()
        if field.kind == "checkbox":
            if bool(text) != field.checked or field.name in (current or {}):
                config[field.name] = bool(text)
        elif not text:
            if current is not None and field.name in current and not field.is_secret:
                config[field.name] = None
        elif field.kind in ("lines", "secrets"):
            parts = text.split() if field.is_secret else text.splitlines()
            config[field.name] = [part.strip() for part in parts if part.strip()]
        elif field.kind == "json":
            try:
                config[field.name] = json.loads(text)
            except json.JSONDecodeError as error:
                problems[field.name] = f"This is no JSON: {error.msg}, line {error.lineno}."
        else:
            config[field.name] = text
    if problems:
        raise Invalid("some settings cannot be read", problems=problems)
    return config


def _field(
    name: str,
    schema: Mapping[str, Any],
    known: Mapping[str, Any],
    required: bool,
    current: Mapping[str, Any] | None,
    given: Mapping[str, str] | None,
) -> FormField:
    kind, options = _kind(schema, known)
    value = (current or {}).get(name, schema.get("default"))
    text, checked = _written(kind, value), value is True
    if given is not None and kind not in ("secret", "secrets"):
        text = given.get(PREFIX + name, "")
        checked = bool(text)
    return FormField(
        name=name,
        label=name.replace("_", " ").capitalize(),
        hint=schema.get("description", ""),
        kind=kind,
        required=required and name not in (current or {}),
        value=text,
        checked=checked,
        is_set=name in (current or {}),
        options=options,
    )


def _kind(schema: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[Kind, tuple[str, ...]]:
    types = {_plain(each, known).get("type") for each in schema.get("anyOf", ())}
    if {"string", "object"} <= types:
        return "document", ()
    schema = _plain(schema, known)
    if "enum" in schema:
        return "select", tuple(map(str, schema["enum"]))
    if schema.get("format") == "password":
        return "secret", ()
    if schema.get("type") == "array":
        item = _plain(schema.get("items") or schema.get("prefixItems", [{}])[0], known)
        if item.get("format") == "password":
            return "secrets", ()
        return ("lines" if item.get("type") == "string" else "json"), ()
    simple: dict[str, Kind] = {"boolean": "checkbox", "integer": "number", "number": "number"}
    return simple.get(schema.get("type", ""), "json" if schema.get("type") == "object" else "text"), ()


def _plain(schema: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema itself, where it is named elsewhere, or is one of a kind or nothing."""
    while True:
        if "$ref" in schema:
            schema = known[schema["$ref"].rpartition("/")[2]]
            continue
        choices = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
        if not choices:
            return schema
        schema = choices[0]


def _written(kind: Kind, value: Any) -> str:
    if value is None or kind in ("checkbox", "secret", "secrets"):
        return ""
    if kind == "lines":
        return "\n".join(map(str, value))
    if kind == "json" or isinstance(value, Mapping):
        return json.dumps(value, indent=2, ensure_ascii=False)
    return str(value)
