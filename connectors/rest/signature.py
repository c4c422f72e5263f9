"""Checks that a pushed request was signed with the secret that both sides know (HMAC, RFC 2104)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from connectors.base import BadSignature
from connectors.rest.description import Signature


def sign(rule: Signature, secret: str, body: bytes, timestamp: str = "") -> str:
    """What the signature's header holds for this body, by this rule."""
    before, after = rule.signed.split("{body}")
    content = before.replace("{timestamp}", timestamp).encode()
    content += body + after.replace("{timestamp}", timestamp).encode()
    digest = hmac.new(secret.encode(), content, getattr(hashlib, rule.algorithm)).digest()
    return rule.prefix + (digest.hex() if rule.encoding == "hex" else base64.b64encode(digest).decode())


def verify(rule: Signature, secret: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> None:
    """Raises: BadSignature where it was not signed with the secret, or not around `now`."""
    lower = {name.lower(): value for name, value in headers.items()}
    given = lower.get(rule.header.lower(), "")
    if not given:
        raise BadSignature(f"The request has no {rule.header}.")
    timestamp = ""
    if rule.timestamp_header is not None:
        timestamp = lower.get(rule.timestamp_header.lower(), "")
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 13):
            raise BadSignature(f"{rule.timestamp_header} is no number of seconds since 1970.")
        # Some count milliseconds.
        seconds = int(timestamp) / (1000 if len(timestamp) == 13 else 1)
        if abs(now.timestamp() - seconds) > rule.tolerance_seconds:
            raise BadSignature(f"{rule.timestamp_header} is too far from now.")
    expected = sign(rule, secret, body, timestamp)
    if not hmac.compare_digest(expected.encode(), given.strip().encode("utf-8", "replace")):
        raise BadSignature("The signature does not match the request.")
