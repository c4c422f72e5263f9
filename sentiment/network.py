"""The network: one BERT encoder whose linear layers never see padding, and every head on top of it.

The encoder is that of all-MiniLM-L6-v2 (Devlin et al. 2019; Wang et al. 2020, "MiniLM"): 6 layers, 384 wide,
12 heads of attention. Sequences are packed one after the other, so that linear layers do no work for
padding; only attention, a small share of the work, sees rows of sequences of like length.

Each head pools the last layer with a learned query of its own (a softmax over the words of the text, all
windows together) and is linear in what it pooled. A query of zeros is the mean. The embedding is linear in
the mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 384
LAYERS = 6
ATTENTION_HEADS = 12
INNER = 1536
VOCABULARY = 30_522
POSITIONS = 512
EPSILON = 1e-12


@dataclass(frozen=True, slots=True)
class Packed:
    """Windows of word pieces, one after the other, shaped for the network.

    `ids`, `positions` and `owners` are (pieces,): the piece, its place in its window, and the text that the
    window belongs to. `places` (windows, longest) says where each piece of a window stands in the packing,
    and `kept` (pieces,) where each piece stands in that table, flattened. `mask` (windows, 1, 1, longest) is
    False where a window has ended; None where no window is shorter than the longest.
    """

    ids: Tensor
    positions: Tensor
    owners: Tensor
    places: Tensor
    kept: Tensor
    mask: Tensor | None
    texts: int

    def to(self, device: torch.device) -> Packed:
        """The same on another device."""
        return Packed(
            ids=self.ids.to(device),
            positions=self.positions.to(device),
            owners=self.owners.to(device),
            places=self.places.to(device),
            kept=self.kept.to(device),
            mask=None if self.mask is None else self.mask.to(device),
            texts=self.texts,
        )


def pack(windows: Sequence[Sequence[int]], owners: Sequence[int], texts: int) -> Packed:
    """`windows` are word pieces with their [CLS] and [SEP]; `owners` the index of each one's text."""
    lengths = torch.tensor([len(window) for window in windows])
    longest = int(lengths.max())
    steps = torch.arange(longest)
    padding = steps >= lengths[:, None]
    starts = torch.cumsum(lengths, 0) - lengths
    places = (starts[:, None] + steps).masked_fill(padding, 0)
    return Packed(
        ids=torch.tensor([piece for window in windows for piece in window]),
        positions=steps.expand(len(windows), -1)[~padding],
        owners=torch.repeat_interleave(torch.tensor(owners), lengths),
        places=places,
        kept=(~padding).flatten().nonzero().squeeze(1),
        mask=~padding[:, None, None, :] if bool(padding.any()) else None,
        texts=texts,
    )


class Layer(nn.Module):
    """One transformer layer, normalised after each half as BERT's are."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.up = nn.Linear(WIDTH, INNER)
        self.down = nn.Linear(INNER, WIDTH)
        self.norm_after = nn.LayerNorm(WIDTH, eps=EPSILON)

    def forward(self, x: Tensor, packed: Packed, dropout: float) -> Tensor:
        """(pieces, WIDTH) to the same."""
        windows, longest = packed.places.shape
        rows = self.qkv(x).index_select(0, packed.places.flatten())
        q, k, v = rows.view(windows, longest, 3, ATTENTION_HEADS, -1).permute(2, 0, 3, 1, 4)
        seen = (
            _attend(q, k, v, packed.mask)
            if self.training
            else functional.scaled_dot_product_attention(q, k, v, attn_mask=packed.mask)
        )
        seen = seen.transpose(1, 2).reshape(windows * longest, WIDTH).index_select(0, packed.kept)
        x = self.norm(x + self.out(seen))
        inner = self.down(functional.gelu(self.up(x)))
        found: Tensor = self.norm_after(x + functional.dropout(inner, dropout, self.training))
        return found


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """The same attention written out: backward through torch's fused one takes ten times as long on a CPU."""
    scores = (q @ k.transpose(2, 3)) * q.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    seen: Tensor = scores.softmax(dim=-1).to(v.dtype) @ v
    return seen


class Encoder(nn.Module):
    """Word pieces in, one state for each out."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.places = nn.Embedding(POSITIONS, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, packed: Packed, dropout: float = 0.0) -> Tensor:
        """The last layer's states: (pieces, WIDTH)."""
        x = self.norm(self.words(packed.ids) + self.places(packed.positions))
        x = functional.dropout(x, dropout, self.training)
        for layer in self.layers:
            x = layer(x, packed, dropout)
        found: Tensor = x
        return found


class Network(nn.Module):
    """The encoder with its heads. `outputs` is the number of logits of each head, by name."""

    def __init__(self, outputs: Mapping[str, int]) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.names = tuple(outputs)
        self.queries = nn.Parameter(torch.zeros(len(outputs), WIDTH))
        self.heads = nn.ModuleDict({name: nn.Linear(WIDTH, width) for name, width in outputs.items()})
        self.embed = nn.Linear(WIDTH, WIDTH)

    def forward(self, packed: Packed, dropout: float = 0.0) -> tuple[Tensor, Tensor]:
        """What each head sees (texts, heads, WIDTH), and the texts' embeddings (texts, WIDTH), of unit
        length."""
        seen, means = self._pool(self.encoder(packed, dropout), packed)
        return seen, functional.normalize(self.embed(means).float(), dim=1)

    def head(self, name: str) -> nn.Linear:
        """The linear map of the head of that name. Raises: KeyError."""
        found = self.heads[name]
        assert isinstance(found, nn.Linear)
        return found

    def logits(self, seen: Tensor, dropout: float = 0.0) -> dict[str, Tensor]:
        """Logits of each head (texts, outputs) from what the heads see."""
        return {
            name: head(functional.dropout(seen[:, i], dropout, self.training))
            for i, (name, head) in enumerate(self.heads.items())
        }

    def _pool(self, states: Tensor, packed: Packed) -> tuple[Tensor, Tensor]:
        """What each head's query sees (texts, heads, WIDTH), and the mean of all words (texts, WIDTH)."""
        scores = (states @ self.queries.T.to(states.dtype)).float() / WIDTH**0.5
        owners = packed.owners
        highest = scores.detach().new_zeros(packed.texts, scores.shape[1])
        rows = owners[:, None].expand_as(scores)
        highest.scatter_reduce_(0, rows, scores.detach(), "amax", include_self=False)
        shares = torch.cat([(scores - highest[owners]).exp(), torch.ones_like(scores[:, :1])], dim=1)
        totals = shares.new_zeros(packed.texts, shares.shape[1]).index_add(0, owners, shares)
        parts = (shares / totals[owners])[:, :, None] * states.float()[:, None, :]
        sums = parts.new_zeros(packed.texts, *parts.shape[1:]).index_add(0, owners, parts)
        return sums[:, :-1], sums[:, -1]
