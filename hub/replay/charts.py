"""Charts of a replay as SVG: coloured by the page's style sheet, so that they are light or dark with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from markupsafe import Markup, escape

WIDTH, HEIGHT = 960, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 12, 42
BAR, GAP, NAME_WIDTH = 16, 14, 150
_MOST_TICKS = 8
COLOURS = 6
"""How many colours the style sheet has, `.c0` to `.c5`; later lines take them again, dashed."""


def over_time(
    label: str,
    at: Sequence[datetime],
    lines: Mapping[str, Sequence[float]],
    unit: str,
    guide: float | None = None,
) -> Markup:
    """Lines over the same moments, from 0 up; `guide` is a value to compare with. Moments are UTC."""
    if not at:
        return Markup("")
    top = _nice(max([guide or 0.0, *(value for values in lines.values() for value in values)]))
    span = max((at[-1] - at[0]).total_seconds(), 1.0)

    def x(moment: datetime) -> float:
        return LEFT + (moment - at[0]).total_seconds() / span * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM)

    parts = _grid(top, unit, y)
    for moment in at[:: math.ceil(len(at) / _MOST_TICKS)]:
        words = f"{moment:%d %b %H:%M}" if span < 14 * 86_400 else f"{moment:%d %b %Y}"
        parts.append(f'<text x="{x(moment):.1f}" y="{HEIGHT - 20}" text-anchor="middle">{words}</text>')
    if guide is not None:
        parts.append(
            f'<line class="guide" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(guide):.1f}" y2="{y(guide):.1f}"/>'
        )
    for number, (name, values) in enumerate(lines.items()):
        points = " ".join(f"{x(moment):.1f},{y(value):.1f}" for moment, value in zip(at, values, strict=True))
        parts.append(
            f'<polyline class="{_classes(number)}" points="{points}"><title>{escape(name)}</title></polyline>'
        )
    return _svg(label, HEIGHT, parts)


def bars(label: str, groups: Mapping[str, Mapping[str, float | None]]) -> Markup:
    """For each group a bar of each run, of shares from 0 to 1; a run without a share has none."""
    parts: list[str] = []
    top = TOP
    width = WIDTH - NAME_WIDTH - 70
    for group, shares in groups.items():
        middle = top + len(shares) * BAR / 2
        parts.append(
            f'<text x="{NAME_WIDTH - 10}" y="{middle:.1f}" dy="4" text-anchor="end">'
            f"{escape(group[:24])}</text>"
        )
        for number, (name, share) in enumerate(shares.items()):
            if share is not None:
                long, words = share * width, f"{share:.1%}"
                parts.append(
                    f'<rect class="{_classes(number)}" x="{NAME_WIDTH}" y="{top}" width="{long:.1f}" '
                    f'height="{BAR - 3}" rx="2">'
                    f"<title>{escape(group)}, {escape(name)}: {words}</title></rect>"
                    f'<text x="{NAME_WIDTH + long + 6:.1f}" y="{top + BAR / 2 - 1.5}" dy="4">{words}</text>'
                )
            top += BAR
        top += GAP
    return _svg(label, top, parts)


def _grid(top: float, unit: str, y: Callable[[float], float]) -> list[str]:
    parts = []
    for step in range(5):
        value = top * step / 4
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
            f'<text x="{LEFT - 8}" y="{y(value):.1f}" dy="4" text-anchor="end">{value:,.4g}{unit}</text>'
        )
    return parts


def _classes(number: int) -> str:
    dashed = " dashed" if number >= COLOURS else ""
    return f"c{number % COLOURS}{dashed}"


def _nice(value: float) -> float:
    """The next of 4, 8, 20, 40, 80, 200, … that is no less, so that quarters of it are round."""
    size = 10.0 ** math.floor(math.log10(max(value, 1.0)))
    return next(step * size for step in (1, 2, 4, 8, 20) if step * size >= value) if value > 0 else 4.0


def _svg(label: str, height: float, parts: Sequence[str]) -> Markup:
    return Markup(  # noqa: S704 - names are escaped, all else are numbers
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )
