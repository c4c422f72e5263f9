"""What the customer wrote, made plain: pure functions, linear in the length of the text."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache

from sentiment.formulas import Span, formulas
from sentiment.pictures import MEANINGS

MAX_CHARS = 8_000
"""Longer texts keep this many characters: three quarters from the head, one from the tail."""

_LINK = re.compile(r"\b(?:https?://|www\.)\S{1,2000}", re.IGNORECASE)
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?=[\w-]{0,63}\.)[\w.-]{1,255}")
_HANDLE = re.compile(r"(?<![\w@])@\w{1,64}(?:@[\w.-]{1,255}\w)?")
_SPACE = re.compile(r"\s+")
_BLOB = re.compile(r"(?<![\w+/=])(?=[\w+/=]{0,400}\d)[A-Za-z0-9+/=_-]{40,}")
_PLACEHOLDER = re.compile(r"@user|\bhttp\b")
# What the eye passes over: letters without end, bytes written out in hexadecimal, markup.
_ENCODED = re.compile(
    r"(?<![\w#])(?:[A-Za-z]{40,}|(?:(?:[\dA-Fa-f]{2}){1,4}(?:[ :.,-]{1,3}|$)){8,})|<[A-Za-z/!][^<>]{0,300}>"
)
_WORD = re.compile(r"(?<!\S)[^\W\d_]{2,39}(?=[.,:;!?]*(?:\s|$))")
_LONGEST_NUMBER = 100
_HASHTAG = re.compile(r"#(\w+)")
_HUMP = re.compile(r"(?<=[a-z\d])(?=[A-Z])")
_HELD_DOWN = re.compile(r"([^\W\d_])\1{3,}")
_PLAIN = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "\u200c": "", "\u200d": " "})
_SOME_WORD = re.compile(r"(?<![@\w./:])[^\W\d_]{2,}")
_FEWEST_WORDS = 2
_UNSEEN = {"Cc", "Cf", "Co", "Cs", "Cn"}
_JOINERS = "\u200c\u200d"  # they carry meaning in Persian, in Indic scripts and inside emoji


def clean(text: str) -> str:
    """What is read of the text (see `kept`), normalised (see `normalise`): at most `MAX_CHARS` long."""
    return normalise(" ".join(text[start:end] for start, end in kept(text)))


def normalise(text: str) -> str:
    """HTML entities decoded, NFC, handles to `@user`, links and mail addresses to `http`, encoded blobs and
    characters nobody sees dropped, runs of white space to one space.

    The placeholders are TweetEval's, which the heads are trained on. Texts never grow by it.
    """
    text = unicodedata.normalize("NFC", html.unescape(text))
    text = "".join(c if c in _JOINERS or unicodedata.category(c) not in _UNSEEN else " " for c in text)
    text = _LINK.sub("http", text)
    text = _MAIL.sub("http", text)
    text = _HANDLE.sub("@user", text)
    text = _BLOB.sub(" ", text)
    return _SPACE.sub(" ", text).strip()


def kept(text: str) -> tuple[Span, ...]:
    """Where in `text` that stands which is read: all of it, or of a long one its beginning and its end, in
    whole words where there are words; less its formulas, unless there are hardly any words beside them."""
    ends = _ends(text)
    found = []
    for start, end in ends:
        for first, last in formulas(text, start, end):
            found.append((start, first))
            start = last
        found.append((start, end))
    found = [(start, end) for start, end in found if text[start:end].strip()]
    words = sum(len(_SOME_WORD.findall(text, start, end)) for start, end in found)
    return tuple(found) if words >= _FEWEST_WORDS else ends


def _ends(text: str) -> tuple[Span, ...]:
    """The whole text, or the beginning and the end of a long one."""
    if len(text) <= MAX_CHARS:
        return ((0, len(text)),)
    tail = MAX_CHARS // 4
    head = MAX_CHARS - tail - 1
    begin = len(text) - tail
    first = _SPACE.search(text, begin)
    last = max(text.rfind(space, 0, head + 1) for space in (" ", "\n", "\t"))
    head = last if last > 0 else head
    return ((0, head), (first.start() if first else begin, len(text)))


def is_blank(cleaned: str) -> bool:
    """Whether a cleaned text says nothing: no word, number or picture beside handles, links and punctuation,
    no word beside encoded data, or nothing but digits beyond what an order or a card needs."""
    said = _PLACEHOLDER.sub(" ", cleaned)
    bare = _ENCODED.sub(" ", said)
    if bare != said:
        return not _WORD.search(bare)
    if any(c.isalpha() or unicodedata.category(c) == "So" for c in said):
        return False
    return len(cleaned) > _LONGEST_NUMBER or not any(c.isalnum() for c in said)


def letters(cleaned: str) -> str:
    """What tells the language of a cleaned text: its words, without placeholders, signs, digits and emoji."""
    text = _PLACEHOLDER.sub(" ", cleaned)
    kept = "".join(c if c in "'’-" or unicodedata.category(c)[0] in "LM" else " " for c in text)
    return _SPACE.sub(" ", kept.replace("’", "'")).strip()


def spell_out(cleaned: str) -> str:
    """Write for a vocabulary of plain words: pictures as what is meant by them, else by their Unicode names,
    `#NotAgain` as `# Not Again`, letters held down ("sooooo") twice, typographic quotes straight."""
    text = _HASHTAG.sub(lambda match: "# " + _HUMP.sub(" ", match[1]), cleaned)
    text = _HELD_DOWN.sub(r"\1\1", text).translate(_PLAIN)
    return _SPACE.sub(" ", "".join(_spoken(c) if c > "\u2190" else c for c in text)).strip()


@lru_cache(maxsize=4096)
def _spoken(char: str) -> str:
    if char in _JOINERS or unicodedata.category(char) in ("Sk", "Mn") or "\U0001f1e6" <= char <= "\U0001f1ff":
        return " " if char > "\uffff" else ""
    if unicodedata.category(char) != "So":
        return char
    return f" {MEANINGS.get(char) or unicodedata.name(char, '').lower()} "
