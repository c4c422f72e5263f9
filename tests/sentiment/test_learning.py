"""The order of rows, the rate and the loss that teacher and network learn by."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from sentiment.examples import Example, target
from sentiment.heads import EMOTION, PRODUCT, SENTIMENT
from sentiment.learning import batches, loss, plan, published, share_of_rate
from sentiment.weights import WeightsError, sha256


def test_the_same_seed_gives_the_same_plan() -> None:
    lengths = [3 + i % 5 for i in range(12)]
    plans = [plan([2.5] * 12, lengths, 64, random.Random(seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
    turns = sorted(i for batch in plans[0] for i in batch)
    assert 24 <= len(turns) <= 36
    assert set(turns) == set(range(12))
    assert all(sum(lengths[i] for i in batch) <= 64 for batch in plans[0])


def test_batches_are_of_like_length_and_leave_nothing_out() -> None:
    lengths = [9, 1, 5, 5, 2, 30]
    assert batches(range(6), lengths, 10) == [[1, 4, 2], [3], [0], [5]]
    assert batches([3, 0], lengths, 14) == [[3, 0]]
    assert batches([], lengths, 10) == []


def test_what_is_read_no_time_is_not_learnt() -> None:
    assert plan([0, 1, 0], [4, 4, 4], 64, random.Random(1)) == [[1]]


def test_only_the_heads_that_a_row_speaks_of_are_judged() -> None:
    rows = [
        Example("a", {"sentiment": target(SENTIMENT, ["negative"])}, 1),
        Example("b", {"emotion": target(EMOTION, ["joy"], 0.5)}, 1),
    ]
    logits = {name: torch.zeros(2, len(head.labels)) for name, head in PRODUCT.items()}
    cost = loss(logits, rows, PRODUCT)
    assert cost.item() == pytest.approx((np.log(3) + 0.5 * len(EMOTION.labels) * np.log(2)) / 2, rel=1e-5)


def test_the_rate_warms_up_and_cools_down() -> None:
    rates = [share_of_rate(step, 100) for step in range(100)]
    assert rates.index(max(rates)) in range(3, 8)
    assert rates[0] < 0.2
    assert rates[-1] < 0.03


def test_only_the_published_file_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"weights")
    assert published(path, sha256(path)) == path
    with pytest.raises(WeightsError, match="not the published file"):
        published(path, "0" * 64)
