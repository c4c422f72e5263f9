"""Weights that are not the published ones are not loaded; what is saved comes back."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sentiment.heads import INTENT, SARCASM, SENTIMENT, Head
from sentiment.network import Network
from sentiment.weights import FOLDER, MODEL, Calibrated, Card, WeightsError, load, save, seal, verify

HEADS = (SENTIMENT, INTENT, SARCASM)


def plain(head: Head) -> Calibrated:
    n = len(head.labels)
    return Calibrated(head, (1.5,) * n, (-0.25,) * n, tuple(0.3 + i / 100 for i in range(n)))


CARD = Card("test-1", ("en",), tuple(plain(head) for head in HEADS), seed=7)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(1)
    return Network({head.name: len(head.labels) for head in HEADS})


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A copy of what is shipped."""
    return Path(shutil.copytree(FOLDER, tmp_path / "weights"))


def test_what_is_shipped_is_what_was_published() -> None:
    verify()
    found = subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=FOLDER, check=False)
    assert found.returncode == 0


@pytest.mark.parametrize("name", ["model.safetensors", "vocabulary.txt"])
def test_a_changed_file_is_refused(shipped: Path, name: str) -> None:
    with (shipped / name).open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(WeightsError, match=rf"{name} has SHA-256 .* it is not loaded"):
        verify(shipped)
    seal(shipped)
    verify(shipped)


@pytest.mark.parametrize("name", ["model.safetensors", "vocabulary.txt", "SHA256SUMS"])
def test_a_missing_file_is_refused(shipped: Path, name: str) -> None:
    (shipped / name).unlink()
    with pytest.raises(WeightsError, match=f"{name} cannot be read"):
        verify(shipped)


def test_a_network_survives_a_round_trip(tmp_path: Path, network: Network) -> None:
    path = tmp_path / "deep" / "model.safetensors"
    save(network, CARD, path)
    again, card = load(path)
    assert card == CARD
    assert not again.training
    kept = again.state_dict()
    for name, weight in network.state_dict().items():
        if weight.numel() > 100_000 and weight.ndim == 2:
            step = weight.abs().amax(dim=1, keepdim=True) / 127
            assert ((kept[name] - weight).abs() <= 0.501 * step).all(), name
        else:
            assert torch.equal(kept[name], weight), name


def test_large_matrices_take_a_byte_a_number(tmp_path: Path, network: Network) -> None:
    path = tmp_path / "model.safetensors"
    save(network, CARD, path)
    assert path.stat().st_size < 1.05 * sum(weight.numel() for weight in network.state_dict().values())


def test_a_head_is_found_by_its_name() -> None:
    assert CARD["sarcasm"].head is SARCASM
    with pytest.raises(KeyError):
        CARD["mood"]


@pytest.mark.parametrize(
    "content", [b"", b"not safetensors", b"\x80\x04\x95pickle", MODEL.read_bytes()[:1000]]
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as a model"):
        load(path)


@pytest.mark.parametrize("lacks", ["queries", "heads.sarcasm.bias", "encoder.layers.5.norm.weight"])
def test_a_model_without_all_of_its_parts_is_refused(tmp_path: Path, network: Network, lacks: str) -> None:
    path = tmp_path / "model.safetensors"
    save(network, CARD, path)
    with safe_open(path, framework="pt") as file:
        parts = {name: file.get_tensor(name) for name in file.keys() if name != lacks}  # noqa: SIM118
        metadata = file.metadata()
    save_file(parts, path, metadata=metadata)
    with pytest.raises(WeightsError, match="cannot be read as a model"):
        load(path)


def test_a_model_that_says_nothing_of_itself_is_refused(tmp_path: Path, network: Network) -> None:
    path = tmp_path / "model.safetensors"
    save_file(dict(network.state_dict()), path)
    with pytest.raises(WeightsError, match="cannot be read as a model"):
        load(path)
