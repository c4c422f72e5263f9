"""Pictures of the model card: small SVG files on a ground of their own, light or dark as the system is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

Point = tuple[float, float, float]
"""Across and up, in the units of the axes, and the share of all that the dot stands for (0 draws none)."""

WIDTH, HEIGHT = 560, 380
LEFT, RIGHT, TOP, BOTTOM = 60, 16, 16, 48

_STYLE = """\
:root { --ink: #24292f; --ground: #ffffff; --grid: #d8dee4; --guide: #8c959f;
  --line0: #0b63ce; --line1: #b3541e; --line2: #1a7f4b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --ground: #161b22; --grid: #30363d; --guide: #848d97;
    --line0: #6cb2ff; --line1: #ff9d5c; --line2: #5fd394; }
}
text { font: 13px system-ui, sans-serif; fill: var(--ink); }
rect { fill: var(--ground); }
line { stroke: var(--grid); }
line.guide { stroke: var(--guide); stroke-dasharray: 5 4; }
path { fill: none; stroke-width: 2; }
"""


def chart(
    title: str,
    across: str,
    up: str,
    lines: Mapping[str, Sequence[Point]],
    lowest: float = 0.0,
    diagonal: bool = False,
) -> str:
    """An SVG of up to three named lines. Across is 0..1, up is `lowest`..1; `diagonal` draws where both are
    the same. The same lines give the same text."""

    def x(value: float) -> str:
        return f"{LEFT + value * (WIDTH - LEFT - RIGHT):.1f}"

    def y(value: float) -> str:
        return f"{TOP + (1 - value) / (1 - lowest) * (HEIGHT - TOP - BOTTOM):.1f}"

    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8"/>']
    for step in range(6):
        share, level = step / 5, lowest + step / 5 * (1 - lowest)
        parts += [
            f'<line x1="{x(0)}" x2="{x(1)}" y1="{y(level)}" y2="{y(level)}"/>',
            f'<text x="{LEFT - 8}" y="{y(level)}" dy="4" text-anchor="end">{level:.2f}</text>',
            f'<text x="{x(share)}" y="{y(lowest)}" dy="18" text-anchor="middle">{share:.1f}</text>',
        ]
    middle = (1 + lowest) / 2
    parts += [
        f'<text x="{x(0.5)}" y="{HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>',
        f'<text transform="translate(14 {y(middle)}) rotate(-90)" text-anchor="middle">{escape(up)}</text>',
    ]
    if diagonal:
        parts.append(f'<line class="guide" x1="{x(lowest)}" y1="{y(lowest)}" x2="{x(1)}" y2="{y(1)}"/>')
    for number, (name, points) in enumerate(lines.items()):
        colour = f"var(--line{number})"
        shown = [(x(a), y(b), size) for a, b, size in points if b >= lowest]
        route = " L".join(f"{a} {b}" for a, b, _ in shown)
        parts.append(f'<path d="M{route}" style="stroke:{colour}"/>')
        parts += [
            f'<circle cx="{a}" cy="{b}" r="{2 + 8 * size**0.5:.1f}" style="fill:{colour}"/>'
            for a, b, size in shown
            if size
        ]
        foot = HEIGHT - BOTTOM - 14 - 20 * (len(lines) - 1 - number)
        left = x(0.5 if diagonal else 0.03)
        parts.append(f'<path d="M{left} {foot - 4} h24" style="stroke:{colour}"/>')
        parts.append(f'<text x="{left}" dx="30" y="{foot}">{escape(name)}</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img">\n<title>{escape(title)}</title>\n'
        f"<style>\n{_STYLE}</style>\n{body}\n</svg>\n"
    )
