"""Texts to word pieces, as the encoder was taught them: BERT's uncased vocabulary, in windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import BertWordPieceTokenizer, Tokenizer

from sentiment.text import spell_out

VOCABULARY = Path(__file__).parent / "weights" / "vocabulary.txt"
WINDOW = 254
"""Word pieces in one window, beside [CLS] and [SEP]. A longer text is read window by window, as one."""
MAX_WINDOWS = 8
"""A longer text still is read up to here."""
PIECES_PER_PASS = 1024
"""Word pieces in one forward pass: what fits a core's cache was fastest, whatever the lengths."""


class Pieces:
    """Safe to share between threads."""

    def __init__(self, vocabulary: Path = VOCABULARY) -> None:
        self._tokenizer: Tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)._tokenizer
        self._cls, self._sep = self._tokenizer.encode("", add_special_tokens=True).ids

    def windows(self, cleaned: Sequence[str]) -> tuple[list[list[int]], list[int]]:
        """The windows of all texts, at least one each, and for each window the index of its text."""
        windows: list[list[int]] = []
        owners: list[int] = []
        spelled = [spell_out(text) for text in cleaned]
        for owner, encoded in enumerate(self._tokenizer.encode_batch_fast(spelled, add_special_tokens=False)):
            ids = encoded.ids[: WINDOW * MAX_WINDOWS]
            for start in range(0, max(len(ids), 1), WINDOW):
                windows.append([self._cls, *ids[start : start + WINDOW], self._sep])
                owners.append(owner)
        return windows, owners


def by_size(sizes: Sequence[int]) -> list[list[int]]:
    """Indices in batches of similar size, each of at most `PIECES_PER_PASS` or a single text."""
    batches: list[list[int]] = []
    left = 0
    for index in sorted(range(len(sizes)), key=lambda i: sizes[i]):
        if sizes[index] > left or not batches:
            batches.append([])
            left = PIECES_PER_PASS
        batches[-1].append(index)
        left -= sizes[index]
    return batches
