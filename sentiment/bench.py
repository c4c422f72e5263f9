"""How fast the model reads, beside what else reads with the same encoder and what the processor can do.

All of it on one thread, in CPU time, in turns in one run, so that figures may be divided by each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
import transformers

import sentiment
from sentiment.heads import Array
from sentiment.linear import Linear, multiplies_bf16
from sentiment.model import MessageScorer, NetworkReader
from sentiment.network import ATTENTION_HEADS, EPSILON, INNER, LAYERS, POSITIONS, VOCABULARY, WIDTH, pack
from sentiment.pieces import VOCABULARY as WORDS
from sentiment.pieces import Pieces
from sentiment.text import clean
from sentiment.types import INTENTS, SENTIMENTS, Analysis, Precision, Scorer
from sentiment.weights import load

ROUNDS = 3
BATCH = 64
"""Messages scored together, as the hub's worker does by default."""
PIPELINE_TEXTS = 40
ZERO_SHOT_TEXTS = 16
"""The others are slow: they read this many texts of each round, of the same lengths as all."""
SINGLES = 100
SHORT_CHARS = 280
SIDE = 1536
"""Rows and columns of the matrices whose product is the processor's peak."""

Run = Callable[[Sequence[str]], object]
Task = Literal["text-classification", "zero-shot-classification"]


@dataclass(frozen=True, slots=True)
class Speed:
    """Messages per second of CPU time of one thread; they have `pieces` word pieces (mean; `pieces_p95`).

    `fp32` and `bf16` are one pass for all heads, cleaning and all (`bf16` is None where the processor has
    none); `pipelines` is three `transformers` pipelines, one question each and one text at a time;
    `zero_shot` is obsei's local classifier. All have the same encoder.

    `flops` are the operations per second in the linear layers and the attention of `fp32`, for real word
    pieces only; `peak` those of a large square product of fp32 matrices. `agreement` is the share of labels
    that equal those of the network as it was trained, read a text at a time; `bf16_agreement` likewise.
    `latency_seconds` is the 95th percentile of the time that one short message takes alone.
    """

    pieces: float
    pieces_p95: float
    fp32: float
    bf16: float | None
    pipelines: float
    zero_shot: float
    flops: float
    peak: float
    agreement: float
    bf16_agreement: float | None
    latency_seconds: float


def measure(texts: Sequence[str]) -> Speed:
    """Read `texts`, some of them short, in every way in turns. Takes about two minutes for 400."""
    threads = torch.get_num_threads()
    try:
        return _measure(texts)
    finally:
        torch.set_num_threads(threads)


def _measure(texts: Sequence[str]) -> Speed:
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    precisions: list[Precision] = ["fp32", "bf16"] if multiplies_bf16() else ["fp32"]
    scorers = {each: sentiment.load(threads=1, precision=each) for each in precisions}
    expected = _labels(MessageScorer([_Plain()]).score(texts))
    analyses = {each: _batches(scorers[each], texts) for each in precisions}
    agreement = {each: float((_labels(analyses[each]) == expected).mean()) for each in precisions}
    read = [text for text, said in zip(texts, analyses["fp32"], strict=True) if said.embedding is not None]
    lengths = _lengths(read)

    runs: dict[str, tuple[Run, Sequence[str]]] = {
        each: (partial(_batches, scorers[each]), texts) for each in precisions
    }
    runs["pipelines"] = (_pipelines(), _some(texts, PIPELINE_TEXTS))
    runs["zero_shot"] = (_zero_shot(), _some(texts, ZERO_SHOT_TEXTS))
    peak = _Peak()
    for run, some in runs.values():
        run(some[:1])
    seconds = dict.fromkeys(runs, 0.0)
    for _ in range(ROUNDS):
        peak.look()
        for name, (run, some) in runs.items():
            began = time.process_time()
            run(some)
            seconds[name] += time.process_time() - began
    speed = {name: ROUNDS * len(some) / seconds[name] for name, (_, some) in runs.items()}
    return Speed(
        pieces=float(np.mean([sum(each) for each in lengths])),
        pieces_p95=float(np.quantile([sum(each) for each in lengths], 0.95)),
        fp32=speed["fp32"],
        bf16=speed.get("bf16"),
        pipelines=speed["pipelines"],
        zero_shot=speed["zero_shot"],
        flops=ROUNDS * sum(map(operations, lengths)) / seconds["fp32"],
        peak=peak.flops,
        agreement=agreement["fp32"],
        bf16_agreement=agreement.get("bf16"),
        latency_seconds=_latency(scorers["fp32"], [text for text in texts if len(text) <= SHORT_CHARS]),
    )


