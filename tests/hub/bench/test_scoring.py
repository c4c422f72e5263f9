"""What the model is measured on, and how a worker's start and memory are."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from hub.bench.figures import Figure
from hub.bench.scoring import bench_scoring, mix
from sentiment.bench import Speed
from sentiment.pieces import Pieces

SPEED = Speed(
    pieces=50,
    pieces_p95=160,
    fp32=90,
    bf16=None,
    pipelines=10,
    zero_shot=2,
    flops=6e10,
    peak=1e11,
    agreement=1,
    bf16_agreement=None,
    latency_seconds=0.01,
)


def test_the_mix_is_three_tweets_to_a_mail() -> None:
    texts = mix(400)
    assert texts == mix(400)
    assert len(texts) == 400
    assert ["\n\n" in text for text in texts[:8]] == [False, False, False, True] * 2
    assert len(set(texts)) == 400
    windows, owners = Pieces().windows(texts)
    sizes = [0] * len(texts)
    for window, owner in zip(windows, owners, strict=True):
        sizes[owner] += len(window)
    assert 45 <= sum(sizes) / len(sizes) <= 55
    assert 140 <= sorted(sizes)[380] <= 180


@pytest.mark.parametrize("count", [1, 6])
def test_any_number_of_messages(count: int) -> None:
    assert len(mix(count)) == count


def figures(speed: Speed) -> dict[str, Figure]:
    with patch("sentiment.bench.measure", lambda texts: speed):
        return {figure.name: figure for figure in bench_scoring(8, lambda said: None)}


def test_figures_have_their_goals() -> None:
    found = figures(SPEED)
    assert found["one pass against the pipelines"].value == 9
    missed = [name for name, figure in found.items() if figure.met is False]
    assert set(missed) <= {"a worker's start to its first answer"}  # on a busy machine
    assert 0.1 < found["a worker's most memory"].value < 1
