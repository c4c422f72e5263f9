"""The default model, read through what a workspace taught it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment import SENTIMENTS, Analysis, Scorer
from sentiment.adaptation import Adaptation, AdaptationError, refit
from sentiment.heads import PRODUCT, Affine, softmax
from sentiment.model import MessageScorer
from sentiment.reader import Reading
from sentiment.taught import Taught

LUGGAGE = [
    "My suitcase did not arrive with me in Lisbon.",
    "We landed yesterday and our bags are still missing.",
    "Where is my luggage? It was not on the belt.",
    "You lost my bag on the flight to Rome.",
    "The suitcase I checked in never came out at the airport.",
]
READ = [
    "Our two suitcases did not come off the plane.",
    "I love this phone!",
    "Please cancel my subscription.",
]
GERMAN = "Das ist der schlechteste Kundendienst, den ich je erlebt habe."


@pytest.fixture
def model(scorer: Scorer) -> MessageScorer:
    return cast(MessageScorer, scorer)


@pytest.fixture
def luggage(model: MessageScorer) -> Adaptation:
    return Adaptation(taught=Taught().with_intent("lost luggage", model.see(LUGGAGE).embeddings))


def near(one: Analysis, other: Analysis) -> None:
    assert one.sentiment.scores == pytest.approx(other.sentiment.scores, abs=1e-5)
    assert one.sentiment.label == other.sentiment.label
    assert [each.label for each in one.intents] == [each.label for each in other.intents]
    assert one.abstained == other.abstained
    assert (one.emotion and one.emotion.label) == (other.emotion and other.emotion.label)
    assert (one.sarcasm, one.expects_reply) == (
        pytest.approx(other.sarcasm, abs=1e-5),
        pytest.approx(other.expects_reply, abs=1e-5),
    )
    if one.embedding is not None and other.embedding is not None:
        np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-5)


def test_an_empty_adaptation_changes_nothing_but_the_name(model: MessageScorer) -> None:
    texts = [*READ, GERMAN, "", "😍"]
    same = model.adapted(Adaptation(), "minilm+7")
    assert {analysis.model for analysis in same.score(texts)} == {same.name} == {"minilm+7"}
    for one, other in zip(model.score(texts), same.score(texts), strict=True):
        near(one, other)
        assert other.taught == ()


def test_a_taught_intent_is_found_beside_what_the_model_knows(
    model: MessageScorer, luggage: Adaptation
) -> None:
    found, *others = model.adapted(luggage, "a").score([*READ, GERMAN, ""])
    assert [each.name for each in found.taught] == ["lost luggage"]
    assert 0.5 <= found.taught[0].confidence < 1
    assert {each.taught for each in others} == {()}
    for one, other in zip(model.score(READ), [found, *others], strict=False):
        near(one, other)


def test_its_examples_are_found(model: MessageScorer, luggage: Adaptation) -> None:
    for analysis in model.adapted(luggage, "a").score(LUGGAGE):
        assert [each.name for each in analysis.taught] == ["lost luggage"]


def test_a_calibration_moves_the_sentiment_and_nothing_else(model: MessageScorer) -> None:
    gloom = Affine(np.full(3, 0.5, np.float32), np.array([3, 0, 0], np.float32))
    adapted = model.adapted(Adaptation(sentiment=gloom), "gloomy")
    for one, other in zip(model.score(READ), adapted.score(READ), strict=True):
        before = np.log([one.sentiment.scores[label] for label in SENTIMENTS])
        expected = softmax((0.5 * before + gloom.shift).astype(np.float32))
        assert [other.sentiment.scores[label] for label in SENTIMENTS] == pytest.approx(expected, abs=1e-4)
        near(one, replace(other, sentiment=one.sentiment, abstained=one.abstained))


def test_a_refitted_head_says_what_it_was_told(model: MessageScorer) -> None:
    texts = [f"{text} {i}" for i in range(20) for text in READ]
    seen = model.see(texts)
    truth = np.tile(np.eye(3, dtype=np.float32)[[2, 0, 1]], (20, 1))
    found = refit(seen.inputs["sentiment"], seen.heads["sentiment"], truth, texts)
    assert found.improved
    adapted = model.adapted(Adaptation(heads={"sentiment": (found.weight, found.bias)}), "refitted")
    scores = [analysis.sentiment.scores for analysis in adapted.score(READ)]
    assert [max(SENTIMENTS, key=lambda label: each[label]) for each in scores] == [
        "positive",
        "negative",
        "neutral",
    ]


def test_what_is_seen_is_what_is_said(model: MessageScorer, luggage: Adaptation) -> None:
    for each in (model, model.adapted(luggage, "a")):
        seen = each.see([*READ, GERMAN, "..."])
        assert seen.objections[:3] == (None, None, None)
        assert seen.objections[3:] == (
            "language de is not one the model was trained for",
            "nothing was written",
        )
        assert {"sentiment", "intents"} <= seen.heads.keys() <= PRODUCT.keys()
        assert seen.heads.keys() == seen.inputs.keys() == seen.log_shares.keys()
        for row, analysis in enumerate(each.score(READ)):
            shares = np.exp(seen.log_shares["sentiment"][row])
            assert [analysis.sentiment.scores[label] for label in SENTIMENTS] == pytest.approx(
                shares, abs=1e-5
            )
            assert analysis.embedding is not None
            np.testing.assert_allclose(seen.embeddings[row], analysis.embedding, atol=1e-5)
        for name, head in seen.heads.items():
            np.testing.assert_allclose(head.log_shares(seen.inputs[name]), seen.log_shares[name], atol=1e-4)


def test_one_adaptation_takes_the_place_of_another(model: MessageScorer, luggage: Adaptation) -> None:
    again = model.adapted(luggage, "a").adapted(Adaptation(), "b")
    assert [analysis.taught for analysis in again.score(LUGGAGE)] == [()] * len(LUGGAGE)
    for one, other in zip(model.score(READ), again.score(READ), strict=True):
        near(one, other)


def test_an_adaptation_is_at_work_at_once(model: MessageScorer, luggage: Adaptation) -> None:
    raw = luggage.to_bytes()
    started_at = time.process_time()
    for i in range(20):
        model.adapted(Adaptation.from_bytes(raw), f"version {i}")
    assert time.process_time() - started_at < 1


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=3))
def test_any_text_is_seen(scorer: Scorer, texts: list[str]) -> None:
    seen = cast(MessageScorer, scorer).see(texts)
    assert len(seen.embeddings) == len(seen.objections) == len(texts)
    assert all(np.isfinite(table).all() for table in (seen.embeddings, *seen.log_shares.values()))


class Stranger:
    """A model of somebody else."""

    name = "stranger"
    languages = None
    thresholds = {"sentiment": (0.5,) * 3}  # noqa: RUF012

    def read(self, cleaned: list[str]) -> Reading:
        return Reading({"sentiment": np.full((len(cleaned), 3), 1 / 3, np.float32)})


def test_a_model_without_embeddings_cannot_learn() -> None:
    scorer = MessageScorer([Stranger()])
    with pytest.raises(AdaptationError, match="stranger has no embeddings"):
        scorer.see(READ)
    with pytest.raises(AdaptationError, match="stranger has no embeddings"):
        scorer.adapted(Adaptation(), "a")


def test_beside_another_model_the_default_one_learns(model: MessageScorer, luggage: Adaptation) -> None:
    both = MessageScorer([Stranger(), *model._readers])
    [analysis] = both.adapted(luggage, "a").score(READ[:1])
    assert [each.name for each in analysis.taught] == ["lost luggage"]
    assert analysis.sentiment.confidence == pytest.approx(1 / 3)
    assert analysis.model == "a"
