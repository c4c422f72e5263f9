"""The benchmark counts what is done, and divides it by the time that it took."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sentiment import bench
from sentiment.bench import measure, operations
from sentiment.linear import multiplies_bf16
from sentiment.network import Encoder, pack
from tests.sentiment.windows import windows


@pytest.mark.parametrize("lengths", [[5], [40, 40], [256]])
def test_operations_are_those_that_torch_counts(lengths: list[int]) -> None:
    """In training attention is written out, so that torch sees its products."""
    (text,) = windows([lengths])
    encoder = Encoder().train(True)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        encoder(pack(text, [0] * len(text), 1))
    assert operations(lengths) == counter.get_total_flops()


def test_all_is_measured_in_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, few in {
        "ROUNDS": 1,
        "PIPELINE_TEXTS": 1,
        "ZERO_SHOT_TEXTS": 1,
        "SINGLES": 2,
        "SIDE": 64,
    }.items():
        monkeypatch.setattr(bench, name, few)
    threads = torch.get_num_threads()
    speed = measure(["Where is my parcel? It was due on Monday.", "thanks, that fixed it"] * 2)
    assert torch.get_num_threads() == threads
    assert 8 < speed.pieces < speed.pieces_p95 < 16
    assert speed.agreement == 1
    assert (speed.bf16 is None) == (speed.bf16_agreement is None) == (not multiplies_bf16())
    assert speed.fp32 > speed.pipelines > speed.zero_shot > 0
    assert min(speed.flops, speed.peak, speed.latency_seconds) > 0


def test_the_few_are_spread_over_all_lengths() -> None:
    texts = ["x" * length for length in range(100)]
    assert [len(text) for text in bench._some(texts[::-1], 4)] == [12, 37, 62, 87]


def test_a_start_imports_no_more_than_it_needs() -> None:
    """Each of these takes a second or more."""
    start = "import sentiment, sys; sentiment.load().score(['hello there']); print(*sys.modules)"
    imported = subprocess.run(
        [sys.executable, "-c", start], capture_output=True, text=True, check=True
    ).stdout
    assert "torch" in imported.split()
    assert not {"transformers", "torch._dynamo", "scipy", "sklearn"} & set(imported.split())
