"""What a reader of messages must do, tried case by case: `python -m sentiment.behaviour` prints the failures.

Accuracy on a test set hides what a model has not understood. This suite asks for one ability at a time, in
the manner of CheckList (Ribeiro et al. 2020, "Beyond Accuracy"), with its three kinds of test: a minimum
functionality that must be there, a change that must not matter (invariance), and a change that must move
the score one way (directional expectation). The cases stand in `data/behaviour.yaml`; nothing is trained or
chosen by them.
"""

from __future__ import annotations

import argparse
import random
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import yaml

from sentiment.types import Analysis, Scorer

CASES = Path(__file__).parent / "data" / "behaviour.yaml"

TOLERANCE = 0.1
"""How far the score (-1..1) may move where nothing should."""
STEP = 0.05
"""How far it must move where something should, and how far it may slip against it."""

LONGEST_SHOWN = 120
"""Of a longer text, a failure shows the end."""

Way = Literal["up", "down", "stronger", "weaker"]


class Rule(Protocol):
    def broken(self, *analyses: Analysis) -> str | None:
        """What is wrong with the analyses of a case's texts, None where nothing is."""


@dataclass(frozen=True, slots=True)
class Expect:
    """Minimum functionality: what must be said of one text. An empty set or None asks for nothing; silence
    is no answer."""

    sentiment: frozenset[str] = frozenset()
    topic: frozenset[str] = frozenset()
    says: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    reply: bool | None = None

    def broken(self, *analyses: Analysis) -> str | None:
        [found] = analyses
        intents = [each.label for each in found.intents]
        if self.sentiment and found.sentiment.label not in self.sentiment:
            return f"{found.sentiment.label or 'silent'}, not {_either(self.sentiment)}"
        if self.topic and not self.topic.intersection(intents[:1]):
            return f"{intents[0] if intents else 'no topic'}, not {_either(self.topic)}"
        if self.says and not self.says.intersection(intents):
            return f"{', '.join(intents) or 'no intent'}, not {_either(self.says)}"
        if self.without.intersection(intents):
            return f"{_either(self.without)} is said"
        if self.reply is None:
            return None
        if found.expects_reply is None:
            return "silent on a reply"
        if (found.expects_reply >= 0.5) is not self.reply:
            return f"{'no' if self.reply else 'a'} reply is expected"
        return None


@dataclass(frozen=True, slots=True)
class Same:
    """Invariance: the second text must be read as the first, the score within `tolerance`. What is not said
    contradicts nothing."""

    tolerance: float = TOLERANCE

    def broken(self, *analyses: Analysis) -> str | None:
        before, after = analyses
        moods = (before.sentiment.label, after.sentiment.label)
        if None not in moods and moods[0] != moods[1]:
            return f"{moods[0]} became {moods[1]}"
        if abs(after.sentiment.score - before.sentiment.score) > self.tolerance:
            return _moved(before, after)
        topics = [each.intents[0].label for each in analyses if each.intents]
        return f"{topics[0]} became {topics[1]}" if len(set(topics)) > 1 else None


@dataclass(frozen=True, slots=True)
class Toward:
    """Directional expectation of the second text's score: `up` or `down` by a step, or, against the first's,
    not less sure of its side (`stronger`) or not surer of it (`weaker`)."""

    way: Way

    def broken(self, *analyses: Analysis) -> str | None:
        before, after = (each.sentiment.score for each in analyses)
        side = 1 if before >= 0 else -1
        right = {
            "up": after >= before + STEP,
            "down": after <= before - STEP,
            "stronger": after * side >= before * side - STEP,
            "weaker": after * side <= before * side + STEP,
        }
        return None if right[self.way] else f"not {self.way}: {_moved(*analyses)}"


@dataclass(frozen=True, slots=True)
class Case:
    """One text, or a text and what became of it, and the rule that must hold of their analyses."""

    group: str
    texts: tuple[str, ...]
    rule: Rule


