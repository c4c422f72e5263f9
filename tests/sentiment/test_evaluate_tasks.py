"""What is decided for an official figure: better in it than the likeliest label."""

from __future__ import annotations

import numpy as np
import pytest

from sentiment.evaluate_tasks import decided, offsets
from sentiment.figures import Labels, f1, macro_recall
from sentiment.heads import Array, softmax


def drawn(prior: list[float], rows: int) -> tuple[Array, Array]:
    """Honest shares of labels so frequent, and their truth."""
    rng = np.random.default_rng(11)
    labels = rng.choice(len(prior), rows, p=prior)
    truth = np.eye(len(prior), dtype=np.float32)[labels]
    logits = truth * 1.5 + rng.normal(size=truth.shape) * 1.2 + np.log(prior)
    return softmax(logits.astype(np.float32)), truth


def second(predicted: Labels, truth: Labels) -> float:
    return f1(predicted == 1, truth == 1)


@pytest.mark.parametrize(
    ("prior", "figure"), [([0.15, 0.45, 0.4], macro_recall), ([0.7, 0.3], second), ([0.9, 0.1], macro_recall)]
)
def test_the_rule_is_better_than_the_likeliest_label_where_it_was_not_chosen(
    prior: list[float], figure: object
) -> None:
    assert callable(figure)
    shares, truth = drawn(prior, 8_000)
    offset = offsets(shares[:4_000], truth[:4_000], figure)
    asked, labels = shares[4_000:], truth[4_000:].argmax(axis=1)
    assert figure(decided(asked, offset), labels) > figure(asked.argmax(axis=1), labels) + 0.01


def test_what_is_impossible_is_never_the_answer() -> None:
    shares = np.array([[0, 1, 0], [0, 0, 1]], np.float32)
    assert decided(shares, np.array([3, 0, -3], np.float32)).tolist() == [1, 2]
