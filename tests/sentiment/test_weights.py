"""Weights that are not the published ones are not loaded."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sentiment.encoder import Encoder, WeightsError, packaged_folder
from sentiment.heads import WEIGHTS, HeadsError, load_heads


def test_a_changed_encoder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(packaged_folder(), folder)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(WeightsError, match="it is not loaded"):
        Encoder(folder)


def test_a_missing_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        Encoder(tmp_path)


def test_heads_survive_a_round_trip(tmp_path: Path) -> None:
    heads = load_heads()
    path = tmp_path / "deep" / "heads.safetensors"
    heads.save(path)
    again = load_heads(path)
    assert again.card == heads.card
    np.testing.assert_array_equal(again.sentiment_weight, heads.sentiment_weight)
    np.testing.assert_array_equal(again.scale, heads.scale)


def test_heads_of_another_encoder_are_refused() -> None:
    with pytest.raises(HeadsError, match="another encoder"):
        load_heads(encoder_sha256="0" * 64)


def test_heads_of_other_labels_are_refused(tmp_path: Path) -> None:
    heads = load_heads()
    path = tmp_path / "heads.safetensors"
    replace(heads, card=replace(heads.card, sentiment_labels=("good", "bad", "ugly"))).save(path)
    with pytest.raises(HeadsError, match="other labels"):
        load_heads(path)


@pytest.mark.parametrize("content", [b"", b"not safetensors", WEIGHTS.read_bytes()[:1000]])
def test_broken_heads_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "heads.safetensors"
    path.write_bytes(content)
    with pytest.raises(HeadsError, match="cannot be read"):
        load_heads(path)
