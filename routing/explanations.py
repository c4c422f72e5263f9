"""What was decided and why, as text that is kept for years and needs no policy to be read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from routing.types import METRICS, Metric, Priority, Reason

MOST_BYTES = 1000
# The format; a reader must know all that were ever written.
_VERSION = 1
_SHORTENED = (None, 60, 30, 15, 8)


@dataclass(frozen=True, slots=True)
class Explained:
    """A decision as it was made: which policy promised what by when, and why it was worth its weight."""

    metric: Metric
    policy: str
    target_seconds: int
    due_at: datetime
    weight: float
    reasons: tuple[Reason, ...]

    @property
    def in_words(self) -> str:
        """`8 Platinum × 1.4 negative (0.93 sure) = 11.2`; factors of 1 are left out."""
        parts = [f"{reason.factor:g} {reason.text}" for reason in self.reasons if reason.factor != 1]
        return f"{' × '.join(parts) or 'nothing special'} = {self.weight:.3g}"


def to_text(priority: Priority) -> str:
    """The decision as text of at most `MOST_BYTES` bytes in UTF-8; long words of reasons are cut to fit."""
    for limit in _SHORTENED:
        reasons = [[round(reason.factor, 4), reason.text[:limit]] for reason in priority.reasons]
        text = json.dumps(
            {
                "v": _VERSION,
                "metric": priority.metric,
                "policy": priority.policy,
                "target": priority.target_seconds,
                "due": priority.due_at.isoformat(),
                "weight": round(priority.weight, 4),
                "reasons": reasons,
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )
        if len(text.encode()) <= MOST_BYTES:
            return text
    raise ValueError(f"{len(priority.reasons)} reasons are too many to be kept")


def from_text(text: str) -> Explained:
    """A decision that was kept. Raises: ValueError, where the text is none."""
    try:
        kept = json.loads(text)
        if kept["v"] != _VERSION or kept["metric"] not in METRICS:
            raise ValueError(f"format {kept['v']!r} is not known")
        return Explained(
            kept["metric"],
            kept["policy"],
            kept["target"],
            datetime.fromisoformat(kept["due"]),
            kept["weight"],
            tuple(Reason(factor, said) for factor, said in kept["reasons"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no decision: {error!r}") from None
