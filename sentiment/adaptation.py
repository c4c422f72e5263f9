"""How a workspace adapts the model to its own customers.

Three things on top of the shipped weights make one `Adaptation`: a calibration of the sentiment by labelled
messages (`calibrate`), heads refitted to corrections (`refit`), and taught intents (`Taught`). An adaptation
never changes, is small and is stored as bytes; `MessageScorer.adapted` reads through it with the network that
is already loaded. All three are learnt from what a model sees of messages, `MessageScorer.see`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sentiment.figures import calibration_error, macro_recall
from sentiment.heads import PRODUCT, Affine, Array, Head, LinearHead, log_softmax
from sentiment.taught import AdaptationError, Taught
from sentiment.types import SENTIMENTS, SentimentLabel

__all__ = [
    "Adaptation",
    "AdaptationError",
    "Calibration",
    "Figures",
    "Refit",
    "Seen",
    "Taught",
    "calibrate",
    "held_back",
    "refit",
]

FEWEST_LABELS = 30
FOLDS = 5
SCALE_SPREAD, SHIFT_SPREAD = 0.25, 0.5
"""How far from 1 and 0 a workspace's scale and shifts are expected to be: standard deviations of normal
priors, which are a ridge towards changing nothing. Of five pairs up to (1, 2) these had the least loss from
30 and from 100 labels, on two foreign domains (reviews of restaurants and of laptops) and on the tweets where
there is nothing to learn; with 300 labels they made no difference. So did one scale for all labels, against
one for each or a full matrix."""

FEWEST_CORRECTIONS = 30
FEWEST_HELD_BACK = 5
HELD_BACK = 0.2
"""Share of the corrections that a refitted head is judged by and does not learn from."""
WEIGHT_SPREAD = 1.0
"""The same for the weights of a refit, in how far they move a typical message's logits. There 1 had less loss
than 0.3, 0.5 and 2 from 600 rows and about the same from 100."""
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a model sees of some texts and says of them, as it stands: all that an adaptation is learnt from.

    `embeddings` are (texts, width), of unit length. By name of the head: `inputs` (texts, width) is what the
    head sees, `log_shares` (texts, labels) what it says (`LinearHead.log_shares`), `heads` the head itself.
    `objections` tells why the model does not read a text, None where it does: there is nothing to read, or it
    is in a language that the model does not know. Such texts have their rows, but should teach nothing.
    """

    embeddings: Array
    inputs: Mapping[str, Array]
    log_shares: Mapping[str, Array]
    heads: Mapping[str, LinearHead]
    objections: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Adaptation:
    """What a workspace taught the model; an empty one changes nothing.

    `heads` are weight (labels, width) and bias (labels,) of refitted heads by name, calibration included as
    in `LinearHead`; `sentiment` comes after them.
    """

    sentiment: Affine | None = None
    heads: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    taught: Taught = field(default_factory=Taught)

    def of(self, shipped: Mapping[str, LinearHead]) -> dict[str, LinearHead]:
        """The product's heads with this adaptation. Raises: AdaptationError, where it was made for others."""
        heads = {name: head for name, head in shipped.items() if name in PRODUCT}
        for name, (weight, bias) in self.heads.items():
            old = heads.get(name)
            if old is None or (weight.shape, bias.shape) != (old.weight.shape, old.bias.shape):
                raise AdaptationError(f"the refitted head {name!r} is one of another model")
            heads[name] = LinearHead(old.head, weight, bias, old.thresholds)
        if self.sentiment is not None:
            heads["sentiment"] = heads["sentiment"].mapped(self.sentiment)
        width = next(iter(heads.values())).weight.shape[1]
        if any(rows.shape[1] != width for rows in self.taught.examples.values()):
            raise AdaptationError("the taught intents are those of another model")
        return heads

    def to_bytes(self) -> bytes:
        """A safetensors file: each tensor is named by what it is, a slash and whose it is."""
        tensors = {f"taught/{name}": rows for name, rows in self.taught.examples.items()}
        tensors |= {f"named/{name}": row for name, row in self.taught.named.items()}
        for name, (weight, bias) in self.heads.items():
            tensors |= {f"weight/{name}": weight, f"bias/{name}": bias}
        if self.sentiment is not None:
            tensors |= {"scale/sentiment": self.sentiment.scale, "shift/sentiment": self.sentiment.shift}
        return save({name: np.ascontiguousarray(each, np.float32) for name, each in tensors.items()})

    @classmethod
    def from_bytes(cls, raw: bytes) -> Adaptation:
        """Raises: AdaptationError, where these are not the bytes of an adaptation."""
        try:
            tensors = load(raw)
        except (SafetensorError, ValueError, KeyError) as error:
            raise AdaptationError(f"these are not the bytes of an adaptation: {error}") from error

        def take(name: str, *shape: int | None) -> Array:
            found = tensors.pop(name, None)
            if found is None:
                raise AdaptationError(f"the adaptation has no {name!r}")
            if found.dtype != np.float32 or not np.isfinite(found).all():
                raise AdaptationError(f"the adaptation's {name!r} is not made of finite fp32 numbers")
            if found.ndim != len(shape) or any(
                wanted not in (None, size) for wanted, size in zip(shape, found.shape, strict=True)
            ):
                raise AdaptationError(f"the adaptation's {name!r} has the shape {found.shape}")
            return found

        affine, heads, taught = None, {}, Taught()
        if "scale/sentiment" in tensors:
            size = len(SENTIMENTS)
            affine = Affine(take("scale/sentiment", size), take("shift/sentiment", size))
        for name, head in PRODUCT.items():
            if f"weight/{name}" in tensors:
                size = len(head.labels)
                heads[name] = (take(f"weight/{name}", size, None), take(f"bias/{name}", size))
        for key in [key for key in tensors if key.startswith("taught/")]:
            name = key.removeprefix("taught/")
            named = take(f"named/{name}", None) if f"named/{name}" in tensors else None
            taught = taught.with_intent(name, take(key, None, None), named)
        if tensors:
            raise AdaptationError(f"the adaptation has parts not known here: {', '.join(sorted(tensors))}")
        return cls(affine, heads, taught)


