"""Checks that a pushed request comes from the account (developer.zendesk.com, "Verifying webhooks")."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from connectors.base import BadSignature

SIGNATURE = "x-zendesk-webhook-signature"
TIMESTAMP = "x-zendesk-webhook-signature-timestamp"

_TOLERANCE = timedelta(minutes=5)
_LONGEST_ID = 200


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """What the header holds: base64(HMACSHA256(TIMESTAMP + BODY))."""
    digest = hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def verify(headers: Mapping[str, str], body: bytes, secret: str, *, now: datetime) -> str:
    """The id of a delivery that was signed with the secret not longer than five minutes ago.

    It comes out of what is signed, so that the same cannot be pushed again under another: the event's own
    id, which is the same when Zendesk repeats it, else a digest. Raises: BadSignature.
    """
    found = {name.lower(): value for name, value in headers.items()}
    given, timestamp = found.get(SIGNATURE, "").strip(), found.get(TIMESTAMP, "").strip()
    if not (given and timestamp):
        raise BadSignature("The request has no signature of Zendesk, or no time of it.")
    try:
        signed_at = datetime.fromisoformat(timestamp)
        far = abs(now - signed_at) > _TOLERANCE
    except (ValueError, TypeError, OverflowError):
        raise BadSignature("The time of the signature cannot be read.") from None
    if far:
        raise BadSignature("The signature is too far from now.")
    expected = sign(secret, timestamp, body)
    if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
        raise BadSignature("The signature does not match the request.")
    return _event_id(body) or f"sha256:{hashlib.sha256(timestamp.encode() + body).hexdigest()}"


def _event_id(body: bytes) -> str | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    value = found.get("id") if isinstance(found, dict) else None
    usable = isinstance(value, str) and value.isprintable() and 0 < len(value) <= _LONGEST_ID
    return value if usable else None
