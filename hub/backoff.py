"""How long to wait before the next try: exponential back-off with full jitter."""

from __future__ import annotations

import random

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 3600.0


def pause_seconds(tries: int, at_least_seconds: float = 0.0, *, longest: float = LONGEST_SECONDS) -> float:
    """The pause after `tries` failures in a row, never shorter than the vendor asks.

    Evenly spread between half of the first pause and twice as much for each further failure, up to `longest`,
    so that many who failed together do not come back together
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    most = min(longest, FIRST_SECONDS * 2 ** min(max(0, tries - 1), 30))
    return max(at_least_seconds, random.uniform(FIRST_SECONDS / 2, most))  # noqa: S311 - no secret


def spread(seconds: float) -> float:
    """About as long, a tenth more or less: what is done regularly does not fall together for ever."""
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