@dataclass(frozen=True, slots=True)
class Figures:
    """How well a head does on `rows` messages, all of 0..1 but the loss.

    `accuracy`: how often the likeliest label is right; of a head that says any, how often all that it says is
    right and all that is right is said. `macro_recall`: the share of its messages that a label was said of,
    mean over the labels. `calibration_error` as in `sentiment.figures`. `loss`: negative log likelihood of a
    message, in nats.
    """

    rows: int
    accuracy: float
    macro_recall: float
    calibration_error: float
    loss: float


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """`after` is measured on rows that the map which is measured did not learn from."""

    affine: Affine
    before: Figures
    after: Figures

    @property
    def improved(self) -> bool:
        """Whether the calibrated shares are likelier."""
        return self.after.loss < self.before.loss


def calibrate(log_shares: Array, labels: Sequence[SentimentLabel]) -> Calibration:
    """One scale and a shift for each sentiment, from messages that somebody labelled.

    `log_shares` (texts, labels) is what the model says of the messages, in `Seen`.

    Raises: AdaptationError, where there are fewer than `FEWEST_LABELS`, or one sentiment has no message.
    """
    if len(log_shares) != len(labels):
        raise AdaptationError(f"{len(labels)} labels were given for {len(log_shares)} messages")
    if len(labels) < FEWEST_LABELS:
        raise AdaptationError(
            f"calibration takes at least {FEWEST_LABELS} labelled messages, these are {len(labels)}"
        )
    missing = [label for label in SENTIMENTS if label not in labels]
    if missing:
        raise AdaptationError(f"no message is labelled {' or '.join(missing)}")
    logits = log_shares.astype(np.float64)
    right = np.array([SENTIMENTS.index(label) for label in labels])
    truth = np.eye(len(SENTIMENTS))[right]
    fold = np.empty(len(labels), int)
    for label in np.unique(right):
        fold[right == label] = np.arange((right == label).sum()) % FOLDS
    mapped = np.empty_like(logits)
    for k in range(FOLDS):
        scale, shift = _affine(logits[fold != k], truth[fold != k])
        mapped[fold == k] = logits[fold == k] * scale + shift
    scale, shift = _affine(logits, truth)
    before, after = (_figures_of_one(log_softmax(each), truth) for each in (logits, mapped))
    affine = Affine(np.full(len(SENTIMENTS), scale, np.float32), shift.astype(np.float32))
    return Calibration(affine, before, after)


@dataclass(frozen=True, slots=True, eq=False)
class Refit:
    """New weights of a head, for `Adaptation.heads`; `learnt` counts the rows that they learnt from.

    `before` and `after` are measured on the rows held back.
    """

    weight: Array
    bias: Array
    learnt: int
    before: Figures
    after: Figures

    @property
    def improved(self) -> bool:
        """Whether the new weights may be used: on the rows held back the truth is likelier and no fewer
        answers are right."""
        return self.after.loss < self.before.loss and self.after.accuracy >= self.before.accuracy


def refit(
    inputs: Array, base: LinearHead, truth: Array, keys: Sequence[str], asked: Array | None = None
) -> Refit:
    """The head `base` fitted to what people say of messages, near to what it is.

    `inputs` (texts, width) is what the head sees of them, in `Seen`. `truth` (texts, labels) is the share
    that each label should have, mostly 0 or 1; `asked` is 0 where nobody knows, by default everything is
    known. `keys` decide which rows are held back, always the same: give messages of the same words the same
    key. Corrections alone are the model's mistakes: give it messages that were left as they are too, with its
    own answers as the truth, or it unlearns what it knew.

    Raises: AdaptationError, where there are fewer than `FEWEST_CORRECTIONS` rows, or hardly any to hold back.
    """
    asked = np.ones_like(truth) if asked is None else asked
    held = np.array([held_back(key) for key in keys], bool)
    if len(inputs) < FEWEST_CORRECTIONS or held.sum() < FEWEST_HELD_BACK:
        raise AdaptationError(
            f"a refit takes at least {FEWEST_CORRECTIONS} messages, {FEWEST_HELD_BACK} of them held back; "
            f"these are {len(inputs)}, {held.sum()} of them held back"
        )
    weight, bias = _linear(base, inputs[~held], truth[~held], asked[~held])
    new = LinearHead(base.head, weight, bias, base.thresholds)
    before, after = (_figures(head, inputs[held], truth[held], asked[held]) for head in (base, new))
    return Refit(weight, bias, int((~held).sum()), before, after)


