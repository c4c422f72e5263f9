"""The name that a reply of ours carries, by which its answers and bounces are known again.

It is made of the reply's idempotency key, so that every try at a reply has the same Message-ID, and signed
(HMAC-SHA256), so that nobody can write into a conversation by inventing one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b32encode
from collections.abc import Iterable, Sequence

HEADER = "X-Hub-Reply-Token"

_KEY_BYTES = 15
_SIGNATURE_BYTES = 10
_TOKEN = re.compile(r"([a-z2-7]{24})\.([a-z2-7]{16})")


class Tokens:
    """Makes and knows the tokens of one mailbox. Without secrets a token is unsigned, and none is trusted.

    The first secret signs; the others are those that signed before.
    """

    def __init__(self, domain: str, secrets: Sequence[str]) -> None:
        self.domain = domain.lower()
        self._secrets = [secret.encode() for secret in secrets]

    def token(self, key: str) -> str:
        """The token of a reply: letters, digits and a point, fit for the local part of an address."""
        name = _base32(hashlib.sha256(key.encode("utf-8", "replace")).digest()[:_KEY_BYTES])
        return f"{name}.{_signature(self._secrets[0], name)}" if self._secrets else name

    def message_id(self, token: str) -> str:
        """The Message-ID of a reply, without brackets."""
        return f"{token}@{self.domain}"

    def genuine(self, token: str) -> bool:
        """Whether one of our secrets signed it."""
        match = _TOKEN.fullmatch(token.lower())
        return match is not None and any(
            hmac.compare_digest(_signature(secret, match[1]), match[2]) for secret in self._secrets
        )

    def is_ours(self, message_id: str) -> bool:
        """Whether it is the Message-ID of a reply that was signed here."""
        token, _, domain = message_id.rpartition("@")
        return domain.lower() == self.domain and self.genuine(token)

    def is_forged(self, message_id: str) -> bool:
        """Whether it would be the Message-ID of a signed reply, had we signed it."""
        token, _, domain = message_id.rpartition("@")
        shaped = _TOKEN.fullmatch(token.lower()) is not None
        return shaped and domain.lower() == self.domain and bool(self._secrets) and not self.genuine(token)

    def among(self, addresses: Iterable[str]) -> str | None:
        """The first genuine token in a plus-address (`help+TOKEN@acme.example`)."""
        for address in addresses:
            token = address.rpartition("@")[0].partition("+")[2].lower()
            if self.genuine(token):
                return token
        return None


def plus_address(address: str, token: str) -> str:
    """`help@acme.example` with a token: `help+TOKEN@acme.example`."""
    local, _, domain = address.rpartition("@")
    return f"{local}+{token}@{domain}"


def _signature(secret: bytes, name: str) -> str:
    return _base32(hmac.digest(secret, name.encode(), "sha256")[:_SIGNATURE_BYTES])


def _base32(value: bytes) -> str:
    return b32encode(value).decode().lower().rstrip("=")
