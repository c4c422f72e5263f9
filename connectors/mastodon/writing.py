"""What a reply must be to be taken, and to be seen by nobody who should not: pure functions."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Literal, get_args

Visibility = Literal["direct", "private", "unlisted", "public"]

PRIVATE_FIRST: tuple[str, ...] = get_args(Visibility)
"""Who sees a post: those it names; followers too; everybody who has its address; everybody, in timelines."""

DEFAULT_LIMIT = 500
"""Characters of a post where the server was not told otherwise."""

URL_LENGTH = 23
"""What any address counts (`characters_reserved_per_url` of the server, 23 since there is the setting)."""

LONGEST_MENTION = 32
"""`@`, the 30 letters that a Mastodon user name may have, and a space."""

# As the server finds them (twitter-text); an address that it would not find is counted in full there, so
# this takes only plain ones: a host with a dot, and ASCII without what usually ends a sentence.
_URL = re.compile(r"(?<![\w@/#])https?://[\w\-]+(\.[\w\-]+)+(:\d+)?(/[\w\-.~%/?#&=+@:;,!$*']*)?", re.A | re.I)
_ENDS = ".,;:!?'"
_MENTION = re.compile(r"(?<![/\w])@([a-z0-9_]+([a-z0-9_.\-]*[a-z0-9_])?)@[a-z0-9.\-]*[a-z0-9]", re.I)
_ZERO_WIDTH_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)


def at_most(answered: str, wanted: str) -> Visibility:
    """The visibility of a reply: as wanted, but never more public than what it answers.

    A visibility that is not known (some servers have their own) is taken for the most private.
    """
    ranks = [PRIVATE_FIRST.index(each) if each in PRIVATE_FIRST else 0 for each in (answered, wanted)]
    found: Visibility = get_args(Visibility)[min(ranks)]
    return found


def addressed(text: str, handle: str, domain: str) -> str:
    """The text with `@handle` in front, where it is not in it already.

    Somebody on our own server (`domain`) may be named without it; anybody else not, for that would be
    somebody else.
    """
    user, _, host = handle.partition("@")
    local = not host or host.casefold() == domain.casefold()
    end = f"(@{re.escape(host or domain)})?" if local else f"@{re.escape(host)}"
    if re.search(rf"(?<![/\w])@{re.escape(user)}{end}(?![\w@]|[.\-]\w)", text, re.IGNORECASE):
        return text
    return f"@{handle} {text}"


def counted(text: str) -> int:
    """How long a text is as Mastodon counts (app/validators/status_length_validator.rb): characters as
    people see them, 23 for any address, a mention without its server."""
    return _graphemes(_MENTION.sub(r"@\1", _URL.sub(_shortened, text)))


def key(idempotency_key: str) -> str:
    """The same key as a header may carry it."""
    if idempotency_key.isascii() and idempotency_key.isprintable():
        return idempotency_key
    return hashlib.sha256(idempotency_key.encode("utf-8", "surrogatepass")).hexdigest()


def _shortened(match: re.Match[str]) -> str:
    found = match[0]
    return "x" * URL_LENGTH + found[len(found.rstrip(_ENDS)) :]


def _graphemes(text: str) -> int:
    """At least as many as Unicode's grapheme clusters (UAX 29): never fewer, so that nothing is refused."""
    count, joined, flags = 0, False, 0
    for character in text.replace("\r\n", "\n"):
        if character == _ZERO_WIDTH_JOINER:
            joined = True
            continue
        flags = flags + 1 if "\U0001f1e6" <= character <= "\U0001f1ff" else 0
        extends = unicodedata.category(character) in ("Mn", "Me") or ord(character) in _SKIN_TONES
        # A joiner joins only pictures; between letters it is invisible, and what follows counts.
        part = joined and ord(character) >= 0x2190
        if not (count and (extends or part or (flags and flags % 2 == 0))):
            count += 1
        joined = False
    return count
