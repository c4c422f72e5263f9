"""Whether a post matches a query: one compiled test, for what comes in and for history alike."""

from __future__ import annotations

import fnmatch
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from routing.query import And, Is, Near, Not, Or, Phrase, Query, Within
from routing.words import fold, words

Key = TypeVar("Key")
_WILD = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class Post:
    """What a query may ask of a message.

    `authors` are the names by which its author goes: handle, address, the name for people. What is not known
    is None or empty, and matches no field. `intents` are those of which the model is sure.
    """

    text: str
    language: str | None = None
    channel: str = ""
    authors: tuple[str, ...] = ()
    followers: int | None = None
    sentiment: str | None = None
    intents: tuple[str, ...] = ()


class Reading:
    """A post, read once for all queries: where each of its words stands."""

    __slots__ = ("positions", "post")

    def __init__(self, post: Post) -> None:
        self.post = post
        positions: dict[str, list[int]] = {}
        for index, word in enumerate(words(post.text)):
            if word in positions:
                positions[word].append(index)
            else:
                positions[word] = [index]
            if word[0] in "#@":
                positions.setdefault(word[1:], []).append(index)
        self.positions: Mapping[str, Sequence[int]] = positions


Test = Callable[[Reading], bool]
Places = Callable[[Reading], Sequence[int]]


def compile_query(query: Query) -> Test:
    """The query as a test of a reading."""
    match query:
        case Phrase((word,)):
            return _has_word(word)
        case Phrase():
            starts = _starts(query)
            return lambda reading: bool(starts(reading))
        case Near():
            return _near(query)
        case Is():
            return _is(query)
        case Within(_, low, high):
            return lambda reading: _within(reading.post.followers, low, high)
        case And(parts):
            tests = [compile_query(part) for part in parts]
            return lambda reading: all(test(reading) for test in tests)
        case Or(parts):
            tests = [compile_query(part) for part in parts]
            return lambda reading: any(test(reading) for test in tests)
        case Not(part):
            test = compile_query(part)
            return lambda reading: not test(reading)


def _has_word(word: str) -> Test:
    if not _WILD.search(word):
        return lambda reading: word in reading.positions
    fits = _fits(word)
    return lambda reading: any(map(fits, reading.positions))


def _fits(pattern: str) -> Callable[[str], object]:
    """Whether a word fits a pattern with wildcards."""
    if pattern.endswith("*") and not _WILD.search(pattern[:-1]):
        beginning = pattern[:-1]
        return lambda word: word.startswith(beginning)
    # Words hold letters and digits only, so that nothing else in the pattern is special.
    return re.compile(fnmatch.translate(pattern)).match


def _places(word: str) -> Places:
    if not _WILD.search(word):
        return lambda reading: reading.positions.get(word, ())
    fits = _fits(word)

    def found(reading: Reading) -> Sequence[int]:
        lists = [places for known, places in reading.positions.items() if fits(known)]
        return lists[0] if len(lists) == 1 else sorted({place for places in lists for place in places})

    return found


def _starts(phrase: Phrase) -> Places:
    """Where the phrase begins, in order."""
    first, *others = [_places(word) for word in phrase.words]
    if not others:
        return first

    def found(reading: Reading) -> Sequence[int]:
        starts = first(reading)
        for offset, places in enumerate(others, 1):
            if not starts:
                return ()
            follow = set(places(reading))
            starts = [start for start in starts if start + offset in follow]
        return starts

    return found


def _near(near: Near) -> Test:
    groups = [[(_starts(phrase), len(phrase.words)) for phrase in group] for group in near.groups]
    stretch = near.stretch

    def test(reading: Reading) -> bool:
        begins: set[int] = set()
        found: list[tuple[list[int], list[int]]] = []
        for group in groups:
            spans = sorted((start, start + length) for starts, length in group for start in starts(reading))
            if not spans:
                return False
            # Of all that begin at a place or later, where the first one ends.
            ends = [end for _, end in spans]
            for index in range(len(ends) - 2, -1, -1):
                ends[index] = min(ends[index], ends[index + 1])
            starts_only = [start for start, _ in spans]
            begins.update(starts_only)
            found.append((starts_only, ends))
        return any(
            all(
                (index := bisect_left(starts_only, begin)) < len(ends) and ends[index] <= begin + stretch
                for starts_only, ends in found
            )
            for begin in begins
        )

    return test


