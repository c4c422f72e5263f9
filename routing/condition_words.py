"""The words of a CEL expression: which fact is compared with which literal, and where.

The grammar is that of https://github.com/google/cel-spec/blob/master/doc/langdef.md. The library checks and
evaluates; what it does not tell is the value that stands beside a fact, so that a wrong one can be named.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from routing.facts import FACTS

WordKind = Literal["path", "method", "text", "whole", "number", "operator", "bad"]

_WORD = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<text>[rRbB]{0,2}(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    |(?P<number>(?:\d+\.\d+|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?)
    |(?P<whole>0[xX][0-9a-fA-F]+[uU]?|\d+[uU]?)
    |(?P<path>[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)
    |(?P<operator>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])
    |(?P<bad>.)""",
    re.VERBOSE | re.DOTALL,
)
_EQUAL = ("==", "!=")
_ORDERED = (*_EQUAL, "<", "<=", ">", ">=")
_BESIDE = (*_ORDERED, "+", "-", "*", "/")
_BETWEEN = ("&&", "||", "!", "(", ")", "?", ":")
_MACROS = ("all", "exists", "exists_one", "map", "filter")


@dataclass(frozen=True, slots=True)
class Word:
    """A word at `text[start:end]`; a path is without spaces."""

    kind: WordKind
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Compared:
    """A literal that stands beside a fact, by `==`, `!=` or `in`, alone or in a list."""

    fact: str
    literal: Word

    @property
    def value(self) -> str:
        """What a text says, without its quotes; all else, and what cannot be read, as it is written."""
        written = self.literal.text
        try:
            return str(ast.literal_eval(written)) if self.literal.kind == "text" else written
        except (SyntaxError, ValueError):
            return written


def words_of(text: str) -> list[Word]:
    """All words in order, without spaces and comments."""
    words: list[Word] = []
    for match in _WORD.finditer(text):
        kind = match.lastgroup
        if kind == "space":
            continue
        start, end, said = match.start(), match.end(), match[0]
        if kind == "path":
            last = re.search(r"\.\s*(\w+)$", said)
            if last is not None and text[end:].lstrip().startswith("("):
                words.append(
                    Word("path", re.sub(r"\s", "", said[: last.start()]), start, start + last.start())
                )
                words.append(Word("method", last[1], start + last.start(1), end))
                continue
            said = re.sub(r"\s", "", said)
        words.append(Word(kind, said, start, end))  # type: ignore[arg-type]
    return words


def compared(words: Sequence[Word]) -> Iterator[Compared]:
    """Every literal beside a fact."""
    names = _bound(words)

    def fact_at(index: int) -> str | None:
        if not 0 <= index < len(words) or words[index].kind != "path":
            return None
        if index + 1 < len(words) and words[index + 1].kind == "method":
            return None
        name = names.get(words[index].text, words[index].text)
        return name if name in FACTS else None

    for index, word in enumerate(words):
        if word.kind not in ("text", "whole", "number") and word.text not in ("true", "false"):
            continue
        before = words[index - 1].text if index else ""
        after = words[index + 1].text if index + 1 < len(words) else ""
        opened = _list_around(words, index) or 0
        fact = fact_at(index - 2) if before in _EQUAL else None
        fact = fact or (fact_at(index + 2) if after in (*_EQUAL, "in") else None)
        if fact is None and words[opened - 1].text == "in":
            fact = fact_at(opened - 2)
        if fact is not None:
            yield Compared(fact, word)


def thresholds(words: Sequence[Word], fact: str) -> list[float] | None:
    """The numbers that a fact is compared with; None where more is done with it than to compare it."""
    asked = [index for index, word in enumerate(words) if word.kind == "path" and word.text == fact]
    found = [_beside(words, index) for index in asked]
    return None if None in found else [number for _, number in filter(None, found)]


