"""Any Hugging Face classifier in place of the default: tiny ones with random weights, made here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers.implementations import BertWordPieceTokenizer
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

import sentiment
from sentiment import Scorer
from sentiment.classifier import ClassifierError, sentiment_places
from sentiment.pieces import VOCABULARY

TEXTS = ["Where is my parcel?", "Wunderbar, vielen Dank für alles!", "", "x " * 3_000, "ok"]


def save(folder: Path, labels: list[str], *, safe: bool = True) -> str:
    torch.manual_seed(1)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=BertWordPieceTokenizer(str(VOCABULARY))._tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
    )
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        id2label=dict(enumerate(labels)),
    )
    model = BertForSequenceClassification(config)
    tokenizer.save_pretrained(folder)
    if safe:
        model.save_pretrained(folder)
    else:
        config.save_pretrained(folder)
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return str(folder)


def test_sentiment_comes_from_the_given_model(tmp_path: Path) -> None:
    scorer = sentiment.load(save(tmp_path / "tiny", ["NEG", "NEU", "POS"]))
    analyses = scorer.score(TEXTS)
    assert scorer.name.startswith("tiny@")
    assert len(analyses) == len(TEXTS)
    assert sum(analyses[0].sentiment.scores.values()) == pytest.approx(1, abs=1e-5)
    assert len(set(analyses[0].sentiment.scores.values())) == 3
    assert analyses[0].intents == ()
    assert "intents: no model was given for them" in analyses[0].abstained
    assert "sentiment: nothing was written" in analyses[2].abstained


def test_it_reads_every_language_since_nothing_is_known_of_it(tmp_path: Path) -> None:
    german = sentiment.load(save(tmp_path / "tiny", ["1 star", "5 stars"])).score(TEXTS)[1]
    assert german.language == "de"
    assert german.sentiment.label in ("negative", "positive")
    assert german.sentiment.scores["neutral"] == 0


def test_a_message_does_not_depend_on_its_neighbours(tmp_path: Path) -> None:
    scorer = sentiment.load(save(tmp_path / "tiny", ["LABEL_0", "LABEL_1", "LABEL_2"]))
    for together, text in zip(scorer.score(TEXTS), TEXTS, strict=True):
        [alone] = scorer.score([text])
        assert together.sentiment.scores == pytest.approx(alone.sentiment.scores, abs=1e-5)


def test_intents_may_come_from_another_model(tmp_path: Path) -> None:
    mood = save(tmp_path / "mood", ["negative", "neutral", "positive"])
    wants = save(tmp_path / "wants", ["Complaint", "refund return"])
    scorer = sentiment.load(mood, intent_model=wants)
    analysis = scorer.score(TEXTS)[0]
    assert "mood@" in scorer.name
    assert "wants@" in scorer.name
    assert [i.label for i in analysis.intents] in (["complaint"], ["refund_return"])
    assert analysis.intents[0].confidence >= 0.5


def test_the_default_intents_may_stand_beside_another_model(tmp_path: Path, scorer: Scorer) -> None:
    both = sentiment.load(save(tmp_path / "mood", ["neg", "pos"]), intent_model="default")
    texts = ["You charged my card twice, this is terrible!", TEXTS[1]]
    [english, german] = both.score(texts)
    assert both.name.endswith(f"+{scorer.name}")
    assert (
        [each.label for each in english.intents]
        == [each.label for each in scorer.score(texts)[0].intents]
        != []
    )
    assert german.sentiment.label is not None
    assert german.abstained == ("intents: language de is not one the model was trained for",)


def test_the_default_mood_may_stand_beside_other_intents(tmp_path: Path) -> None:
    scorer = sentiment.load(intent_model=save(tmp_path / "wants", ["complaint", "other"]))
    [_, german, *_] = scorer.score(TEXTS)
    assert german.intents != ()
    assert german.abstained == ("sentiment: language de is not one the model was trained for",)


@pytest.mark.parametrize(
    ("labels", "places"),
    [
        (["negative", "neutral", "positive"], [0, 1, 2]),
        (["POS", "NEU", "NEG"], [2, 1, 0]),
        (["Very Negative", "Negative", "Neutral", "Positive", "Very Positive"], [0, 0, 1, 2, 2]),
        (["1 star", "2 stars", "3 stars", "4 stars", "5 stars"], [0, 0, 1, 2, 2]),
        (["LABEL_0", "LABEL_1"], [0, 2]),
        (["LABEL_0", "LABEL_1", "LABEL_2"], [0, 1, 2]),
        (["LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3", "LABEL_4"], [0, 0, 1, 2, 2]),
    ],
)
def test_labels_are_read(labels: list[str], places: list[int]) -> None:
    assert sentiment_places(dict(enumerate(labels))) == places


@pytest.mark.parametrize(
    "labels", [["joy", "anger"], ["LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"], ["neutral", "positive"]]
)
def test_labels_that_mean_nothing_are_refused(labels: list[str]) -> None:
    with pytest.raises(ClassifierError, match="cannot read"):
        sentiment_places(dict(enumerate(labels)))


def test_a_model_of_other_intents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match="not intents of ours: joy"):
        sentiment.load("default", intent_model=save(tmp_path / "tiny", ["joy", "complaint"]))


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match="cannot be loaded"):
        sentiment.load(save(tmp_path / "tiny", ["neg", "pos"], safe=False))


def test_an_unknown_model_is_refused_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(ClassifierError, match="nobody/nothing"):
        sentiment.load("nobody/nothing")
