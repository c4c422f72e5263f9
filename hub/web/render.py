"""Renders the pages: one Jinja environment, its filters, and the names of the built assets."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

HERE = Path(__file__).parent
STATIC = HERE / "static"

# The pages hold no inline script and no inline style, so that nothing a customer wrote can ever become one.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

AVATAR_COLOURS = 8


@cache
def load_manifest() -> dict[str, str]:
    """Plain names of the built assets to hashed ones. Raises: FileNotFoundError where they are not built."""
    path = STATIC / "built" / "manifest.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: `pip install -e .` builds the pages' assets")
    manifest: dict[str, str] = json.loads(path.read_text())
    return manifest


def asset(name: str) -> str:
    """The address of a built asset: `app.css`, `app.js`, `charts.js` or `icons.svg`."""
    return f"/static/built/{load_manifest()[name]}"


def duration(seconds: float) -> str:
    """A length of time in the two largest units that matter: `45 s`, `12 min`, `1 h 20 min`, `2 d 3 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def used_of_target(used_seconds: float, target_seconds: float) -> str:
    """How much of a promise is used: `12 of 15 min`, `1 h 5 min of 2 h`, or `8 min over`."""
    if used_seconds >= target_seconds:
        return f"{duration(used_seconds - target_seconds)} over"
    used, target = duration(used_seconds), duration(target_seconds)
    if used.split(" ")[1:] == target.split(" ")[1:]:
        used = used.split(" ")[0]
    return f"{used} of {target}"


def promise_level(used_seconds: float, target_seconds: float) -> str:
    """`calm` under half, `near` under four fifths, `close` until the promise, `over` after it."""
    share = used_seconds / target_seconds if target_seconds else 1.0
    return "calm" if share < 0.5 else "near" if share < 0.8 else "close" if share < 1 else "over"


def plural(count: int, one: str, many: str | None = None) -> str:
    """The count with its noun: `1 message`, `1,204 messages`, `2 replies` with `many` given."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def percent(share: float | None) -> str:
    """A share of 0..1 as `93 %`; a dash for None."""
    return "–" if share is None else f"{share * 100:.0f}\N{NO-BREAK SPACE}%"


def top_percent(percentile: float) -> int:
    """A percentile of 0..100 (100 = spends most) as the N of `top N %`, at least 1."""
    return max(1, math.ceil(100 - percentile))


def factor(value: float) -> str:
    """A multiplier or a weight with no more digits than it needs: `8`, `1.5`, `16.4`."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value < 10 else f"{value:.1f}".removesuffix(".0")


def money(amount: Decimal, currency: str) -> str:
    """An amount with its currency's code, `1,240.50 EUR`, parted by a space that does not break."""
    return f"{amount:,.2f}\N{NO-BREAK SPACE}{currency}"


def initials(name: str) -> str:
    """Up to two letters for an avatar; a question mark for a name without any."""
    words = ["".join(c for c in word if c.isalnum()) for word in name.split()]
    letters = [word[0] for word in words if word]
    return ("".join(letters[:1] + letters[1:][-1:])).upper() or "?"


def avatar_colour(name: str) -> int:
    """The same colour, 0..7, for the same name, wherever it is shown."""
    return zlib.crc32(name.encode()) % AVATAR_COLOURS


def iso(at: datetime) -> str:
    """A moment for `<time datetime>`, in UTC."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def utc(at: datetime, style: str = "clock", zone: str = "UTC") -> str:
    """What a moment reads as before the browser has put it in the reader's zone; of a day, that of `zone`."""
    formats = {"day": "%-d %b %Y", "hour": "%H:%M UTC", "full": "%-d %b %Y, %H:%M UTC"}
    return at.astimezone(ZoneInfo(zone) if style == "day" else UTC).strftime(
        formats.get(style, "%-d %b, %H:%M UTC")
    )


def sparkline(values: Sequence[float], width: int = 120, height: int = 28) -> str:
    """Points of an SVG polyline for values of -1..1, oldest first."""
    step = width / max(1, len(values) - 1)
    return " ".join(f"{i * step:.1f},{(1 - v) / 2 * (height - 4) + 2:.1f}" for i, v in enumerate(values))


INTENT_NAMES = {
    "refund_return": "Refund or return",
    "billing_payment": "Billing",
    "cancel_churn": "Cancelling",
    "loyalty_rewards": "Loyalty",
    "praise_thanks": "Praise",
    "feature_suggestion": "Suggestion",
    "spam_irrelevant": "Spam",
}


def intent(name: str) -> str:
    """What an agent calls an intent: `praise_thanks` as `Praise`."""
    return INTENT_NAMES.get(name) or label(name)


def label(name: str) -> str:
    """A stored name as people read it: `refund_return` as `Refund return`."""
    return name.replace("_", " ").capitalize()


def titled(name: str) -> str:
    """A name of the policy's as a title, its other capitals kept: `gold` as `Gold`, `VIP` as it is."""
    return name[:1].upper() + name[1:]


def to_json(value: Any) -> Markup:
    """A value as JSON that is safe inside a `<script type="application/json">`."""
    text = json.dumps(value, default=str, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))  # noqa: S704


def inline(text: str) -> Markup:
    """A sentence with Markdown's `code`, *emphasis* and [links](https://…) as HTML; nothing else of it."""
    safe = str(escape(text))
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    safe = re.sub(r"\*\*([^*]+)\*\*|\*([^*]+)\*", r"<b>\1\2</b>", safe)
    linked = r'<a class="link" href="\2" rel="noreferrer">\1</a>'
    return Markup(re.sub(r"\[([^\]]+)\]\((https://[^\s()\"]+)\)", linked, safe))  # noqa: S704 - escaped above


FILTERS: tuple[Callable[..., Any], ...] = (
    duration,
    plural,
    percent,
    top_percent,
    factor,
    money,
    initials,
    avatar_colour,
    iso,
    utc,
    sparkline,
    intent,
    label,
    titled,
    inline,
    to_json,
)


@cache
def environment() -> Environment:
    """The environment of every page: escaping on, undefined names are errors."""
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {function.__name__: function for function in FILTERS}
    env.globals.update(asset=asset, used_of_target=used_of_target, promise_level=promise_level)
    return env


def render(template: str, **context: Any) -> str:
    """A page or a fragment as HTML. Each template says at its top what it wants."""
    return environment().get_template(template).render(context)