def numbers(words: Sequence[Word]) -> Iterator[tuple[str, Word, float]]:
    """The facts that are compared with a plain number, each with its word and what that says."""
    for index, word in enumerate(words):
        if word.kind == "path" and word.text in FACTS and (found := _beside(words, index)):
            yield word.text, *found


def _beside(words: Sequence[Word], index: int) -> tuple[Word, float] | None:
    """The number that the word there is compared with, None where there is none, or more is reckoned."""
    right, left = list(words[index + 1 : index + 5]), list(reversed(words[max(index - 4, 0) : index]))
    for ahead, behind in ((right, left), (left, right)):
        if len(ahead) < 2 or ahead[0].text not in _ORDERED or not _ends_here(_at(behind, 0)):
            continue
        # A minus stands before its number, whichever side that is on.
        sign, first, beyond = 1, ahead[1], _at(ahead, 2)
        if ahead is right and first.text == "-" and beyond is not None:
            sign, first, beyond = -1, beyond, _at(ahead, 3)
        elif ahead is left and beyond is not None and beyond.text == "-":
            sign, beyond = -1, _at(ahead, 3)
        if first.kind in ("whole", "number") and _ends_here(beyond):
            return first, sign * _number(first)
    return None


def whole_numbers_to_widen(words: Sequence[Word]) -> Iterator[Word]:
    """The whole numbers that CEL must read as numbers with a point, as every number among the facts is.

    Not those that count something by `size`, nor what picks an item of a list.
    """
    for index, word in enumerate(words):
        if word.kind != "whole" or not word.text.isdigit():
            continue
        before = words[max(index - 2, 0) : index]
        if len(before) == 2 and before[1].text == "[" and _ends_a_value(before[0]):
            continue
        if not (_size_before(words, index) or _size_after(words, index)):
            yield word


def _at(words: Sequence[Word], index: int) -> Word | None:
    return words[index] if 0 <= index < len(words) else None


def _ends_here(word: Word | None) -> bool:
    """Whether nothing is reckoned with what stands beside this word."""
    return word is None or word.text in _BETWEEN


def _number(literal: Word) -> float:
    return float(int(literal.text.rstrip("uU"), 0)) if literal.kind == "whole" else float(literal.text)


def _ends_a_value(word: Word) -> bool:
    return (word.kind == "path" and word.text != "in") or word.text in (")", "]")


def _size_before(words: Sequence[Word], index: int) -> bool:
    if index < 2 or words[index - 1].text not in _BESIDE or words[index - 2].text != ")":
        return False
    opened = _opening(words, index - 2)
    return opened > 0 and words[opened - 1].text == "size"


def _size_after(words: Sequence[Word], index: int) -> bool:
    if index + 2 >= len(words) or words[index + 1].text not in _BESIDE:
        return False
    ahead = words[index + 2]
    called = words[index + 3] if index + 3 < len(words) else ahead
    return ahead.text == "size" or (called.kind == "method" and called.text == "size")


def _bound(words: Sequence[Word]) -> dict[str, str]:
    """What a macro's own name stands for: `i` is one of `intents` in `intents.exists(i, …)`."""
    return {
        words[index + 3].text: words[index].text
        for index in range(len(words) - 3)
        if words[index].kind == "path"
        and words[index + 1].kind == "method"
        and words[index + 1].text in _MACROS
        and words[index + 3].kind == "path"
    }


def _list_around(words: Sequence[Word], index: int) -> int | None:
    """Where the list begins that holds this literal, None where it is in none."""
    for position in range(index - 1, -1, -1):
        if words[position].text == "[":
            return position
        if words[position].kind not in ("text", "whole", "number") and words[position].text not in (",", "-"):
            return None
    return None


def _opening(words: Sequence[Word], closing: int) -> int:
    depth = 0
    for position in range(closing, -1, -1):
        depth += {")": 1, "(": -1}.get(words[position].text, 0)
        if depth == 0:
            return position
    return -1
