"""What reads fast reads the same."""

from __future__ import annotations

from functools import cache
from itertools import chain, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment.heads import Array
from sentiment.inference import Inference, runs_of
from sentiment.linear import multiplies_bf16
from sentiment.model import NetworkReader
from sentiment.network import WIDTH, Network, pack
from sentiment.pieces import MAX_WINDOWS, WINDOW, Pieces
from sentiment.types import Precision
from sentiment.weights import load
from tests.sentiment.windows import windows

LENGTHS = ([2], [3], [3], [17], [40], [40], [9, 9, 4], [256, 17])


@cache
def network() -> Network:
    return load()[0]


@cache
def inference(precision: Precision = "fp32") -> Inference:
    return Inference(network(), precision)


@torch.inference_mode()
def plainly(texts: list[list[list[int]]]) -> tuple[Array, Array]:
    """The network's own word on each text, alone."""
    found = [network()(pack(text, [0] * len(text), 1)) for text in texts]
    seen, embeddings = (torch.cat(part).numpy() for part in zip(*found, strict=True))
    return seen, embeddings


WORDS = ["Where is my parcel?! Two weeks now.", "thanks, all good", "ok " * 40, "#Fail :( :( :(", "ok"]
TEXTS = {
    "any pieces": windows(LENGTHS),
    "the longest text": windows([[WINDOW + 2] * MAX_WINDOWS]),
    "the shortest text": windows([[2]]),
    "words": [[window] for window in sorted(Pieces().windows(WORDS)[0], key=len)],
}


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_it_says_what_the_network_says(texts: list[list[list[int]]]) -> None:
    for ours, theirs in zip(inference()(texts), plainly(texts), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.lists(st.integers(2, 60), min_size=1, max_size=2), min_size=1, max_size=6), st.data())
def test_a_text_is_read_the_same_in_any_company(lengths: list[list[int]], data: st.DataObject) -> None:
    texts = windows(lengths)
    order = data.draw(st.permutations(range(len(texts))))
    seen, embeddings = inference()([texts[i] for i in order])
    for row, i in enumerate(order):
        alone, embedding = inference()([texts[i]])
        np.testing.assert_allclose(seen[row], alone[0], rtol=0, atol=1e-4)
        np.testing.assert_allclose(embeddings[row], embedding[0], rtol=0, atol=1e-4)


@pytest.mark.skipif(not multiplies_bf16(), reason="this processor does not multiply bfloat16")
def test_bf16_is_near() -> None:
    texts = windows(LENGTHS)
    seen, embeddings = inference("bf16")(texts)
    plain, expected = plainly(texts)
    assert np.abs(seen - plain).max() < 0.2
    assert (embeddings * expected).sum(axis=1).min() > 0.999
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


def test_nothing_to_read_is_read() -> None:
    reader = NetworkReader()
    seen, embeddings = reader.see([])
    assert seen.shape[::2] == (0, WIDTH)
    assert embeddings.shape == (0, WIDTH)
    assert all(len(shares) == 0 for shares in reader.read([]).shares.values())


@given(st.lists(st.integers(1, 4)))
def test_runs_are_neighbours_of_one_size(sizes: list[int]) -> None:
    runs = runs_of(sizes)
    assert list(chain.from_iterable([size] * count for _, count, size in runs)) == sizes
    assert [start for start, _, _ in runs] == [
        sum(count * size for _, count, size in runs[:i]) for i in range(len(runs))
    ]
    assert all(left[2] != right[2] for left, right in pairwise(runs))
