"""What a workspace teaches the model: learnt where there is something to learn, refused where not, kept as
bytes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from sentiment.adaptation import (
    Adaptation,
    AdaptationError,
    calibrate,
    held_back,
    refit,
)
from sentiment.heads import INTENT, SENTIMENT, TOPIC, Affine, Array, Head, LinearHead, sigmoid, softmax
from sentiment.taught import Taught
from sentiment.types import SENTIMENTS, SentimentLabel

WIDTH = 16


def head(kind: Head, seed: int = 0, width: int = WIDTH) -> LinearHead:
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(len(kind.labels), width)).astype(np.float32)
    return LinearHead(
        kind, weight, rng.normal(size=len(kind.labels)).astype(np.float32), (0.5,) * len(weight)
    )


def inputs(rows: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(size=(rows, WIDTH)).astype(np.float32)


def drawn(logits: Array, seed: int = 2) -> list[SentimentLabel]:
    """A label for each row, as likely as the logits say."""
    below = softmax(logits).cumsum(axis=1) < np.random.default_rng(seed).random((len(logits), 1))
    return [SENTIMENTS[min(int(i), 2)] for i in below.sum(axis=1)]


def shift(*numbers: float) -> Affine:
    return Affine(np.full(3, 0.8, np.float32), np.array(numbers, np.float32))


def unit(rows: int, seed: int = 0) -> Array:
    found = np.random.default_rng(seed).normal(size=(rows, WIDTH))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


# Heads and bytes


def test_a_head_says_log_shares() -> None:
    seen = inputs(5)
    one, several = head(SENTIMENT), head(INTENT)
    logits = seen @ one.weight.T + one.bias
    np.testing.assert_allclose(np.exp(one.log_shares(seen)), softmax(logits), rtol=1e-5)
    np.testing.assert_allclose(several.log_shares(seen), seen @ several.weight.T + several.bias)
    mapped = one.mapped(shift(1, 0, -1)).log_shares(seen)
    np.testing.assert_allclose(np.exp(mapped), softmax(0.8 * logits + np.array([1, 0, -1])), rtol=1e-4)


def test_an_empty_adaptation_leaves_the_heads_as_they_are() -> None:
    shipped = {"sentiment": head(SENTIMENT), "intents": head(INTENT)}
    assert Adaptation().of(shipped) == shipped
    assert Adaptation.from_bytes(Adaptation().to_bytes()).of(shipped) == shipped


def test_a_benchmark_is_no_head_of_the_product() -> None:
    irony = Head("irony", "one", ("no", "yes"))
    assert Adaptation().of({"sentiment": head(SENTIMENT), "irony": head(irony)}).keys() == {"sentiment"}


def test_the_calibration_comes_after_the_refitted_head() -> None:
    shipped, new = {"sentiment": head(SENTIMENT)}, head(SENTIMENT, seed=4)
    adapted = Adaptation(shift(0, 1, 0), {"sentiment": (new.weight, new.bias)}).of(shipped)["sentiment"]
    np.testing.assert_allclose(
        adapted.log_shares(inputs(5)), new.mapped(shift(0, 1, 0)).log_shares(inputs(5)), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("adaptation", "why"),
    [
        (
            Adaptation(heads={"intents": (head(INTENT).weight, head(INTENT).bias)}),
            "'intents' is one of another",
        ),
        (Adaptation(heads={"sentiment": (np.zeros((3, 8)), np.zeros(3))}), "'sentiment' is one of another"),
        (Adaptation(taught=Taught().with_intent("a", np.eye(8))), "taught intents are those of another"),
    ],
)
def test_an_adaptation_of_another_model_is_refused(adaptation: Adaptation, why: str) -> None:
    with pytest.raises(AdaptationError, match=why):
        adaptation.of({"sentiment": head(SENTIMENT)})


names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
heads = st.fixed_dictionaries({}, optional={k.name: st.just(head(k)) for k in (SENTIMENT, TOPIC, INTENT)})


@given(st.none() | st.just(shift(0.5, 0, -2)), heads, st.lists(names, max_size=3, unique=True))
def test_bytes_give_back_what_they_were_made_of(
    sentiment: Affine | None, refitted: Mapping[str, LinearHead], intents: list[str]
) -> None:
    taught = Taught()
    for i, name in enumerate(intents):
        # Not every name can be read.
        taught = taught.with_intent(name, unit(5, seed=i), unit(1, seed=9)[0] if i else None)
    made = Adaptation(sentiment, {name: (h.weight, h.bias) for name, h in refitted.items()}, taught)
    again = Adaptation.from_bytes(made.to_bytes())
    assert again.to_bytes() == made.to_bytes()
    assert again.taught.names == tuple(sorted(intents))
    assert again.taught.named.keys() == set(intents[1:])
    np.testing.assert_array_equal(again.taught.shares(unit(9)), taught.shares(unit(9)))
    assert again.heads.keys() == refitted.keys()
    for name, (weight, bias) in again.heads.items():
        np.testing.assert_array_equal(weight, refitted[name].weight)
        np.testing.assert_array_equal(bias, refitted[name].bias)
    assert (again.sentiment is None) == (sentiment is None)
    if again.sentiment and sentiment:
        np.testing.assert_array_equal(again.sentiment.scale, sentiment.scale)
        np.testing.assert_array_equal(again.sentiment.shift, sentiment.shift)


def test_the_order_of_lessons_leaves_no_trace() -> None:
    one = Taught().with_intent("a", unit(5)).with_intent("b", unit(6))
    other = Taught().with_intent("b", unit(6)).with_intent("a", unit(5))
    assert Adaptation(taught=one).to_bytes() == Adaptation(taught=other).to_bytes()


WHOLE = Adaptation(shift(1, 0, 0), taught=Taught().with_intent("a", unit(5))).to_bytes()
THREE = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not the bytes of an adaptation"),
        (b"not an adaptation at all", "not the bytes of an adaptation"),
        (pickle.dumps({"sentiment": 1}), "not the bytes of an adaptation"),
        (WHOLE[:-1], "not the bytes of an adaptation"),
        (WHOLE[:40], "not the bytes of an adaptation"),
        (save({"something": THREE}), "parts not known here: something"),
        (save({"shift/sentiment": THREE}), "parts not known here: shift/sentiment"),
        (save({"scale/sentiment": THREE}), "has no 'shift/sentiment'"),
        (save({"scale/sentiment": THREE, "shift/sentiment": THREE[:2]}), "has the shape"),
        (save({"scale/sentiment": THREE, "shift/sentiment": THREE * np.inf}), "finite fp32"),
        (save({"scale/sentiment": THREE, "shift/sentiment": THREE.astype(np.float64)}), "finite fp32"),
        (save({"weight/intents": np.ones((14, 4), np.float32)}), "has no 'bias/intents'"),
        (save({"weight/intents": THREE}), "has the shape"),
        (save({"taught/a": unit(5)[0]}), "has the shape"),
        (save({"taught/a": unit(4)}), "at least 5 examples"),
        (save({"taught/": unit(5)}), "one line"),
    ],
)
def test_damaged_bytes_are_refused(raw: bytes, why: str) -> None:
    with pytest.raises(AdaptationError, match=why):
        Adaptation.from_bytes(raw)


def test_what_the_hub_imports_needs_no_torch() -> None:
    code = "import sys, sentiment.adaptation; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Calibration


def said(rows: int, seed: int = 1) -> Array:
    """Log shares of a model that is rather sure."""
    logits = 2 * np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32)
    return np.log(softmax(logits))


def test_many_labels_give_the_map_that_they_were_drawn_by() -> None:
    found = calibrate(said(6_000), drawn(0.5 * said(6_000) + np.array([1, 0, -1], np.float32)))
    np.testing.assert_allclose(found.affine.scale, 0.5, atol=0.05)
    np.testing.assert_allclose(found.affine.shift - found.affine.shift[1], [1, 0, -1], atol=0.1)
    assert found.improved
    assert found.after.calibration_error < 0.03 < found.before.calibration_error


def test_a_hundred_labels_lift_a_foreign_domain() -> None:
    truth = 0.7 * said(100) + np.array([1.5, -1.5, 0], np.float32)
    found = calibrate(said(100), drawn(truth))
    assert found.before.rows == found.after.rows == 100
    assert found.improved
    assert found.after.accuracy > found.before.accuracy + 0.05


@pytest.mark.parametrize("seed", range(5))
def test_where_the_model_is_right_a_hundred_labels_change_little(seed: int) -> None:
    found = calibrate(said(100, seed), drawn(said(100, seed), seed))
    assert np.abs(found.affine.scale - 1).max() < 0.35
    assert np.abs(found.affine.shift).max() < 0.6


ENOUGH: list[SentimentLabel] = ["negative", "neutral", "positive"] * 10


@pytest.mark.parametrize(
    ("rows", "labels", "why"),
    [
        (29, ENOUGH[:29], "at least 30 labelled messages, these are 29"),
        (30, ENOUGH[:1] * 30, "no message is labelled neutral or positive"),
        (30, ["neutral", "positive"] * 15, "no message is labelled negative"),
        (31, ENOUGH, "30 labels were given for 31 messages"),
    ],
)
def test_too_little_to_calibrate_by(rows: int, labels: list[SentimentLabel], why: str) -> None:
    with pytest.raises(AdaptationError, match=why):
        calibrate(said(rows), labels)


def test_one_message_of_a_sentiment_is_enough() -> None:
    assert calibrate(said(30), [*ENOUGH[:2] * 14, "neutral", "positive"]).after.rows == 30


# Refit


def keys(rows: int) -> list[str]:
    return [f"message {i}" for i in range(rows)]


@pytest.mark.parametrize("kind", [SENTIMENT, TOPIC, INTENT])
def test_a_refit_learns_what_people_say(kind: Head) -> None:
    base, wanted, seen = head(kind), head(kind, seed=8), inputs(600)
    logits = wanted.log_shares(seen)
    truth = np.eye(len(kind.labels))[logits.argmax(axis=1)] if kind.kind == "one" else logits > 0
    found = refit(seen, base, truth.astype(np.float32), keys(600))
    assert found.improved
    assert found.after.accuracy > found.before.accuracy + 0.1
    assert found.after.loss < 0.7 * found.before.loss
    assert found.learnt + found.before.rows == 600
    assert 80 < found.after.rows < 160


def answers(kind: Head, seen: Array) -> Array:
    """What the head itself says, as truths."""
    shares = head(kind).log_shares(seen)
    found = np.eye(len(kind.labels))[shares.argmax(axis=1)] if kind.kind == "one" else shares > 0
    return found.astype(np.float32)


@pytest.mark.parametrize("kind", [SENTIMENT, TOPIC, INTENT])
def test_a_refit_that_makes_it_worse_is_refused(kind: Head) -> None:
    seen, names = inputs(200), keys(200)
    truth = answers(kind, seen)
    taught = [i for i, name in enumerate(names) if not held_back(name)]
    truth[taught] = np.random.default_rng(3).permutation(truth[taught])
    found = refit(seen, head(kind), truth, names)
    assert not found.improved
    assert found.before.accuracy == 1 > found.after.accuracy


@pytest.mark.parametrize("kind", [SENTIMENT, INTENT])
def test_a_refit_to_its_own_shares_changes_nothing(kind: Head) -> None:
    base, seen = head(kind), inputs(60)
    logits = base.log_shares(seen)
    found = refit(seen, base, softmax(logits) if kind.kind == "one" else sigmoid(logits), keys(60))
    np.testing.assert_allclose(found.weight, base.weight, atol=1e-4)
    np.testing.assert_allclose(found.bias, base.bias, atol=1e-4)


def test_what_nobody_knows_teaches_nothing() -> None:
    seen = inputs(300)
    truth, asked = answers(INTENT, inputs(300, seed=5)), np.ones((300, 14), np.float32)
    asked[::2, :7] = asked[:, 13] = 0
    spoilt = np.where(asked == 0, 1 - truth, truth)
    one, other = (refit(seen, head(INTENT), each, keys(300), asked) for each in (truth, spoilt))
    np.testing.assert_array_equal(one.weight, other.weight)
    assert one.after == other.after
    np.testing.assert_allclose(one.weight[13], head(INTENT).weight[13], rtol=1e-6)
    assert not np.allclose(refit(seen, head(INTENT), spoilt, keys(300)).weight, one.weight, atol=0.01)


def test_the_same_messages_are_always_held_back() -> None:
    assert [i for i in range(30) if held_back(f"message {i}")] == [4, 16, 17, 19, 26]
    assert 150 < sum(held_back(key) for key in keys(1_000)) < 250


@given(st.text(st.characters()))
def test_any_text_is_a_key(text: str) -> None:
    assert held_back(text) in {False, True}


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (keys(29), "at least 30 messages, 5 of them held back; these are 29"),
        ([key for key in keys(60) if not held_back(key)][:40], "these are 40, 0 of them held back"),
    ],
)
def test_too_little_to_refit_by(names: list[str], why: str) -> None:
    with pytest.raises(AdaptationError, match=why):
        refit(inputs(len(names)), head(SENTIMENT), answers(SENTIMENT, inputs(len(names))), names)
