"""Train the heads and write them with their model card: `python -m sentiment.train --data ../shared/data`.

Needs no GPU: one core encodes about 140 tweets a second, so all take some ten minutes, and the fits a few
more. With `--cache FOLDER` the encoded texts are kept there (700 MB), and the next run takes a fraction of
that.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from sentiment import datasets, evaluate, fit
from sentiment.card import CARD, render
from sentiment.encoder import SHA256
from sentiment.features import Features, console
from sentiment.heads import WEIGHTS, Card, Heads, flatten, softmax
from sentiment.intent_fit import IntentFit
from sentiment.types import INTENTS, SENTIMENTS

VERSION = "minilm-l6-heads-1"
SEED = 20261121
LAYERS = (2, 3, 4, 5, 6)
DECAY = 3e-3
BALANCE = 0.5
"""Half way to equal classes: a sixth of the training tweets is negative, and customers complain more."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--cache", type=Path, help="folder to keep encoded texts in")
    options = parser.parse_args()
    torch.manual_seed(SEED)
    features = Features(options.cache)
    heads = train(options.data, features)
    heads.save(WEIGHTS)
    console.print(f"wrote {WEIGHTS} ({WEIGHTS.stat().st_size / 1e6:.2f} MB)")
    CARD.write_text(render(evaluate.measure(heads, options.data, features)), encoding="utf-8")
    console.print(f"wrote {CARD}")


def train(data: Path, features: Features) -> Heads:
    """Fit everything; temperatures and thresholds on rows that the weights have not seen."""
    rows = datasets.sentiment(data, "tweeteval_sentiment/train_semeval17")
    inputs = flatten(features.of([row.text for row in rows], "training tweets"), LAYERS)
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-6
    inputs -= mean
    inputs /= scale
    console.print("fitting sentiment")
    labels = np.array([row.label for row in rows])
    weight, bias = fit.softmax_regression(inputs, labels, len(SENTIMENTS), DECAY, BALANCE)

    held = datasets.unseen(datasets.sentiment(data, "tweeteval_sentiment/val"), rows)
    held_inputs = (
        flatten(features.of([row.text for row in held], "validation tweets"), LAYERS) - mean
    ) / scale
    truth = np.array([row.label for row in held])
    logits = held_inputs @ weight.T + bias
    temperature = fit.softmax_temperature(logits, truth)
    shares = softmax(logits / temperature)
    predicted = shares.argmax(axis=1)
    console.print(f"validation: {len(held)} rows, macro recall {fit.macro_recall(predicted, truth):.3f}")

    intents = IntentFit(data, features, LAYERS, mean, scale, SEED)
    card = Card(
        version=VERSION,
        encoder_sha256=SHA256,
        languages=("en",),
        layers=LAYERS,
        sentiment_labels=SENTIMENTS,
        sentiment_temperature=temperature,
        sentiment_threshold=fit.worth_saying(shares.max(axis=1), predicted == truth),
        intent_labels=INTENTS,
        intent_temperature=intents.temperature,
        intent_thresholds=intents.thresholds,
        seed=SEED,
    )
    return Heads(card, mean, scale, weight, bias, intents.weight, intents.bias)


if __name__ == "__main__":
    main()
