"""Which words moved a label: told of the customer's own text, and true of the model."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentiment import INTENTS, SENTIMENTS, Explanation, Scorer
from sentiment.explain import (
    LEAST_PASSAGES,
    MOST_CHARS,
    MOST_PASSAGES,
    CannotExplain,
    explain,
    log_odds,
    passages,
)
from sentiment.heads import sigmoid, softmax
from sentiment.reader import Reading
from sentiment.text import MAX_CHARS, kept

PLAIN = [
    "The driver was lovely but my lasagne arrived stone cold and half of it was on the bag.",
    "Honestly the worst support chat I have had this year, forty minutes and nobody read a word.",
    "Thank you Priya, you sorted my booking in five minutes and I could not be happier!",
    "Third invoice in a row with a fee nobody can explain, I am done with you people.",
    "My flight got cancelled and the desk in Oslo simply closed, we slept on the floor.",
    "Love the sneakers, they fit perfectly and came a day early 😍",
    "It never works when I need it, useless router and useless hotline.",
    "The room was fine, breakfast was amazing, staff could not have been kinder.",
    "Refund promised on the 3rd, still nothing on my card. Disappointed.",
    "You charged me twice and then hung up on me, unbelievable!",
    "Absolutely brilliant service from start to finish, five stars.",
    "I was sceptical at first, but this bank has been a joy to deal with.",
]


class Words:
    """A reader that adds up what it knows of words: their log odds of negative; of a complaint twice that."""

    name = "words-1"
    languages = None
    thresholds: Mapping[str, tuple[float, ...]] = {"sentiment": (0.4,) * 3, "intents": (0.4,) * 14}

    def __init__(self, topic: bool = False, **known: float) -> None:
        self._known, self._topic = known, topic
        self.asked: list[str] = []

    def read(self, cleaned: Sequence[str]) -> Reading:
        self.asked += cleaned
        odds = np.array([sum(self._known.get(w.strip(".,!"), 0.0) for w in t.split()) for t in cleaned])
        negative = sigmoid(odds.astype(np.float32))
        shares = {
            "sentiment": np.stack([negative, (1 - negative) / 2, (1 - negative) / 2], axis=1),
            "intents": np.tile(sigmoid(2 * odds.astype(np.float32))[:, None], len(INTENTS)),
        }
        if self._topic:
            logits = np.zeros((len(cleaned), len(INTENTS)), np.float32)
            logits[:, INTENTS.index("delivery_status")] = 3 + odds
            shares["topic"] = softmax(logits)
        return Reading(shares)


def told(explanation: Explanation) -> list[tuple[str, float]]:
    return [(word.text, pytest.approx(word.contribution, abs=1e-3)) for word in explanation.words]


def test_each_word_gets_what_it_gave() -> None:
    text = "@Shop it is\n bad, really bad 😡"
    found = explain([Words(bad=1.0, it=-0.5)], text)
    assert told(found) == [
        ("@Shop", 0.0), ("it", -0.5), ("is", 0.0), ("bad,", 1.0), ("really", 0.0), ("bad", 1.0), ("😡", 0.0),
    ]  # fmt: skip
    assert (found.model, found.head, found.label) == ("words-1", "sentiment", "negative")
    assert (found.total, found.baseline) == (pytest.approx(1.5), pytest.approx(0, abs=1e-6))
    assert found.confidence == pytest.approx(1 / (1 + math.exp(-1.5)))
    assert [found.strength(word) for word in found.words] == [0, 2, 0, 3, 0, 3, 0]


def test_a_label_may_be_named() -> None:
    against = explain([Words(bad=1.0)], "bad day", label="positive")
    assert against.label == "positive"
    assert [word.contribution < 0 for word in against.words] == [True, False]
    wish = explain([Words(bad=1.0)], "bad day", "intents", "complaint")
    assert told(wish) == [("bad", 2.0), ("day", 0.0)]


def test_the_topic_is_explained_by_the_head_that_names_it() -> None:
    reader = Words(topic=True, bad=1.0)
    assert explain([reader], "bad day", "intents").label == "delivery_status"
    topic = explain([reader], "bad day", "intents", "delivery_status")
    assert topic.total == pytest.approx(4 - math.log(len(INTENTS) - 1), abs=1e-3)
    assert explain([reader], "bad day", "intents", "complaint").total == pytest.approx(2, abs=1e-3)


def test_the_first_reader_that_has_the_head_is_asked() -> None:
    class Mood(Words):
        name = "mood-1"

        def read(self, cleaned: Sequence[str]) -> Reading:
            return Reading({"sentiment": super().read(cleaned).shares["sentiment"]})

    both = [Mood(bad=2.0), Words(bad=1.0)]
    assert explain(both, "bad").model == "mood-1"
    assert explain(both, "bad", "intents").model == "words-1"
    with pytest.raises(CannotExplain, match="no model was given for sarcasm"):
        explain(both, "bad", "sarcasm")


@pytest.mark.parametrize(
    ("head", "label", "why"),
    [
        ("mood", None, "there is no head 'mood'; there are sentiment, "),
        ("sentiment", "angry", "sentiment is never 'angry', but one of negative, neutral, positive"),
    ],
)
def test_what_there_is_not_is_told(head: str, label: str | None, why: str) -> None:
    with pytest.raises(CannotExplain, match=why):
        explain([Words()], "bad", head, label)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        (" \n", []),
        ("late again😡😡 still👍🏽!", ["late", "again", "😡😡", "still", "👍🏽", "!"]),
        ("👩‍💻 writes", ["👩‍💻", "writes"]),
        ("#NotAgain @shop https://x.example/a?b", ["#NotAgain", "@shop", "https://x.example/a?b"]),
        ("Ça va, “très” bien", ["Ça", "va,", "“très”", "bien"]),
    ],
)
def test_words_are_as_they_were_written(text: str, parts: list[str]) -> None:
    assert [text[start:end] for start, end in passages(text)] == parts


@given(st.text(st.characters(), max_size=400))
def test_passages_are_all_that_is_read_in_order(text: str) -> None:
    found = passages(text)
    read = "".join(text[start:end] for start, end in kept(text))
    assert "".join("".join(text[start:end] for start, end in found).split()) == "".join(read.split())
    assert len(found) <= MOST_PASSAGES
    assert all(start < end for start, end in found)
    assert all(before[1] <= after[0] for before, after in pairwise(found))


def test_what_is_not_read_gives_nothing() -> None:
    reader = Words(bad=1.0)
    text = "Dear team,\nthis is bad (order 77123).\n\nKind regards\nSam"
    found = explain([reader], text)
    assert told(found) == [("this", 0.0), ("is", 0.0), ("bad", 1.0), (".", 0.0)]
    assert all(text[word.start : word.end] == word.text for word in found.words)
    assert not any("dear" in asked.lower() or "77123" in asked for asked in reader.asked)


@pytest.mark.parametrize(
    ("words", "passages_"), [(40, 40), (64, 64), (100, 64), (600, 10), (1_500, 8), (20_000, 8)]
)
def test_the_work_is_bounded(words: int, passages_: int) -> None:
    reader = Words(good=1.0)
    text = " ".join(["word"] * (words - 1) + ["good"])
    found = explain([reader], text)
    assert len(found.words) == passages_
    assert max(map(len, reader.asked)) <= MAX_CHARS
    assert sum(map(len, reader.asked)) <= max(MOST_CHARS, LEAST_PASSAGES * MAX_CHARS) + 3 * MAX_CHARS
    assert found.words[-1].text.endswith("good")
    assert max(found.words, key=lambda word: word.contribution) is found.words[-1]


def test_what_is_not_read_of_a_long_text_is_not_explained() -> None:
    text = "begin " + "x" * 3 + " " * 5_000 + "bad " + " " * 15_000 + "end"
    reader = Words(bad=5.0, end=1.0)
    assert told(explain([reader], text)) == [("begin", 0.0), ("xxx", 0.0), ("bad", 5.0), ("end", 1.0)]
    unread = "begin" + " " * 15_000 + "bad" + " " * 15_000 + "end"
    assert told(explain([reader], unread)) == [("begin", 0.0), ("end", 1.0)]


def test_log_odds_of_certainty_are_finite() -> None:
    found = log_odds(np.array([0.0, 0.5, 1.0], np.float32))
    assert found.tolist() == [pytest.approx(-13.8, abs=0.1), 0, pytest.approx(13.8, abs=0.1)]


def test_without_the_words_that_matter_the_model_thinks_otherwise(scorer: Scorer) -> None:
    """Leaving out the two words that spoke most for a label moves it more than leaving out two others, or the
    two that spoke least for it."""
    random = np.random.default_rng(3)
    lost = {"most": 0.0, "others": 0.0, "least": 0.0}
    for text in PLAIN:
        found = scorer.explain(text)
        ranked = sorted(found.words, key=lambda word: -word.contribution)
        others = [ranked[i] for i in 2 + random.permutation(len(ranked) - 2)[:2]]
        for name, words in {"most": ranked[:2], "others": others, "least": ranked[-2:]}.items():
            left = "".join(text[i] for i in range(len(text)) if not any(w.start <= i < w.end for w in words))
            lost[name] += found.total - scorer.explain(left, label=found.label).total
    assert lost["most"] / len(PLAIN) > 1, "the odds fall to a third"
    assert lost["most"] > 3 * lost["others"]
    assert lost["most"] > 3 * lost["least"]


def test_it_explains_what_the_model_says(scorer: Scorer) -> None:
    text = "Useless router & useless hotline!"
    [analysis] = scorer.score([text])
    found = scorer.explain(text)
    assert (found.model, found.label) == (analysis.model, analysis.sentiment.label)
    assert found.confidence == pytest.approx(analysis.sentiment.scores["negative"], abs=1e-4)
    assert [word.text for word in found.words if found.strength(word) > 1] == ["Useless", "useless"]


def test_a_label_that_was_not_said_is_explained_too(scorer: Scorer) -> None:
    found = scorer.explain("The shop in Leeds opens at nine.", "intents", "complaint")
    assert found.confidence < 0.5
    assert len(found.words) == 7


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "nothing was written"),
        ("@jo https://x.example/1 ...", "nothing was written"),
        ("Das ist der schlechteste Kundendienst, den ich je erlebt habe.", "language de is not one"),
    ],
)
def test_what_is_not_read_is_not_explained(scorer: Scorer, text: str, why: str) -> None:
    with pytest.raises(CannotExplain, match=why):
        scorer.explain(text)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(), max_size=60))
def test_any_unicode_may_be_asked_about(scorer: Scorer, text: str) -> None:
    try:
        found = scorer.explain(text)
    except CannotExplain:
        return
    assert found.label in SENTIMENTS
    assert all(text[word.start : word.end] == word.text for word in found.words)
    assert all(math.isfinite(word.contribution) for word in found.words)


def test_a_tweet_is_explained_while_one_waits(scorer: Scorer) -> None:
    text = (
        "@Shop my parcel is late again, third time this month, and your hotline lets me wait for an hour 😡"
    )
    started_at = time.process_time()
    scorer.explain(text)
    assert time.process_time() - started_at < 1
