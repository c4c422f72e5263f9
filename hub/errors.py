"""Errors that a user of the hub can do something about; every face shows them in its own way."""

from __future__ import annotations

from typing import Any


class HubError(Exception):
    """Something is not as asked. `status` is the HTTP status that fits, `field` what to look at."""

    status = 400
    title = "Bad request"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class NotFound(HubError):
    """There is no such thing."""

    status = 404
    title = "Not found"


class Conflict(HubError):
    """It is not in a state that allows this."""

    status = 409
    title = "Conflict"


class Invalid(HubError):
    """What was given cannot be used."""

    status = 422
    title = "Invalid"


class Forbidden(HubError):
    """Known, but not allowed."""

    status = 403
    title = "Forbidden"


class Unauthorized(HubError):
    """Nobody is signed in."""

    status = 401
    title = "Unauthorized"
