"""What the network learns from, and the invented messages themselves."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sentiment import EMOTIONS, INTENTS, SENTIMENTS
from sentiment.examples import (
    Example,
    classes,
    examples,
    held_out,
    invented,
    of_message,
    parts,
    target,
    validation,
)
from sentiment.heads import INTENT, REPLY, SARCASM, SENTIMENT

VOICES = {"tweet", "mail", "chat", "ticket", "review"}


def write(path: Path, *rows: str, header: str = "text\tlabel") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in [header, *rows])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Every set that is learnt from or calibrated on, a row or two each."""
    for name, rows in {
        "tweeteval_sentiment/train_semeval17": [
            "i hate it\tnegative",
            "forty characters which both of them share 1\tpositive",
        ],
        "tweeteval_sentiment/val": ["forty characters which both of them share 2\tpositive", "new\tneutral"],
        "tweeteval_emotion/train": ["furious\tanger"],
        "tweeteval_emotion/val": ["happy\tjoy"],
        "tweeteval_irony/train": ["oh great\tirony"],
        "tweeteval_irony/val": ["it rains\tnon_irony"],
        "tweeteval_offensive/train": ["you fool\toffensive"],
        "tweeteval_offensive/val": ["hello\tnot-offensive"],
        "goemotions/train": ["thanks, wow\tgratitude,surprise"],
        "goemotions/dev": ["hm\tneutral"],
        "isarcasm/train_en": ["sure, lovely\t1", "a table\t0"],
        "clinc150/train": ["will it rain\tweather", "who built rome\toos"],
        "hwu64/train": ["wake me\talarm_set"],
    }.items():
        write(tmp_path / f"{name}.tsv.gz", *rows)
    write(
        tmp_path / "bitext_cs/all.tsv.gz",
        "where is it\tORDER\ttrack_order",
        header="text\tcategory\tintent",
    )
    return tmp_path


def test_every_set_is_learnt_and_none_is_both_learnt_and_validated(data: Path) -> None:
    learnt, kept = list(examples(data)), list(validation(data))
    heads = Counter(name for row in learnt for name in row.targets)
    assert heads.keys() >= {
        "sentiment",
        "feeling",
        "irony",
        "offensive",
        "clinc150",
        "hwu64",
        "bitext_cs",
        "topic",
    }
    assert not {row.text for row in learnt} & {row.text for row in kept}
    assert {row.text for row in kept} >= {"new", "happy", "it rains", "hello", "hm"}


def test_a_validation_tweet_that_begins_like_a_training_tweet_is_left_out(data: Path) -> None:
    assert "forty characters which both of them share 2" not in {row.text for row in validation(data)}


def test_several_emotions_of_one_row_are_all_wanted(data: Path) -> None:
    [row] = [row for row in examples(data) if row.text == "thanks, wow"]
    wanted = row.targets["emotion"].truth
    assert [EMOTIONS[i] for i in np.flatnonzero(wanted)] == ["gratitude", "surprise"]


def test_classes_are_those_of_the_sets(data: Path) -> None:
    assert classes(data)["clinc150"].labels == ("oos", "weather")
    assert classes(data)["bitext_cs"].labels == ("track_order",)


@pytest.mark.parametrize(
    ("intents", "topic"),
    [(["refund_return", "complaint"], "refund_return"), (["complaint"], "complaint")],
)
def test_the_first_intent_is_the_topic(intents: Sequence[str], topic: str) -> None:
    row = {
        "sentiment": "negative",
        "intents": intents,
        "emotion": "anger",
        "sarcasm": False,
        "expects_reply": True,
    }
    found = of_message(row)
    assert [INTENTS[i] for i in np.flatnonzero(found["topic"].truth)] == [topic]
    assert [INTENTS[i] for i in np.flatnonzero(found["intents"].truth)] == sorted(intents, key=INTENTS.index)
    assert (found["sarcasm"].truth == target(SARCASM, ()).truth).all()
    assert (found["reply"].truth == target(REPLY, REPLY.labels).truth).all()


def test_a_part_of_a_tweet_is_a_run_of_its_words_that_nobody_labelled() -> None:
    text = "one two three four five six seven eight nine ten"
    tweet = Example(text, {"sentiment": target(SENTIMENT, ["neutral"])}, 2)
    mocking = Example(text, {"sarcasm": target(SARCASM, ())}, 2)
    short = Example("too short to cut it", tweet.targets, 2)
    found = list(parts([tweet, mocking, short, *[tweet] * 50], 3))
    assert len(found) == 51
    for each in found:
        assert each.text in text
        assert 4 <= len(each.text.split()) <= 8
        assert each.targets == {}
        assert each.times > 0
    assert len({each.text for each in found}) > 10
    assert [each.text for each in parts([tweet] * 9, 3)] == [each.text for each in found[:9]]


def test_an_unknown_label_is_an_error() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        target(INTENT, ["refunds"])


class TestInventedMessages:
    """`sentiment/data/messages` keeps to `LABELS.md`."""

    rows: Sequence[dict[str, Any]] = invented()

    def test_every_row_has_every_label(self) -> None:
        for row in self.rows:
            assert row["text"].strip()
            assert 1 <= len(row["intents"]) <= 3
            assert set(row["intents"]) <= set(INTENTS), row
            assert row["sentiment"] in SENTIMENTS, row
            assert row["emotion"] in EMOTIONS, row
            assert row["voice"] in VOICES, row
            assert {type(row["sarcasm"]), type(row["expects_reply"])} == {bool}, row

    def test_every_intent_is_a_topic_often_enough_to_learn(self) -> None:
        topics = Counter(row["intents"][0] for row in self.rows)
        assert len(self.rows) >= 3000
        assert min(topics[intent] for intent in INTENTS) >= 100, topics

    def test_no_message_is_there_twice(self) -> None:
        texts = Counter(" ".join(row["text"].casefold().split()) for row in self.rows)
        assert [text for text, times in texts.items() if times > 1] == []

    def test_a_tenth_is_kept_from_training(self) -> None:
        assert 0.08 < sum(held_out(row["text"]) for row in self.rows) / len(self.rows) < 0.12
