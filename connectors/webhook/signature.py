"""Checks and makes Standard Webhooks signatures (https://www.standardwebhooks.com, symmetric scheme `v1`)."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from connectors.base import BadSignature

_TIMESTAMP = re.compile(r"[0-9]{1,11}")


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], *, now: datetime, tolerance_seconds: int
) -> str:
    """The delivery id of a request that one of the secrets signed not longer than the tolerance ago.

    The package's own `verify` reads the clock itself and fixes the tolerance, so only its signing is used.
    Raises: BadSignature.
    """
    found = lower(headers)
    delivery_id, stamp = found.get("webhook-id", ""), found.get("webhook-timestamp", "")
    given = found.get("webhook-signature", "").encode("utf-8", "replace").split()
    if not (delivery_id and stamp and given):
        raise BadSignature("webhook-id, webhook-timestamp or webhook-signature is missing.")
    if not _TIMESTAMP.fullmatch(stamp) or abs(now.timestamp() - int(stamp)) > tolerance_seconds:
        raise BadSignature("webhook-timestamp is unreadable, too old or too far ahead.")
    try:
        text = body.decode()
        expected = [sign(secret, delivery_id, int(stamp), text).encode() for secret in secrets]
    except (UnicodeError, ValueError, OverflowError, OSError):
        raise BadSignature("The request holds bytes that nothing signed can hold.") from None
    # Every pair is compared, so that the time taken tells nothing about which one came close.
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in given]
    if True not in matches:
        raise BadSignature("No signature matches.")
    return delivery_id


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers under their names in lower case, as HTTP does not tell the cases apart."""
    return {name.lower(): value for name, value in headers.items()}


def sign(secret: str, delivery_id: str, stamp: int, body: str) -> str:
    """The value of `webhook-signature` for a body sent at `stamp`, in seconds since 1970."""
    return Webhook(secret).sign(delivery_id, datetime.fromtimestamp(stamp, UTC), body)
