"""The network as it reads: what `Network.forward` says, at the pace of the processor.

Nothing is ever padded. Windows lie one after the other, the texts in order of size, so that windows of one
length are neighbours: attention sees each run of them as it lies in memory, and linear layers see all words
of all texts as the rows of one matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby

import torch
from torch import Tensor
from torch.nn import functional

from sentiment.heads import Array
from sentiment.linear import Linear, dtype_of
from sentiment.network import ATTENTION_HEADS, WIDTH, Layer, Network
from sentiment.types import Precision

Windows = Sequence[Sequence[int]]
"""A text's word pieces, each window with its [CLS] and [SEP]."""
Run = tuple[int, int, int]
"""Neighbours of one length: where the first begins, how many there are, and how long each is."""


class Inference:
    """`network`, made ready to read on a CPU. Safe to share between threads: it holds nothing that changes.

    With "bf16" matrices are multiplied in bfloat16 where the processor can; all else stays fp32.
    """

    def __init__(self, network: Network, precision: Precision = "fp32") -> None:
        encoder = network.encoder
        self._words = encoder.words.weight
        self._places = encoder.places.weight
        self._norm = encoder.norm
        dtype = dtype_of(precision)
        self._layers = [_Layer(layer, dtype) for layer in encoder.layers if isinstance(layer, Layer)]
        # The mean of all words is what a query of zeros sees.
        self._queries = torch.cat([network.queries, torch.zeros(1, WIDTH)]).T / WIDTH**0.5
        self._embed = network.embed

    @torch.inference_mode()
    def __call__(self, texts: Sequence[Windows]) -> tuple[Array, Array]:
        """What each head sees of each text (texts, heads, WIDTH), and the texts' embeddings (texts, WIDTH),
        of unit length. `texts` are the windows of each, at least one each; those of like size should be
        neighbours."""
        lengths = [len(window) for windows in texts for window in windows]
        ids = torch.tensor([piece for windows in texts for window in windows for piece in window])
        places = torch.tensor(list(chain.from_iterable(map(range, lengths))))
        states = self._norm(self._words[ids] + self._places[places])
        runs = runs_of(lengths)
        for layer in self._layers:
            states = layer(states, runs)
        seen = self._pool(states, runs_of([sum(map(len, windows)) for windows in texts]))
        return seen[:, :-1].numpy(), functional.normalize(self._embed(seen[:, -1]), dim=1).numpy()

    def _pool(self, states: Tensor, runs: Sequence[Run]) -> Tensor:
        """What each query sees of each text: (texts, queries, WIDTH)."""
        scores = states @ self._queries
        seen = []
        for start, count, size in runs:
            here = slice(start, start + count * size)
            shares = scores[here].view(count, size, -1).softmax(dim=1)
            seen.append(shares.transpose(1, 2) @ states[here].view(count, size, WIDTH))
        return torch.cat(seen)


class _Layer:
    """One transformer layer: (pieces, WIDTH) to the same. What it is given is written over."""

    def __init__(self, layer: Layer, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._qkv = Linear(layer.qkv.weight.to(dtype), layer.qkv.bias.to(dtype))
        self._out = Linear(layer.out.weight.to(dtype), layer.out.bias.to(dtype))
        self._up = Linear(layer.up.weight.to(dtype), layer.up.bias.to(dtype), gelu=True)
        self._down = Linear(layer.down.weight.to(dtype), layer.down.bias.to(dtype))
        self._norm = layer.norm
        self._norm_after = layer.norm_after

    def __call__(self, x: Tensor, runs: Sequence[Run]) -> Tensor:
        x = self._norm(x.add_(self._out(_attend(self._qkv(x.to(self._dtype)), runs))))
        found: Tensor = self._norm_after(x.add_(self._down(self._up(x.to(self._dtype)))))
        return found


def _attend(qkv: Tensor, runs: Sequence[Run]) -> Tensor:
    """Attention within each window, on views of queries, keys and values: (pieces, 3 * WIDTH) to (pieces,
    WIDTH)."""
    seen = []
    for start, count, length in runs:
        rows = qkv[start : start + count * length].view(count, length, 3, ATTENTION_HEADS, -1)
        q, k, v = rows.permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(q, k, v)
        seen.append(found.transpose(1, 2).reshape(count * length, WIDTH))
    return torch.cat(seen)


def runs_of(sizes: Sequence[int]) -> list[Run]:
    """The runs of equal sizes, in order."""
    runs: list[Run] = []
    start = 0
    for size, alike in groupby(sizes):
        count = len(list(alike))
        runs.append((start, count, size))
        start += count * size
    return runs
