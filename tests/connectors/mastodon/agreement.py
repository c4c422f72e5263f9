"""Checks requests and answers by Mastodon's published API description, where that is at hand.

The description (OpenAPI 3.1, https://github.com/abraham/mastodon-openapi) is looked for in the folder that
`CEM_SPECS` names, else in `../shared/specs` beside the repository. It is no part of this repository.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from openapi_schema_validator import OAS31Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

FILE = "mastodon-openapi.json.gz"
_ROOT = "urn:mastodon"

# Sent by Mastodon.py with every such call; Mastodon leaves aside what it does not know.
_UNDESCRIBED = {"exclude_direct"}


def specification() -> Path | None:
    """Where the description lies, if it is here."""
    beside = Path(__file__).parents[4] / "shared" / "specs"
    path = Path(os.environ.get("CEM_SPECS") or beside) / FILE
    return path if path.is_file() else None


class Agreement:
    """What was said against the description, in `broken`; `checked` counts what was looked at."""

    def __init__(self, path: Path) -> None:
        self.description, self._registry = _read(path)
        self.broken: list[str] = []
        self.checked = 0
        self._known: set[tuple[str, str]] = set()

    def request(
        self, method: str, path: str, query: dict[str, list[str]], body: dict[str, Any] | None
    ) -> None:
        """A request: its place, its parameters, and its body as an object, in whatever form it came."""
        found = self._operation(method, path)
        if found is None:
            self.broken.append(f"{method} {path} is not described")
            return
        operation = found
        described = {each["name"]: each for each in operation.get("parameters", []) if each["in"] == "query"}
        for name, values in query.items():
            bare = name.removesuffix("[]")
            if bare in described:
                self._holds(
                    _typed(values, described[bare]["schema"]), described[bare]["schema"], f"{path}?{name}"
                )
            elif bare not in _UNDESCRIBED:
                self.broken.append(f"{method} {path}: the parameter {name} is not described")
        for name, each in described.items():
            if each.get("required") and name not in query:
                self.broken.append(f"{method} {path}: the parameter {name} is missing")
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            schema = content["schema"]
            # It says that a status has either words or pictures; Mastodon and its documentation allow both.
            schema = {"anyOf": schema["oneOf"]} if "oneOf" in schema else schema
            self._holds(body, schema, f"{method} {path}, {kind}")

    def answer(self, method: str, path: str, status: int, body: Any) -> None:
        """An answer: its status, and its JSON (None where it has none)."""
        found = self._operation(method, path)
        if found is None:
            return
        described = found["responses"].get(str(status))
        if described is None:
            self.broken.append(f"{method} {path} is not described to answer {status}")
            return
        schema = described.get("content", {}).get("application/json", {}).get("schema")
        if schema is not None:
            self._holds(body, schema, f"answer {status} to {method} {path}")

    def entity(self, name: str, value: Any) -> None:
        """An entity by its name, as streams carry them."""
        self._holds(value, {"$ref": f"#/components/schemas/{name}"}, name)

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        path = path.rstrip("/")
        for template, operations in self.description["paths"].items():
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
            if re.fullmatch(pattern, path) and method.lower() in operations:
                operation: dict[str, Any] = operations[method.lower()]
                return operation
        return None

    def _holds(self, value: Any, schema: dict[str, Any], where: str) -> None:
        self.checked += 1
        if schema.get("type") == "array" and isinstance(value, list):
            for each in value:
                self._holds(each, schema["items"], where)
            return
        rooted = json.dumps(schema).replace('"#/', f'"{_ROOT}#/')
        # The same is said again and again, and looking it up costs far more than saying it.
        if (said := (rooted, json.dumps(value, sort_keys=True))) not in self._known:
            self._known.add(said)
            validator = OAS31Validator(json.loads(rooted), registry=self._registry)
            for error in validator.iter_errors(value):
                self.broken.append(f"{where}: {error.json_path} {error.message[:300]}")


@cache
def _read(path: Path) -> tuple[dict[str, Any], Registry[Any]]:
    with gzip.open(path) as file:
        description: dict[str, Any] = json.load(file)
    resource = Resource.from_contents(description, default_specification=DRAFT202012)
    return description, Registry().with_resource(_ROOT, resource)


def _typed(values: list[str], schema: dict[str, Any]) -> Any:
    """A parameter as what it says it is."""
    if schema.get("type") == "array":
        return values
    value = values[-1]
    if schema.get("type") == "integer":
        return int(value) if value.isdecimal() else value
    if schema.get("type") == "boolean":
        return {"true": True, "1": True, "false": False, "0": False}.get(value, value)
    return value
