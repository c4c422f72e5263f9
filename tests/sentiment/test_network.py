"""The network says what BERT with the same weights says, and each head sees a text by its own query."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional
from transformers import BertConfig, BertModel

from sentiment.network import (
    ATTENTION_HEADS,
    EPSILON,
    INNER,
    LAYERS,
    POSITIONS,
    VOCABULARY,
    WIDTH,
    Network,
    pack,
)
from sentiment.weights import load
from tests.sentiment.windows import windows

LENGTHS = ([3], [2], [9, 9, 4], [40], [3], [256, 17])


@cache
def network() -> Network:
    return load()[0]


@cache
def bert() -> BertModel:
    """BERT as transformers writes it, with the network's weights."""
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=ATTENTION_HEADS,
        intermediate_size=INNER,
        max_position_embeddings=POSITIONS,
        layer_norm_eps=EPSILON,
        attn_implementation="eager",
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    ours = network().encoder.state_dict()
    state = model.state_dict()
    names = {
        "embeddings.word_embeddings": "words",
        "embeddings.position_embeddings": "places",
        "embeddings.LayerNorm": "norm",
    }
    for i in range(LAYERS):
        theirs = f"encoder.layer.{i}"
        names |= {
            f"{theirs}.attention.output.dense": f"layers.{i}.out",
            f"{theirs}.attention.output.LayerNorm": f"layers.{i}.norm",
            f"{theirs}.intermediate.dense": f"layers.{i}.up",
            f"{theirs}.output.dense": f"layers.{i}.down",
            f"{theirs}.output.LayerNorm": f"layers.{i}.norm_after",
        }
        for kind in ("weight", "bias"):
            parts = ours[f"layers.{i}.qkv.{kind}"].chunk(3)
            for part, name in zip(parts, ("query", "key", "value"), strict=True):
                state[f"{theirs}.attention.self.{name}.{kind}"] = part
    for name in state:
        stem, kind = name.rsplit(".", 1)
        if stem in names:
            state[name] = ours[f"{names[stem]}.{kind}"]
    state["embeddings.token_type_embeddings.weight"] = torch.zeros(2, WIDTH)
    model.load_state_dict(state)
    return model


@torch.inference_mode()
def padded(texts: list[list[list[int]]]) -> tuple[Tensor, Tensor]:
    """What the heads see and the embeddings, from padded windows and one text after the other."""
    flat = [torch.tensor(window) for text in texts for window in text]
    ids = torch.nn.utils.rnn.pad_sequence(flat, batch_first=True)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(each) for each in flat], batch_first=True)
    states = iter(bert()(ids, attention_mask=mask).last_hidden_state)
    seen, means = [], []
    for text in texts:
        words = torch.cat([next(states)[: len(window)] for window in text])
        shares = (network().queries @ words.T / WIDTH**0.5).softmax(dim=1)
        seen.append(shares @ words)
        means.append(words.mean(dim=0))
    return torch.stack(seen), functional.normalize(network().embed(torch.stack(means)), dim=1)


def test_packed_is_as_padded() -> None:
    texts = windows(LENGTHS)
    flat = [window for text in texts for window in text]
    owners = [i for i, text in enumerate(texts) for _ in text]
    with torch.inference_mode():
        found = network()(pack(flat, owners, len(texts)))
    for ours, theirs in zip(found, padded(texts), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_training_says_the_same() -> None:
    """Attention is written out in training, for its backward pass; dropout is off here."""
    (text,) = windows([[5, 30]])
    packed = pack(text, [0, 0], 1)
    with torch.inference_mode():
        expected = network()(packed)
        network().train(True)
        try:
            found = network()(packed)
        finally:
            network().train(False)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
