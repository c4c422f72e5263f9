"""The others say what they are known to say."""

from __future__ import annotations

import numpy as np

from sentiment import SENTIMENTS, baselines
from sentiment.baselines import Original

TEXTS = ["I hate this, it is terrible", "The shop opens at nine", "I love it, wonderful!"]


def test_lexicons() -> None:
    assert [SENTIMENTS[i] for i in baselines.vader(TEXTS)] == list(SENTIMENTS)
    assert [SENTIMENTS[i] for i in baselines.textblob(TEXTS)] == list(SENTIMENTS)


def test_counted_words() -> None:
    seen = ["where is my parcel", "my parcel is late", "refund my money", "i want a refund"]
    shares = baselines.counted(seen, np.array([0, 0, 2, 2]), ["late parcel", "a refund please"], 3)
    assert shares.argmax(axis=1).tolist() == [0, 2]
    assert (shares[:, 1] == 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)


def test_the_original_encoder_knows_its_like() -> None:
    """Unit vectors, each in its place whatever the lengths beside it, and like texts are near."""
    texts = ["how much money do i have", "word " * 600, "what is my balance", "it will rain tomorrow"]
    found = Original().embed(texts)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    near = found @ found.T
    assert near[0, 2] > near[0, 3] + 0.1
    np.testing.assert_allclose(Original().embed(texts[2:3])[0], found[2], atol=0.01)
