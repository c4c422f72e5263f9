"""The default model as the hub sees it: real weights, offline."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sentiment
from sentiment import EMOTIONS, INTENTS, SENTIMENTS, Analysis, Emotion, Scorer
from sentiment.heads import SARCASM, SENTIMENT, softmax
from sentiment.model import MessageScorer
from sentiment.reader import Reading
from sentiment.weights import Calibrated

MESSAGES = [
    "Where is my parcel? The tracking has not moved since Monday.",
    "Thank you so much, Maya in your Leeds shop was wonderful!",
    "You charged my card twice this month, please check the invoice.",
    "I can't log in, the password reset never arrives.",
    "Your app crashes every time I open the basket, this is infuriating.",
    "ok",
    "How many points do I need for gold status? " * 60,
]
LONG = "Your people on the second floor were kind, and the table came on Monday. " * 40


@pytest.mark.parametrize(
    ("text", "mood"),
    [
        ("This is the worst service I have ever had, I am furious.", "negative"),
        ("I love it, best purchase in years, thank you!", "positive"),
        ("The shop in Leeds opens at nine on Saturday.", "neutral"),
    ],
)
def test_reads_plain_moods(scorer: Scorer, text: str, mood: str) -> None:
    [analysis] = scorer.score([text])
    assert analysis.sentiment.label == mood
    assert analysis.language == "en"


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("Where is my parcel? The tracking has not moved since Monday.", "delivery_status"),
        ("I sent the shoes back three weeks ago and still wait for my refund.", "refund_return"),
        ("I was charged twice for the same invoice.", "billing_payment"),
        ("I forgot my password and cannot log in to my account.", "account_access"),
        ("How many points do I need to reach gold status?", "loyalty_rewards"),
        ("Let me speak to your manager now, or my lawyer will write to you.", "escalation"),
        ("Please cancel my subscription.", "cancel_churn"),
        ("Thank you so much for your help!", "praise_thanks"),
    ],
)
def test_reads_plain_intents(scorer: Scorer, text: str, intent: str) -> None:
    [analysis] = scorer.score([text])
    assert intent in [found.label for found in analysis.intents]


def test_nothing_gives_nothing(scorer: Scorer) -> None:
    assert scorer.score([]) == []


def test_names_its_version(scorer: Scorer) -> None:
    assert scorer.name == "minilm-l6-6"
    assert {analysis.model for analysis in scorer.score(MESSAGES)} == {scorer.name}


def near(one: Analysis, other: Analysis) -> bool:
    labels = (one.language, one.sentiment.label, [i.label for i in one.intents], one.abstained)
    return (
        labels == (other.language, other.sentiment.label, [i.label for i in other.intents], other.abstained)
        and all(abs(one.sentiment.scores[s] - other.sentiment.scores[s]) < 1e-4 for s in SENTIMENTS)
        and all(
            abs(a.confidence - b.confidence) < 1e-4 for a, b in zip(one.intents, other.intents, strict=True)
        )
        and abs((one.sarcasm or 0) - (other.sarcasm or 0)) < 1e-4
        and one.embedding is not None
        and other.embedding is not None
        and float(one.embedding @ other.embedding) > 0.9999
    )


def test_a_message_does_not_depend_on_its_neighbours(scorer: Scorer) -> None:
    together = scorer.score(MESSAGES)
    alone = [scorer.score([message])[0] for message in MESSAGES]
    backwards = scorer.score(MESSAGES[::-1])[::-1]
    for a, b, c in zip(together, alone, backwards, strict=True):
        assert near(a, b)
        assert near(a, c)


def test_threads_may_share_it(scorer: Scorer) -> None:
    few = MESSAGES[:4]
    expected = scorer.score(few)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(scorer.score, [few] * 8):
            assert all(near(a, b) for a, b in zip(found, expected, strict=True))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(), max_size=80), max_size=4))
def test_any_unicode_is_read(scorer: Scorer, texts: list[str]) -> None:
    analyses = scorer.score(texts)
    assert len(analyses) == len(texts)
    for analysis in analyses:
        assert sum(analysis.sentiment.scores.values()) == pytest.approx(1, abs=1e-5)
        assert tuple(analysis.sentiment.scores) == SENTIMENTS
        assert 0 <= analysis.sentiment.confidence <= 1
        assert {intent.label for intent in analysis.intents} <= set(INTENTS)
        after_the_topic = [each.confidence for each in analysis.intents][1:]
        assert after_the_topic == sorted(after_the_topic, reverse=True)
        assert analysis.emotion is None or analysis.emotion.label in EMOTIONS
        silent = analysis.embedding is None
        assert (analysis.sarcasm is None, analysis.expects_reply is None) == (silent, silent)
        if analysis.embedding is not None:
            assert analysis.embedding.shape == (384,)
            assert float(analysis.embedding @ analysis.embedding) == pytest.approx(1, abs=1e-4)
        assert (analysis.sentiment.label is None) == any(
            r.startswith("sentiment: ") for r in analysis.abstained
        )
        assert (not analysis.intents) == any(r.startswith("intents: ") for r in analysis.abstained)
        assert (analysis.language is None) == any(r.startswith("language: ") for r in analysis.abstained)


@pytest.mark.parametrize(
    "text", ["", " \n", "\x00", "...", "@jo @max https://x.example/1", "iVBORw0KGgoAAAANSUhEUgAA" * 50]
)
def test_abstains_where_nothing_was_written(scorer: Scorer, text: str) -> None:
    [analysis] = scorer.score([text])
    assert (analysis.language, analysis.sentiment.label, analysis.intents) == (None, None, ())
    assert (analysis.sentiment.confidence, analysis.sentiment.score) == (0, 0)
    assert (analysis.emotion, analysis.sarcasm, analysis.expects_reply) == (None, None, None)
    assert analysis.embedding is None
    assert analysis.abstained == (
        "language: no words",
        "sentiment: nothing was written",
        "intents: nothing was written",
    )


def test_abstains_on_a_language_it_was_not_trained_for(scorer: Scorer) -> None:
    [german, english] = scorer.score(
        ["Das ist der schlechteste Kundendienst, den ich je erlebt habe.", MESSAGES[0]]
    )
    reason = "language de is not one the model was trained for"
    assert (german.language, german.sentiment.label, german.intents) == ("de", None, ())
    assert german.abstained == (f"sentiment: {reason}", f"intents: {reason}")
    assert english.sentiment.label is not None or english.intents


def test_emoji_have_a_mood_but_no_language(scorer: Scorer) -> None:
    [happy, angry] = scorer.score(["😍😍😍❤️", "😡😡🤬"])
    assert happy.language is None
    assert happy.sentiment.scores["positive"] > angry.sentiment.scores["positive"]
    assert angry.sentiment.scores["negative"] > happy.sentiment.scores["negative"]


def test_a_long_mail_is_read_to_its_end(scorer: Scorer) -> None:
    [calm, furious] = scorer.score([LONG, LONG + "This is the worst service ever, I am furious! " * 8])
    assert furious.sentiment.scores["negative"] > calm.sentiment.scores["negative"] + 0.05


def test_messages_that_say_the_like_are_near(scorer: Scorer) -> None:
    like, alike, other = (
        analysis.embedding
        for analysis in scorer.score(
            [
                "Where is my parcel? It should have come on Monday.",
                "My package has not been delivered, I expected it days ago.",
                "I forgot my password and cannot sign in.",
            ]
        )
    )
    assert like is not None
    assert alike is not None
    assert other is not None
    assert like @ alike > like @ other + 0.1


class Decided:
    """A reader that says of every text what it was told to; each label is said from 0.5 on."""

    name = "decided-1"
    languages = None
    thresholds: Mapping[str, tuple[float, ...]] = {
        name: (0.5,) * len(labels)
        for name, labels in {
            "sentiment": SENTIMENTS,
            "intents": INTENTS,
            "topic": INTENTS,
            "emotion": EMOTIONS,
        }.items()
    }

    def __init__(self, **shares: Mapping[str, float]) -> None:
        labels = {"sentiment": SENTIMENTS, "emotion": EMOTIONS}
        self._shares = {
            head: np.array([[given.get(label, 0.01) for label in labels.get(head, INTENTS)]], np.float32)
            for head, given in shares.items()
        }

    def read(self, cleaned: Sequence[str]) -> Reading:
        return Reading({name: share.repeat(len(cleaned), axis=0) for name, share in self._shares.items()})


@pytest.mark.parametrize(
    ("shares", "intents"),
    [
        ({"intents": {"complaint": 0.6, "delivery_status": 0.9}}, ["delivery_status", "complaint"]),
        ({"intents": {"complaint": 0.9, "delivery_status": 0.4}}, ["complaint"]),
        ({"intents": {"complaint": 0.4}}, []),
        (
            {"intents": {"complaint": 0.9, "delivery_status": 0.6}, "topic": {"delivery_status": 0.8}},
            ["delivery_status", "complaint"],
        ),
        (
            {"intents": {"complaint": 0.9}, "topic": {"delivery_status": 0.8}},
            ["delivery_status", "complaint"],
        ),
        ({"intents": {"complaint": 0.9}, "topic": {"delivery_status": 0.4}}, ["complaint"]),
    ],
)
def test_what_is_likely_is_said_and_the_topic_first(
    shares: dict[str, dict[str, float]], intents: list[str]
) -> None:
    [analysis] = MessageScorer([Decided(**shares)]).score(["Where is it?"])
    assert [each.label for each in analysis.intents] == intents
    assert ("intents: none is likely enough" in analysis.abstained) is (not intents)


def test_a_mood_that_is_not_sure_enough_is_not_said() -> None:
    sure, unsure = {"negative": 0.9}, {"negative": 0.48, "neutral": 0.4, "positive": 0.12}
    [said] = MessageScorer([Decided(sentiment=sure)]).score(["Where is it?"])
    [silent] = MessageScorer([Decided(sentiment=unsure)]).score(["Where is it?"])
    assert (said.sentiment.label, silent.sentiment.label) == ("negative", None)
    assert silent.sentiment.score == pytest.approx(-0.36)
    assert "sentiment: at most 0.48 sure, 0.50 needed" in silent.abstained


def test_an_emotion_that_is_not_sure_enough_is_not_said() -> None:
    [fear] = MessageScorer([Decided(emotion={"fear": 0.6, "anger": 0.2})]).score(["Where is it?"])
    [none] = MessageScorer([Decided(emotion={"fear": 0.4})]).score(["Where is it?"])
    assert (fear.emotion, none.emotion) == (Emotion("fear", pytest.approx(0.6)), None)


def test_shares_are_those_of_the_calibrated_logits() -> None:
    logits = np.array([[2.0, 0.0, 0.0]], np.float32)
    mood = Calibrated(SENTIMENT, (0.5,) * 3, (0.0, 1.0, 0.0), (0.4,) * 3)
    np.testing.assert_allclose(mood.shares(logits), softmax(np.array([[1.0, 1.0, 0.0]], np.float32)))
    sarcasm = Calibrated(SARCASM, (2.0,), (-1.0,), (0.5,))
    np.testing.assert_allclose(sarcasm.shares(np.array([[0.5]], np.float32)), [[0.5]])


def test_a_huge_text_is_read_in_bounded_time(scorer: Scorer) -> None:
    started_at = time.process_time()
    [analysis] = scorer.score(["This is the worst service ever and I am furious. " * 30_000])
    assert analysis.sentiment.label == "negative"
    assert time.process_time() - started_at < 10


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert sentiment.load().score(["hello there"])[0].model == "minilm-l6-6"


def test_importing_is_cheap() -> None:
    code = "import sys, sentiment.types; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
