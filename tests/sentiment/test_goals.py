"""A goal says plainly whether it is reached."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from sentiment.charts import chart
from sentiment.goals import Goal


@pytest.mark.parametrize(
    ("value", "bound", "less", "outcome"),
    [
        (0.73, 0.725, False, "≥ 0.725, reached"),
        (0.725, 0.725, False, "≥ 0.725, reached"),
        (0.713, 0.725, False, "≥ 0.725, **missed by 0.012**"),
        (0.015, 0.02, True, "≤ 0.020, reached"),
        (0.03, 0.02, True, "≤ 0.020, **missed by 0.010**"),
        (0.5, None, False, "–"),
    ],
)
def test_outcome(value: float, bound: float | None, less: bool, outcome: str) -> None:
    assert Goal("task", lambda _: {"model": value}, bound, less).outcome({}) == outcome


def test_a_chart_puts_points_where_they_belong() -> None:
    drawn = chart("t < u", "across", "up", {"a & b": [(0.0, 0.5, 0.0), (1.0, 1.0, 0.25)]}, lowest=0.5)
    root = ElementTree.fromstring(drawn)
    assert root.findtext("{*}title") == "t < u"
    [dot] = root.findall("{*}circle")
    line = root.find("{*}path")
    assert line is not None
    assert line.attrib["d"] == f"M60.0 332.0 L{dot.attrib['cx']} {dot.attrib['cy']}"
    assert (dot.attrib["cx"], dot.attrib["cy"], dot.attrib["r"]) == ("544.0", "16.0", "6.0")
