"""What a post's text is on Bluesky: how long it is, and which parts of it are mentions, links and tags.

https://docs.bsky.app/docs/advanced-guides/post-richtext
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from atproto_client.models.utils import get_model_as_dict
from atproto_client.utils.facet_detection import detect_facets, detect_mentions

MAX_GRAPHEMES = 300
MAX_BYTES = 3_000

_ZWJ = 0x200D


def length(text: str) -> int:
    """How much of the 300 a text uses: its characters as people see them (grapheme clusters, UAX #29).

    A post may also have no more than 3,000 bytes in UTF-8, so ten bytes use up at least one.
    """
    return max(
        graphemes(text), -(-len(text.encode("utf-8", "surrogatepass")) // (MAX_BYTES // MAX_GRAPHEMES))
    )


def graphemes(text: str) -> int:
    """The number of grapheme clusters: a letter with its accents, a flag, a family of emoji are one each."""
    count = 0
    before = ""  # the character before, empty at the beginning
    flag_half = joined = False
    for char in text:
        code = ord(char)
        regional = 0x1F1E6 <= code <= 0x1F1FF
        continues = (
            (before == "\r" and char == "\n")
            or (before not in ("", "\r", "\n") and _extends(char, code))
            or (joined and _is_pictograph(code))
            or (regional and flag_half)
            or (before != "" and _same_syllable(ord(before), code))
        )
        if not continues:
            count += 1
        flag_half = regional and not (flag_half and continues)
        joined = code == _ZWJ  # it joins pictographs alone
        before = char
    return count


def _extends(char: str, code: int) -> bool:
    return (
        unicodedata.category(char) in ("Mn", "Mc", "Me")
        or code == _ZWJ
        or code == 0x200C
        or 0x1F3FB <= code <= 0x1F3FF  # skin tones
        or 0xE0020 <= code <= 0xE007F  # the tags of regional flags
        or 0xFF9E <= code <= 0xFF9F
    )


def _is_pictograph(code: int) -> bool:
    return 0x1F000 <= code <= 0x1FAFF or 0x2190 <= code <= 0x2BFF or code in (0xA9, 0xAE, 0x3030, 0x303D)


def _same_syllable(before: int, code: int) -> bool:
    """Whether Hangul written in its parts goes on (UAX #29, GB6 to GB8)."""
    leading, vowel, trailing = 0x1100 <= before <= 0x115F, 0x1160 <= code <= 0x11A7, 0x11A8 <= code <= 0x11FF
    precomposed = 0xAC00 <= before <= 0xD7A3
    open_syllable = precomposed and (before - 0xAC00) % 28 == 0
    if leading:
        return 0x1100 <= code <= 0x115F or vowel or 0xAC00 <= code <= 0xD7A3
    if open_syllable or 0x1160 <= before <= 0x11A7:
        return vowel or trailing
    return trailing and (precomposed or 0x11A8 <= before <= 0x11FF)


def facets(text: str, resolve: Callable[[str], str | None]) -> list[dict[str, Any]]:
    """The mentions, links and tags of a text, with their places in its UTF-8 bytes, in order.

    `resolve` gives the DID of a handle; what it does not know stays plain text.
    """
    found: list[dict[str, Any]] = [get_model_as_dict(each) for each in detect_facets(text)]
    for mention in detect_mentions(text):
        did = resolve(mention.handle.lower())
        if did is not None:
            found.append(
                {
                    "$type": "app.bsky.richtext.facet",
                    "index": {"byteStart": mention.byte_start, "byteEnd": mention.byte_end},
                    "features": [{"$type": "app.bsky.richtext.facet#mention", "did": did}],
                }
            )
    return sorted(found, key=lambda each: int(each["index"]["byteStart"]))
