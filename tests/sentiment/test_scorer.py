"""The default model as the hub sees it: real weights, offline."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sentiment
from sentiment import INTENTS, SENTIMENTS, Analysis, Scorer

MESSAGES = [
    "Where is my parcel? The tracking has not moved since Monday.",
    "Thank you so much, Maya in your Leeds shop was wonderful!",
    "You charged my card twice this month, please check the invoice.",
    "I can't log in, the password reset never arrives.",
    "Your app crashes every time I open the basket, this is infuriating.",
    "ok",
    "How many points do I need for gold status? " * 60,
]


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
    assert scorer.name == "minilm-l6-heads-1"
    assert {analysis.model for analysis in scorer.score(MESSAGES)} == {scorer.name}


def near(one: Analysis, other: Analysis) -> bool:
    labels = (one.language, one.sentiment.label, [i.label for i in one.intents], one.abstained)
    return (
        labels == (other.language, other.sentiment.label, [i.label for i in other.intents], other.abstained)
        and all(abs(one.sentiment.scores[s] - other.sentiment.scores[s]) < 1e-4 for s in SENTIMENTS)
        and all(
            abs(a.confidence - b.confidence) < 1e-4 for a, b in zip(one.intents, other.intents, strict=True)
        )
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
        confidences = [intent.confidence for intent in analysis.intents]
        assert confidences == sorted(confidences, reverse=True)
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
    assert analysis.sentiment.confidence == 0
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
    assert sentiment.load().score(["hello there"])[0].model == "minilm-l6-heads-1"


def test_importing_is_cheap() -> None:
    code = "import sys, sentiment.types; assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
