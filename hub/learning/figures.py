"""What was measured of a version, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MEASURED = {
    "accuracy": "right",
    "calibration_error": "sureness off by",
    "sentiment_right": "mood right",
    "main_intent_right": "main intent right",
}


def in_words(figures: Mapping[str, Any]) -> str:
    """The figures that people ask for, on one line: counts, then shares before and after, as
    `100 labels, right 62 % → 79 %`."""
    before, after = figures.get("before", {}), figures.get("after", {})
    counts = [
        f"{value:,} {name.replace('_', ' ')}"
        for name, value in figures.items()
        if isinstance(value, int) and value
    ]
    measured = [
        f"{words} {_percent(before[name])} → {_percent(after[name])}"
        for name, words in _MEASURED.items()
        if name in before and name in after
    ]
    return ", ".join([*counts, *measured])


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"