def operations(windows: Sequence[int]) -> int:
    """Multiplications and additions in the encoder's linear layers and attention, for windows of these
    lengths."""
    linear = 2 * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER)
    return LAYERS * sum(length * (linear + 4 * length * WIDTH) for length in windows)


class _Plain(NetworkReader):
    """Reads with the network as it was trained, a text at a time: what every faster way must agree with."""

    def __init__(self) -> None:
        super().__init__()
        self._network, _ = load()

    @torch.inference_mode()
    def see(self, cleaned: Sequence[str]) -> tuple[Array, Array]:
        found = []
        for text in cleaned:
            windows, owners = self._pieces.windows([text])
            found.append(self._network(pack(windows, owners, 1)))
        seen, embeddings = (torch.cat(part).numpy() for part in zip(*found, strict=True))
        return seen, embeddings


def _batches(scorer: Scorer, texts: Sequence[str]) -> list[Analysis]:
    return [
        said for start in range(0, len(texts), BATCH) for said in scorer.score(texts[start : start + BATCH])
    ]


def _labels(analyses: Sequence[Analysis]) -> np.ndarray:
    """What is said of each message, by head: (messages, heads)."""
    return np.array(
        [
            [
                str(said.sentiment.label),
                " ".join(intent.label for intent in said.intents[:1]),
                " ".join(sorted(intent.label for intent in said.intents)),
                said.emotion.label if said.emotion else "",
                str((said.sarcasm or 0) >= 0.5),
                str((said.expects_reply or 0) >= 0.5),
            ]
            for said in analyses
        ]
    )


def _lengths(texts: Sequence[str]) -> list[list[int]]:
    """The lengths of each text's windows."""
    lengths: list[list[int]] = [[] for _ in texts]
    for window, owner in zip(*Pieces().windows([clean(text) for text in texts]), strict=True):
        lengths[owner].append(len(window))
    return lengths


def _some(texts: Sequence[str], count: int) -> list[str]:
    """As many, spread evenly over the lengths of all."""
    by_length = sorted(texts, key=len)
    return [by_length[(2 * i + 1) * len(texts) // (2 * count)] for i in range(count)]


def _latency(scorer: Scorer, texts: Sequence[str]) -> float:
    took = []
    for text in _some(texts, SINGLES):
        began = time.perf_counter()
        scorer.score([text])
        took.append(time.perf_counter() - began)
    return float(np.quantile(took, 0.95))


class _Peak:
    """The most operations per second that a square product of fp32 matrices was seen to reach."""

    def __init__(self) -> None:
        self.flops = 0.0
        a, b = torch.randn(2, SIDE, SIDE)
        laid_out = Linear(b, torch.zeros(SIDE))
        self._ways: tuple[Callable[[], object], ...] = (lambda: a @ b, lambda: laid_out(a))

    def look(self) -> None:
        with torch.inference_mode():
            for way in self._ways * 3:
                began = time.thread_time()
                way()
                self.flops = max(self.flops, 2 * SIDE**3 / (time.thread_time() - began))


def _pipelines() -> Run:
    """Three questions, three pipelines, one text at a time."""
    pipelines = [_pipeline("text-classification", count) for count in (len(SENTIMENTS), len(INTENTS), 2)]

    def run(texts: Sequence[str]) -> None:
        for text in texts:
            for pipeline in pipelines:
                pipeline(text, truncation=True)

    return run


def _zero_shot() -> Run:
    """As obsei's `ZeroShotClassificationAnalyzer` asks (obsei/analyzer/classification_analyzer.py): a
    zero-shot pipeline, several labels at once, each text cut to as many characters as the model has places,
    "positive" and "negative" added to the labels as is its default."""
    pipeline = _pipeline("zero-shot-classification", 3)
    labels = [*INTENTS, "positive", "negative"]

    def run(texts: Sequence[str]) -> None:
        pipeline([text[:POSITIONS] for text in texts], candidate_labels=labels, multi_label=True)

    return run


def _pipeline(task: Task, labels: int) -> Any:
    """A pipeline with an encoder of our shape; its weights, which are random, do not matter for its speed."""
    names = dict(
        enumerate(["contradiction", "neutral", "entailment"] if labels == 3 else map(str, range(labels)))
    )
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=ATTENTION_HEADS,
        intermediate_size=INNER,
        max_position_embeddings=POSITIONS,
        layer_norm_eps=EPSILON,
        id2label=names,
        label2id={name: i for i, name in names.items()},
    )
    model = transformers.BertForSequenceClassification(config).train(False)
    tokenizer = transformers.BertTokenizer(vocab=str(WORDS), model_max_length=POSITIONS)
    return transformers.pipeline(task, model=model, tokenizer=tokenizer, device="cpu")
