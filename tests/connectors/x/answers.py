"""What the stand-in answers with: bodies and errors as X writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

PROBLEM = "https://api.twitter.com/2/problems/"
_LINK = re.compile(r"https?://\S+")


@dataclass
class Answer:
    """What is answered, or what is done instead: `cut` closes the connection, before or after the deed."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    cut: str = ""


def error(status: int, kind: str, title: str, detail: str, **more: Any) -> Answer:
    """A problem as in RFC 7807, which is how X tells of errors."""
    body = {"type": kind, "title": title, "detail": detail, "status": status, **more}
    return Answer(status, body, content_type="application/problem+json")


def invalid(name: str, value: str, told: str) -> Answer:
    """A parameter is not as it must be."""
    errors = [{"parameters": {name: [value]}, "message": told}]
    detail = "One or more parameters to your request was invalid."
    return error(400, f"{PROBLEM}invalid-request", "Invalid Request", detail, errors=errors)


def missing(
    number: str, kind: str, parameter: str, section: str, problem: str = "resource-not-found"
) -> dict[str, Any]:
    """What a partial answer says of something that cannot be shown."""
    return {
        "type": f"{PROBLEM}{problem}",
        "title": "Not Found Error" if problem == "resource-not-found" else "Authorization Error",
        "detail": f"Could not find {kind} with {parameter}: [{number}].",
        "parameter": parameter,
        "value": number,
        "resource_id": number,
        "resource_type": kind,
        "section": section,
    }


def shortened(text: str, number: int) -> tuple[str, list[dict[str, Any]]]:
    """Every link behind an address of X's own."""
    urls: list[dict[str, Any]] = []

    def shorten(found: re.Match[str]) -> str:
        short = f"https://t.co/a{number}b{len(urls)}"
        urls.append({"start": 0, "end": 1, "url": short, "expanded_url": found[0]})
        return short

    return _LINK.sub(shorten, text), urls
