"""What was measured of a version, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def in_words(figures: Mapping[str, Any]) -> str:
    """Figures on one line: counts, then what was measured before and after, as `accuracy 0.625 → 0.793`."""
    before, after = figures.get("before", {}), figures.get("after", {})
    counts = [f"{value:,} {_words(name)}" for name, value in figures.items() if isinstance(value, int)]
    measured = [
        f"{_words(name)} {before[name]:.3f} → {value:.3f}" for name, value in after.items() if name in before
    ]
    return ", ".join([*counts, *measured])


def _words(name: str) -> str:
    return name.replace("_", " ")
