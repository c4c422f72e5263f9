"""The model file: safetensors, whole numbers of eight bits, loaded by checksum.

Every matrix is kept as int8 with one scale a row (the row's largest value is 127), everything else in full;
it is multiplied out when it is loaded, so that nothing is computed in eight bits. What the file says of
itself, its `Card`, stands in its metadata.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.overrides import TorchFunctionMode

from sentiment.heads import Affine, Array, Head, LinearHead, sigmoid, softmax
from sentiment.network import Network

FOLDER = Path(__file__).parent / "weights"
MODEL = FOLDER / "model.safetensors"
CHECKSUMS = FOLDER / "SHA256SUMS"


class WeightsError(Exception):
    """A model file is missing, is not the one that was published, or does not fit this code."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A head with what makes its logits honest: shares are those of `scale * logits + shift`, one of each
    for every label. A label below its threshold is not said."""

    head: Head
    scale: tuple[float, ...]
    shift: tuple[float, ...]
    thresholds: tuple[float, ...]

    def shares(self, logits: Array) -> Array:
        """Probabilities of logits (texts, labels)."""
        honest = logits * np.array(self.scale, np.float32) + np.array(self.shift, np.float32)
        return softmax(honest) if self.head.kind == "one" else sigmoid(honest)

    def linear(self, network: Network) -> LinearHead:
        """The network's head of that name, calibration included."""
        layer = network.head(self.head.name)
        plain = LinearHead(self.head, layer.weight.numpy(), layer.bias.numpy(), self.thresholds)
        return plain.mapped(Affine(np.array(self.scale, np.float32), np.array(self.shift, np.float32)))


@dataclass(frozen=True, slots=True)
class Card:
    """What a model file says of itself. `languages` are those it was trained for (ISO 639-1)."""

    version: str
    languages: tuple[str, ...]
    heads: tuple[Calibrated, ...]
    seed: int

    def __getitem__(self, name: str) -> Calibrated:
        """The head of that name. Raises: KeyError."""
        for each in self.heads:
            if each.head.name == name:
                return each
        raise KeyError(name)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Card:
        raw = json.loads(text)
        heads = tuple(
            Calibrated(
                Head(each["head"]["name"], each["head"]["kind"], tuple(each["head"]["labels"])),
                tuple(each["scale"]),
                tuple(each["shift"]),
                tuple(each["thresholds"]),
            )
            for each in raw["heads"]
        )
        return cls(raw["version"], tuple(raw["languages"]), heads, raw["seed"])


def sha256(path: Path) -> str:
    """Raises: WeightsError, where the file cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error


def verify(folder: Path = FOLDER) -> None:
    """Compare every file with `SHA256SUMS`, as `sha256sum -c` does. Raises: WeightsError."""
    sums = folder / CHECKSUMS.name
    try:
        lines = sums.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise WeightsError(f"{sums} cannot be read: {error.strerror}") from error
    for line in lines:
        expected, name = line.split("  ", 1)
        found = sha256(folder / name)
        if found != expected:
            raise WeightsError(f"{folder / name} has SHA-256 {found}, expected {expected}; it is not loaded")


def seal(folder: Path = FOLDER) -> None:
    """Write `SHA256SUMS` of the files beside it."""
    names = sorted(path.name for path in folder.iterdir() if path.name != CHECKSUMS.name)
    (folder / CHECKSUMS.name).write_text(
        "".join(f"{sha256(folder / name)}  {name}\n" for name in names), encoding="utf-8"
    )


def save(network: Network, card: Card, path: Path = MODEL) -> None:
    """Write the weights, matrices in eight bits."""
    tensors: dict[str, Tensor] = {}
    for name, weight in network.state_dict().items():
        if weight.ndim == 2 and weight.numel() > 100_000:
            scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
            tensors[name] = torch.round(weight / scale).to(torch.int8)
            tensors[f"{name}:scale"] = scale
        else:
            tensors[name] = weight.contiguous()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={"card": card.to_json()})
    path.chmod(0o644)


class _Undrawn(TorchFunctionMode):
    """Draw no first weights, which would be overwritten at once; even without memory for them, torch would
    load its compiler to do so, which takes a second."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        drawn = getattr(func, "__module__", None) == "torch.nn.init"
        return given["tensor"] if drawn else func(*args, **given)


def load(path: Path = MODEL) -> tuple[Network, Card]:
    """The network, ready to read, and its card. Verify first. Raises: WeightsError."""
    try:
        with safe_open(path, framework="pt") as file:
            card = Card.from_json(file.metadata()["card"])
            names = set(file.keys())
            state = {
                name: file.get_tensor(name).float() * file.get_tensor(f"{name}:scale")
                if f"{name}:scale" in names
                else file.get_tensor(name)
                for name in names
                if not name.endswith(":scale")
            }
        with torch.device("meta"), _Undrawn():
            network = Network({each.head.name: len(each.head.labels) for each in card.heads})
        network.load_state_dict(state, assign=True)
    except Exception as error:  # safetensors raises its own and the system's errors; all mean the same here
        raise WeightsError(f"{path} cannot be read as a model: {error}") from error
    network.train(False)
    network.requires_grad_(False)
    return network, card