@dataclass(frozen=True, slots=True)
class Group:
    """The outcome of a group's cases. `failures` tell the texts and what is wrong with them."""

    cases: int
    failures: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Share of the cases that failed."""
        return len(self.failures) / self.cases


def measure(scorer: Scorer, cases: Sequence[Case] | None = None) -> Mapping[str, Group]:
    """Try all cases (the suite's own, unless others are given); the outcome of each group, in order."""
    cases = load() if cases is None else cases
    texts = list(dict.fromkeys(text for case in cases for text in case.texts))
    found = dict(zip(texts, scorer.score(texts), strict=True))
    tried: dict[str, list[str | None]] = {}
    for case in cases:
        wrong = case.rule.broken(*(found[text] for text in case.texts))
        shown = " -> ".join(_shown(text) for text in case.texts)
        tried.setdefault(case.group, []).append(f"{shown} [{wrong}]" if wrong else None)
    return {
        name: Group(len(outcomes), tuple(wrong for wrong in outcomes if wrong))
        for name, outcomes in tried.items()
    }


def load(path: Path = CASES) -> list[Case]:
    """All cases, the same at every call. Raises: KeyError, where a test names a lexicon or a way to change
    a text that is not there."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [
        Case(group, texts, rule)
        for group, tests in raw["groups"].items()
        for test in tests
        for texts, rule in _expand(test, raw["lexicons"])
    ]


def _expand(
    test: Mapping[str, Any], lexicons: Mapping[str, Sequence[Any]]
) -> list[tuple[tuple[str, ...], Rule]]:
    if "pairs" in test:
        if test["toward"] not in get_args(Way):
            raise KeyError(test["toward"])
        return [
            (tuple(filled), Toward(test["toward"]))
            for pair in test["pairs"]
            for filled in _fill(pair, lexicons)
        ]
    same = Same(test.get("tolerance", TOLERANCE))
    if "by" in test:
        change = CHANGES[test["by"]]
        return [((text, changed), same) for text in test["texts"] for changed in change(text)]
    if "over" in test:
        return [
            ((text.format_map(first | {test["over"]: entries[0]}), text.format_map(first | other)), same)
            for text in test["texts"]
            for first in [{name: each[0] for name, each in lexicons.items()}]
            for entries in [lexicons[test["over"]]]
            for other in ({test["over"]: entry} for entry in entries[1:])
        ]
    asked = dict(test["expect"])
    expect = Expect(reply=asked.pop("reply", None), **{name: frozenset(asked[name]) for name in asked})
    return [
        ((filled + test.get("also", ""),), expect)
        for text in test["texts"]
        for [filled] in _fill([text], lexicons)
    ]


def _fill(texts: Sequence[str], lexicons: Mapping[str, Sequence[Any]]) -> list[list[str]]:
    """The texts with the lexicons' entries, each entry at least once: the first with the first, and so on."""
    names = {field for text in texts for _, field, _, _ in string.Formatter().parse(text) if field}
    count = max((len(lexicons[name]) for name in names), default=1)
    return [
        [text.format_map({name: lexicons[name][i % len(lexicons[name])] for name in names}) for text in texts]
        for i in range(count)
    ]


def _typo(text: str) -> list[str]:
    """A letter swapped with its neighbour, one dropped, one doubled: inside a word of five or more."""
    dice = random.Random(text)  # noqa: S311 (the same mistakes every time)
    spots = [
        at for word in re.finditer(r"[A-Za-z]{5,}", text) for at in range(word.start() + 1, word.end() - 2)
    ]
    swapped, dropped, doubled = dice.sample(spots, 3)
    return [
        text[:swapped] + text[swapped + 1] + text[swapped] + text[swapped + 2 :],
        text[:dropped] + text[dropped + 1 :],
        text[: doubled + 1] + text[doubled:],
    ]


def _held_down(text: str) -> list[str]:
    """The last vowel of the first and of the last long word, held down."""
    words = list(re.finditer(r"[A-Za-z]{4,}", text))
    spots = [max(word.start() + word[0].lower().rfind(v) for v in "aeiou") for word in (words[0], words[-1])]
    return [text[:at] + text[at] * 5 + text[at:] for at in spots]


def _punctuation(text: str) -> list[str]:
    bare = text.rstrip(".!?")
    return [bare, text.replace(",", " ,").replace(". ", " . "), "  ".join(text.split(" ")), f"\n{text}\n\n"]


def _order_number(text: str) -> list[str]:
    return [f"{text} Order 4471902.", f"{text} (ref. AB-10293)", f"Case #88213: {text}"]


def _links(text: str) -> list[str]:
    return [
        f"@NorthPeak {text}",
        f"{text} https://shop.example/o/5521?utm=x",
        f"{text} @NorthPeak @lumenbank",
    ]


def _letter(text: str) -> list[str]:
    return [
        f"Hi there,\n\n{text}",
        f"Dear Sir or Madam,\n\n{text}\n\nKind regards,\nSam Miller",
        f"Hello team, {text}",
        f"{text}\n\nBest wishes\nSam",
    ]


CHANGES: Mapping[str, Callable[[str], list[str]]] = {
    "typo": _typo,
    "held_down": _held_down,
    "capitals": lambda text: [text.upper(), text.lower(), text.title()],
    "punctuation": _punctuation,
    "links": _links,
    "hashtag": lambda text: [f"{text} #NorthPeak", f"#NorthPeak {text}", f"{text} #monday #mail"],
    "order_number": _order_number,
    "letter": _letter,
}
"""Ways to change a text that change nothing of what it says."""


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_SHOWN else f"… {line[-LONGEST_SHOWN:]}"


def _either(labels: frozenset[str]) -> str:
    return " or ".join(sorted(labels))


def _moved(before: Analysis, after: Analysis) -> str:
    return f"score {before.sentiment.score:+.2f} became {after.sentiment.score:+.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Try the behavioural suite on the shipped model.")
    parser.add_argument(
        "--failures", type=int, default=3, help="so many of each group are shown, spread over it"
    )
    options = parser.parse_args()
    from sentiment import load as load_model

    for name, group in measure(load_model()).items():
        print(f"{group.rate:6.1%}  {len(group.failures):3} of {group.cases:3}  {name}")  # noqa: T201
        apart = max(len(group.failures) // max(options.failures, 1), 1)
        for failure in group.failures[::apart][: options.failures]:
            print(f"           {failure}")  # noqa: T201


if __name__ == "__main__":
    main()
