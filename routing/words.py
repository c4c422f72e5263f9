"""Texts as words: what a query and a post are both made of, so that they meet whatever their spelling.

Case, accents and width do not count (`Réclamation` is `reclamation`), and neither do the vowel points of
Arabic and Hebrew. Scripts that write without spaces (Chinese, Japanese, Thai, Lao, Burmese, Khmer) are read
sign by sign, emoji too. A hashtag and a handle keep their sign: `#acme` is found by `#acme` and by `acme`.
"""

from __future__ import annotations

import re
import unicodedata

# Letters that Unicode does not take apart, and signs that only tell how another one looks.
_LETTERS = {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h"}
_DROPPED = re.compile(
    # Latin, Greek and Cyrillic accents; Hebrew points; Arabic vowels and the stroke that only lengthens.
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u0640"
    # Soft hyphen, joiners, directions, variants, skin tones.
    "\u064b-\u065f\u0670\u00ad\u200c-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff"
    "\U0001f3fb-\U0001f3ff\U000e0020-\U000e01ef]"
)
_FOLD = str.maketrans(_LETTERS)
# Read sign by sign.
_SIGNS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2600-\u27bf\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\U0001f000-\U0001faff\U00020000-\U0003ffff"
)
# Vowel signs within words, which `\w` is not: Indic scripts and Tibetan.
_VOWELS = "\u0900-\u0963\u0966-\u0dff\u0f71-\u0f84"
# Stand for `*` and `?` while a query is read; no text has them.
_MANY, _ONE = "\ue000", "\ue001"


def _words(wild: str) -> re.Pattern[str]:
    letter = rf"[^\W_{_SIGNS}]" if not wild else rf"(?:[^\W_{_SIGNS}]|[{wild}])"
    word = rf"{letter}+(?:[_{_VOWELS}]+{letter}+|[{_VOWELS}]+)*"
    return re.compile(rf"(?:(?<!\w)[#@](?=[^\W_]|[{_SIGNS}{wild}]))?(?:{word}|[{_SIGNS}])")


_WORDS = _words("")
_PATTERNS = _words(_MANY + _ONE)
# The same for most of what is written.
_ASCII_WORDS = re.compile(r"(?:(?<![a-z0-9_])[#@](?=[a-z0-9]))?[a-z0-9]+(?:_+[a-z0-9]+)*")


def fold(text: str) -> str:
    """The text without what does not count in a search."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", _DROPPED.sub("", apart)).translate(_FOLD)


def words(text: str) -> list[str]:
    """The words of a text, folded, in their order; those with `#` or `@` before them keep it."""
    folded = fold(text)
    found: list[str] = (_ASCII_WORDS if folded.isascii() else _WORDS).findall(folded)
    return found


def patterns(raw: str) -> list[str]:
    r"""The words of a piece of a query, where `*` stands for any letters and `?` for one; `\*` is a star."""
    marked = []
    signs = iter(raw)
    for sign in signs:
        if sign == "\\":
            marked.append(next(signs, ""))
        else:
            marked.append({"*": _MANY, "?": _ONE}.get(sign, sign))
    found = _PATTERNS.findall(fold("".join(marked)))
    return [word.replace(_MANY, "*").replace(_ONE, "?") for word in found]
