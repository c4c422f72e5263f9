"""One figure of a benchmark, and small statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured. `goal` is the bound of a figure that has one, `met` whether it was kept."""

    area: str
    name: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None


def at_most(area: str, name: str, value: float, unit: str, bound: float) -> Figure:
    """A figure that should not be above `bound`."""
    return Figure(area, name, value, unit, f"≤ {bound:g}", value <= bound)


def at_least(area: str, name: str, value: float, unit: str, bound: float) -> Figure:
    """A figure that should not be below `bound`."""
    return Figure(area, name, value, unit, f"≥ {bound:g}", value >= bound)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of `values` lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