def held_back(key: str) -> bool:
    """Whether the message of this key judges refits and never teaches them."""
    digest = sha256(key.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4]) < HELD_BACK * 2**32


def _affine(logits: Numbers, truth: Numbers) -> tuple[float, Numbers]:
    """One scale, and a shift for each label."""
    spread = np.array([SCALE_SPREAD, *[SHIFT_SPREAD] * logits.shape[1]])

    def parameters(steps: Numbers) -> Numbers:
        found: Numbers = np.eye(len(steps))[0] + spread * steps
        return found

    def gradient(steps: Numbers) -> Numbers:
        scale, *shift = parameters(steps)
        wrong = np.exp(log_softmax(logits * scale + shift)) - truth
        found: Numbers = spread * np.array([(wrong * logits).sum(), *wrong.sum(axis=0)]) + steps
        return found

    curved = 0.5 * (SCALE_SPREAD**2 * (logits**2).sum() + SHIFT_SPREAD**2 * len(logits))
    scale, *shift = parameters(_minimum(gradient, np.zeros(len(spread)), 1 + curved))
    return float(scale), np.array(shift)


def _linear(base: LinearHead, inputs: Array, truth: Array, asked: Array) -> tuple[Array, Array]:
    """Weight and bias."""
    size = np.sqrt((inputs.astype(np.float64) ** 2).sum(axis=1).mean())
    rows = np.concatenate([inputs / size, np.ones((len(inputs), 1))], axis=1)
    start = np.concatenate([base.weight * size, base.bias[:, None]], axis=1).astype(np.float64)

    def gradient(steps: Numbers) -> Numbers:
        logits = rows @ (start + WEIGHT_SPREAD * steps).T
        found: Numbers = WEIGHT_SPREAD * ((_shares(base.head, logits) - truth) * asked).T @ rows + steps
        return found

    curved = (
        (0.5 if base.head.kind == "one" else 0.25) * WEIGHT_SPREAD**2 * float(np.linalg.norm(rows, 2)) ** 2
    )
    found: Numbers = start + WEIGHT_SPREAD * _minimum(gradient, np.zeros_like(start), 1 + curved)
    return (found[:, :-1] / size).astype(np.float32), found[:, -1].astype(np.float32)


def _minimum(gradient: Callable[[Numbers], Numbers], start: Numbers, curved: float) -> Numbers:
    """Where a convex function is least, of a curvature of 1 to `curved`: Nesterov's method, with restarts
    (O'Donoghue and Candès 2015)."""
    here = ahead = start
    pace = 1.0
    for _ in range(5_000):
        slope = gradient(ahead)
        if np.abs(slope).max() < 1e-4:
            break
        there = ahead - slope / curved
        if np.vdot(slope, there - here) > 0:
            pace = 1.0
        faster = (1 + np.sqrt(1 + 4 * pace**2)) / 2
        ahead = there + (pace - 1) / faster * (there - here)
        here, pace = there, faster
    return ahead


def _figures(head: LinearHead, inputs: Array, truth: Array, asked: Array) -> Figures:
    log_shares = head.log_shares(inputs).astype(np.float64)
    if head.head.kind == "one":
        return _figures_of_one(log_shares, truth)
    shares, yes, known = _shares(head.head, log_shares), truth >= 0.5, asked > 0
    said = shares >= np.array(head.thresholds)
    losses = asked * (np.logaddexp(0, log_shares) - truth * log_shares)
    recalls = [(s[y & k]).mean() for s, y, k in zip(said.T, yes.T, known.T, strict=True) if (y & k).any()]
    return Figures(
        rows=len(inputs),
        accuracy=float(((said == yes) | ~known).all(axis=1).mean()),
        macro_recall=float(np.mean(recalls)) if recalls else 1.0,
        calibration_error=calibration_error(shares[known].astype(np.float32), yes[known]),
        loss=float(losses.sum(axis=1).mean()),
    )


def _figures_of_one(log_shares: Numbers, truth: NDArray[np.floating]) -> Figures:
    said, right = log_shares.argmax(axis=1), truth.argmax(axis=1)
    return Figures(
        rows=len(truth),
        accuracy=float((said == right).mean()),
        macro_recall=macro_recall(said, right),
        calibration_error=calibration_error(np.exp(log_shares.max(axis=1)).astype(np.float32), said == right),
        loss=float(-(truth * log_shares).sum(axis=1).mean()),
    )


def _shares(head: Head, logits: Numbers) -> Numbers:
    found: Numbers = np.exp(log_softmax(logits)) if head.kind == "one" else 0.5 * (1 + np.tanh(0.5 * logits))
    return found
