"""What can go wrong at a vendor's, named by what the caller should do. `connectors.base` has them too."""

from __future__ import annotations


class ConnectorError(Exception):
    """Something a vendor did; each subclass says what the caller should do about it."""


class RetryLater(ConnectorError):
    """The vendor did not take it, and may take it later."""

    def __init__(
        self, message: str, *, after_seconds: float | None = None, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds
        self.status = status


class AuthExpired(ConnectorError):
    """The credentials no longer serve; a person has to renew them."""


class Refused(ConnectorError):
    """The vendor looked at it and will never take it; do not try again."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class OutcomeUnknown(ConnectorError):
    """It may or may not have been taken; look before sending again, or let a person decide."""


class BadPayload(ConnectorError):
    """What came cannot be read at all; keep it raw and go on."""


class BadSignature(ConnectorError):
    """A pushed request is not from who it says; nothing of it is kept."""
