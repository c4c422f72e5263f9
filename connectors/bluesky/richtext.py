"""What a post's text is on Bluesky: how long it is, and which parts of it are mentions, links and tags.

https://docs.bsky.app/docs/advanced-guides/post-richtext
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import regex
from atproto_client.models.utils import get_model_as_dict
from atproto_client.utils.facet_detection import detect_facets, detect_mentions

MAX_GRAPHEMES = 300
MAX_BYTES = 3_000

_CLUSTER = regex.compile(r"\X")


def length(text: str) -> int:
    """How much of the 300 a text uses: its characters as people see them (grapheme clusters, UAX #29).

    A post may also have no more than 3,000 bytes in UTF-8, so ten bytes use up at least one.
    """
    return max(
        graphemes(text), -(-len(text.encode("utf-8", "surrogatepass")) // (MAX_BYTES // MAX_GRAPHEMES))
    )


def graphemes(text: str) -> int:
    """The number of grapheme clusters (UAX #29): a letter with its accents, a conjunct of an Indic script, a
    flag and a family of emoji are one each."""
    return len(_CLUSTER.findall(text))


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
