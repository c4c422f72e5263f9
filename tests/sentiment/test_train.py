"""The whole recipe on a handful of rows: it learns, rounds, calibrates, and what it wrote reads."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sentiment import SENTIMENTS, train
from sentiment.examples import BENCHMARKS, Example, target
from sentiment.heads import PRODUCT, SENTIMENT, Head
from sentiment.model import NetworkReader
from sentiment.network import Network, pack
from sentiment.pieces import Pieces
from sentiment.teacher import HEADS as TAUGHT
from sentiment.teacher import Answers
from sentiment.weights import FOLDER, WeightsError

HEADS = {**PRODUCT, **BENCHMARKS}
MOODS = {
    "negative": ["this is awful and i hate it", "worst day ever", "so angry", "terrible, never again"],
    "neutral": ["the shop opens at nine", "the train leaves from track two", "it is a table", "page three"],
    "positive": ["i love this so much", "what a wonderful day", "happy and grateful", "great, the best ever"],
}
WISHES = Head("wishes", "one", ("rain", "time"))
ASKED = [
    Example("will it rain", {"wishes": target(WISHES, ["rain"])}, 3),
    Example("what time is it", {"wishes": target(WISHES, ["time"])}, 3),
]


def moods(times: float) -> list[Example]:
    return [
        Example(text, {"sentiment": target(SENTIMENT, [mood])}, times)
        for mood, texts in MOODS.items()
        for text in texts
    ]


def every_head() -> list[Example]:
    """Each label of each head twice, so that there is something to calibrate on."""
    return [
        Example(f"text {turn} {head.name} {label}", {head.name: target(head, [label])}, 1)
        for head in HEADS.values()
        for label in head.labels
        for turn in range(2)
    ]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe, with a handful of rows in place of its sets to calibrate on."""
    monkeypatch.setattr(train, "validation", lambda data: [*moods(1), *every_head()])
    monkeypatch.setattr(train, "PIECES_PER_STEP", 64)


@pytest.mark.usefixtures("few")
def test_it_learns_and_what_it_writes_reads(tmp_path: Path) -> None:
    kept = tmp_path / "network.safetensors"
    rows = [*moods(25), *ASKED]
    train.keep(train.mean([train.train(rows, {"wishes": WISHES}, kept, seed) for seed in (1, 2)]), kept)
    state = load_file(kept)
    # Words keep their vectors: only what is done with them is learnt.
    first = train.origin({"a": 1})
    assert torch.equal(state["encoder.words.weight"], first.encoder.words.weight)
    assert not torch.equal(state["encoder.layers.0.qkv.weight"], first.encoder.layers[0].qkv.weight)

    folder = tmp_path / "weights"
    folder.mkdir()
    shutil.copy(FOLDER / "vocabulary.txt", folder)
    card = train.finish(kept, tmp_path, folder)
    assert {each.head.name for each in card.heads} == set(HEADS)
    shares = NetworkReader(folder=folder).read(["i hate it", "the shop is a table", "i love it"]).shares
    assert [SENTIMENTS[i] for i in shares["sentiment"].argmax(axis=1)] == list(SENTIMENTS)


@pytest.mark.usefixtures("few")
def test_a_run_from_a_network_goes_on_where_that_is(tmp_path: Path) -> None:
    kept = tmp_path / "network.safetensors"
    first = train.train(moods(25), {}, kept, 1)
    before = {name: tensor.clone() for name, tensor in first.state_dict().items()}
    after = train.train(moods(3), {}, kept, 2, first).state_dict()
    fresh = train.origin({name: len(head.labels) for name, head in HEADS.items()}).state_dict()
    for name in ("encoder.layers.5.up.weight", "heads.sentiment.weight"):
        moved, origin_away = (after[name] - before[name]).norm(), (before[name] - fresh[name]).norm()
        assert 0 < moved < origin_away / 2


@pytest.mark.usefixtures("few")
def test_the_recipe_takes_over_what_the_teacher_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its runs; the teacher here holds everything for irony, of which no row says anything."""
    tweets = [Example(f"{row.text}, {row.text}", row.targets, row.times) for row in moods(12)]
    monkeypatch.setattr(train, "examples", lambda data: iter([*tweets, *ASKED]))
    monkeypatch.setattr(train, "classes", lambda data: {"wishes": WISHES})
    asked: list[str] = []

    def teach(rows: list[Example], folder: Path, seed: int) -> list[Answers]:
        asked.extend(row.text for row in rows)
        ironic = {name: np.eye(1, len(head.labels), 1, np.float32)[0] for name, head in TAUGHT.items()}
        return [{} if "wishes" in row.targets else ironic for row in rows]

    monkeypatch.setattr(train, "teach", teach)
    kept = tmp_path / "network.safetensors"
    train.recipe(tmp_path, kept)
    assert asked[: len(tweets) + 2] == [row.text for row in [*tweets, *ASKED]]
    assert len(asked) > len(tweets) + 2
    network = Network({name: len(head.labels) for name, head in HEADS.items()})
    network.load_state_dict(load_file(kept))
    windows, owners = Pieces().windows([row.text for row in tweets])
    with torch.inference_mode():
        logits = network.logits(network.train(False)(pack(windows, owners, len(tweets)))[0])
    assert (logits["irony"].argmax(dim=1) == 1).all()


def test_the_mean_of_networks_is_between_them() -> None:
    networks = [train.origin({"a": 2}) for _ in range(2)]
    heads = [network.head("a").weight.detach().clone() for network in networks]
    found = train.mean(networks)
    assert torch.equal(found.head("a").weight, (heads[0] + heads[1]) / 2)
    assert not torch.equal(heads[0], heads[1])
    assert torch.equal(found.encoder.words.weight, train.origin({"a": 2}).encoder.words.weight)


def test_nothing_is_hidden_but_words() -> None:
    draw = random.Random(3)
    window = [101, *range(2000, 2200), 102]
    hidden = train._masked(window, draw)
    assert (hidden[0], hidden[-1], len(hidden)) == (101, 102, len(window))
    changed = [new for old, new in zip(window, hidden, strict=True) if old != new]
    assert set(changed) == {train.HIDDEN}
    assert 10 <= len(changed) <= 35


def test_the_origin_is_the_published_encoder_with_its_mean_as_embedding() -> None:
    """Neighbours in meaning are neighbours in the embedding before anything is learnt."""
    network = train.origin({"a": 1}).train(False)
    windows, owners = Pieces().windows(["where is my parcel", "my package has not come", "i like jazz"])
    with torch.inference_mode():
        _, embeddings = network(pack(windows, owners, 3))
    near, far = embeddings[0] @ embeddings[1], embeddings[0] @ embeddings[2]
    assert near > far + 0.3


def test_another_file_is_not_taken_for_the_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "ORIGIN_SHA256", "0" * 64)
    with pytest.raises(WeightsError, match="not the published file"):
        train.origin({"a": 1})


def test_what_has_no_anchor_may_go_where_it_will() -> None:
    embeddings = torch.nn.functional.normalize(torch.randn(3, 8), dim=1)
    assert train._astray(embeddings, [None, None, None]).item() == 0
    assert train._astray(embeddings, [embeddings[0], None, -embeddings[2]]).item() == pytest.approx(2 / 3)


def test_a_network_has_the_heads_it_was_asked_for() -> None:
    network = Network({"a": 2, "b": 5})
    windows, owners = Pieces().windows(["one", "two"])
    seen, _ = network(pack(windows, owners, 2))
    assert {name: tuple(found.shape) for name, found in network.logits(seen).items()} == {
        "a": (2, 2),
        "b": (2, 5),
    }
