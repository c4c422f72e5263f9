"""What is measured of taught intents, on small sets whose answers are known."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sentiment import evaluate_taught
from sentiment.adaptation import Seen
from sentiment.heads import Array

WIDTH = 256
LABELS = [f"intent {i}" for i in range(12)]


class Words:
    """Sees which words a text has."""

    def see(self, texts: Sequence[str]) -> Seen:
        return Seen(np.array([self._bag(text) for text in texts]), {}, {}, {}, (None,) * len(texts))

    def _bag(self, text: str) -> Array:
        found = np.zeros(WIDTH, np.float32)
        for word in text.split():
            rng = np.random.default_rng(zlib.crc32(word.encode()))
            found += rng.normal(size=WIDTH).astype(np.float32)
        unit: Array = found / np.linalg.norm(found)
        return unit


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"{text}\t{label}\n" for text, label in [("text", "label"), *rows])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three of the first intent's nine questions are about another's matter."""
    asked = [(f"please matter{i} question{j}", LABELS[i]) for i in range(12) for j in range(9)]
    asked[:9:3] = [(f"please matter1 question{j}", LABELS[0]) for j in range(3)]
    taught = [(f"please matter{i} example{j}", LABELS[i]) for i in range(12) for j in range(10)]
    write(tmp_path / "banking77/train_10shot.tsv.gz", taught)
    write(tmp_path / "banking77/test.tsv.gz", asked)
    for name in ("tweeteval_sentiment", "clinc150"):
        others = [(f"{name}{i} something{i} else{i} please", "?") for i in range(100)]
        write(tmp_path / name / "test.tsv.gz", others)
    return tmp_path


def test_the_figures_count_what_they_say(data: Path) -> None:
    figures = evaluate_taught.few_shot(Words(), data)
    together = figures["together"]
    assert (together["intents"], together["rows"]) == (12, 108)
    assert together["accuracy"] == pytest.approx(105 / 108)
    assert together["right_when_named"] == pytest.approx(105 / 108, abs=0.01)
    assert [(each["intents"], each["examples"]) for each in figures["lessons"]] == [
        (1, 5),
        (1, 10),
        (3, 5),
        (3, 10),
        (10, 5),
        (10, 10),
    ]
    for lesson in figures["lessons"]:
        assert lesson["rows"] == 8_000
        assert lesson["found"] > 0.9
        assert lesson["others_named"] == 0
        # The three: mistaken where both matters are taught, neighbours where only the other is.
        assert lesson["mistaken"] + lesson["neighbours_named"] < 0.1
        assert lesson["calibration_error"] < 0.1


def test_the_same_seed_gives_the_same_figures(data: Path) -> None:
    assert evaluate_taught.few_shot(Words(), data) == evaluate_taught.few_shot(Words(), data)