def _is(query: Is) -> Test:
    value = query.value
    match query.field:
        case "lang":
            return lambda reading: reading.post.language == value
        case "sentiment":
            return lambda reading: reading.post.sentiment == value
        case "intent":
            return lambda reading: value in reading.post.intents
        case "channel":
            names: Callable[[Post], Iterable[str]] = lambda post: (post.channel,)  # noqa: E731
        case _:
            names = lambda post: post.authors  # noqa: E731
    fits = re.compile(fnmatch.translate(value.replace("[", "[[]"))).match
    return lambda reading: any(fits(plain_name(name)) for name in names(reading.post))


@lru_cache(maxsize=4096)
def plain_name(name: str) -> str:
    """A name as it is compared: folded, single spaces, no @ before it."""
    return " ".join(fold(name).split()).removeprefix("@")


def _within(number: int | None, low: int | None, high: int | None) -> bool:
    return number is not None and (low is None or number >= low) and (high is None or number <= high)


class QuerySet(Generic[Key]):
    """Many queries at once: a post is tested only against those of which it has a word that they need."""

    def __init__(self, queries: Mapping[Key, Query]) -> None:
        self._keys = list(queries)
        self._tests = [compile_query(query) for query in queries.values()]
        self._by_word: dict[str, list[int]] = {}
        self._by_beginning: dict[str, list[int]] = {}
        self._always: list[int] = []
        for index, query in enumerate(queries.values()):
            needed = anchors(query)
            if needed is None:
                self._always.append(index)
                continue
            for anchor in needed:
                if anchor.endswith("*"):
                    self._by_beginning.setdefault(anchor[:-1], []).append(index)
                else:
                    self._by_word.setdefault(anchor, []).append(index)
        self._lengths = sorted({len(beginning) for beginning in self._by_beginning})

    def matches(self, post: Post) -> list[Key]:
        """The keys of the queries that the post matches, in their order."""
        reading = Reading(post)
        known = reading.positions
        candidates = set(self._always)
        for word in self._by_word.keys() & known.keys():
            candidates.update(self._by_word[word])
        if self._lengths:
            beginnings = {word[:length] for word in known for length in self._lengths}
            for beginning in self._by_beginning.keys() & beginnings:
                candidates.update(self._by_beginning[beginning])
        return [self._keys[index] for index in sorted(candidates) if self._tests[index](reading)]


def anchors(query: Query) -> frozenset[str] | None:
    """Words of which every match has at least one (`refund*`: one that begins so); None where none is needed.

    Of several such sets the one of the longest words, which are the rarest.
    """
    match query:
        case Phrase(parts):
            return _best(_anchor(word) for word in parts)
        case Near(groups):
            return _best(_all_of(anchors(phrase) for phrase in group) for group in groups)
        case And(parts):
            return _best(anchors(part) for part in parts)
        case Or(parts):
            return _all_of(anchors(part) for part in parts)
    return None


def _anchor(word: str) -> frozenset[str] | None:
    beginning = _WILD.split(word, maxsplit=1)[0]
    if beginning == word:
        return frozenset((word,))
    return frozenset((f"{beginning}*",)) if beginning.strip("#@") else None


def _best(sets: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    return max(
        (each for each in sets if each is not None),
        key=lambda each: (min(len(word.rstrip("*")) for word in each), -len(each)),
        default=None,
    )


def _all_of(sets: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    together: frozenset[str] = frozenset()
    for each in sets:
        if each is None:
            return None
        together |= each
    return together
