"""How teacher and network learn: the order of rows, the rate, the loss, and the steps themselves."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional

from sentiment.examples import Example
from sentiment.heads import Head
from sentiment.weights import WeightsError, sha256

WARM_UP = 0.06
DECAY = 0.01
SHUFFLED = 4096
"""Examples that are sorted by length among themselves, so that a step's texts are alike."""

console = Console(stderr=True)


def learn(
    steps: Sequence[Sequence[int]],
    cost: Callable[[Sequence[int]], Tensor],
    learners: Sequence[tuple[float, Sequence[nn.Parameter]]],
    what: str,
    after: Callable[[int], None] = lambda step: None,
) -> None:
    """Lower the cost of each step's rows in turn, showing a bar of `what`; `after` is called with the number
    of each step. `learners` are rates and the parameters that learn at them."""
    groups = [{"params": each, "lr": rate} for rate, each in learners]
    learning = [parameter for _, each in learners for parameter in each]
    optimiser = torch.optim.AdamW(groups, weight_decay=DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: share_of_rate(step, len(steps)))
    lately = 0.0
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("loss {task.fields[loss]:.3f}"), console=console) as progress:
        bar = progress.add_task(what, total=len(steps), loss=0.0)
        for step, rows in enumerate(steps, 1):
            costs = cost(rows)
            costs.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(learning, 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            lately += (float(costs.detach()) - lately) * max(0.01, 1 / step)
            progress.update(bar, advance=1, loss=lately)
            after(step)


def plan(times: Sequence[float], lengths: Sequence[int], pieces: int, draw: random.Random) -> list[list[int]]:
    """Which rows each step reads: every row its number of times, in batches of like length that have no more
    than `pieces` word pieces together."""
    turns = [i for i, each in enumerate(times) for _ in range(_whole(each, draw))]
    draw.shuffle(turns)
    steps: list[list[int]] = []
    for start in range(0, len(turns), SHUFFLED):
        part = batches(turns[start : start + SHUFFLED], lengths, pieces)
        draw.shuffle(part)
        steps += part
    return steps


def batches(rows: Sequence[int], lengths: Sequence[int], pieces: int) -> list[list[int]]:
    """The rows in order of length, as many together as have no more than `pieces` word pieces."""
    found: list[list[int]] = []
    left = 0
    for i in sorted(rows, key=lambda i: lengths[i]):
        if not found or lengths[i] > left:
            found.append([])
            left = pieces
        found[-1].append(i)
        left -= lengths[i]
    return found


def _whole(times: float, draw: random.Random) -> int:
    return int(times) + (draw.random() < times % 1)


def share_of_rate(step: int, steps: int) -> float:
    """Of the learning rate: a warm-up, then half a cosine down to a fiftieth."""
    warm = min(1.0, (step + 1) / (WARM_UP * steps))
    return warm * (0.02 + 0.49 * (1 + math.cos(math.pi * step / steps)))


def loss(logits: Mapping[str, Tensor], rows: Sequence[Example], heads: Mapping[str, Head]) -> Tensor:
    """The mean over rows of what each one's targets cost."""
    losses = []
    for name, head in heads.items():
        mine = [i for i, row in enumerate(rows) if name in row.targets]
        if not mine:
            continue
        targets = [rows[i].targets[name] for i in mine]
        found = logits[name][mine].float()
        truth = torch.stack([torch.from_numpy(each.truth) for each in targets]).to(found.device)
        weight = torch.tensor([each.weight for each in targets], device=found.device)
        if head.kind == "one":
            each = functional.cross_entropy(found, truth, reduction="none")
        else:
            each = functional.binary_cross_entropy_with_logits(found, truth, reduction="none").sum(dim=1)
        losses.append((each * weight).sum())
    return torch.stack(losses).sum() / len(rows)


def published(path: Path, digest: str) -> Path:
    """`path`, where it is the file that was published with that SHA-256.

    Raises: sentiment.weights.WeightsError, otherwise.
    """
    if sha256(path) != digest:
        raise WeightsError(f"{path} is not the published file; it is not loaded")
    return path
