"""The whole recipe on a handful of rows: it trains, measures and writes its card."""

from __future__ import annotations

import gzip
import json
from itertools import cycle
from pathlib import Path

import pytest

from sentiment import SENTIMENTS, datasets, train
from sentiment.card import render
from sentiment.evaluate import measure
from sentiment.features import Features
from sentiment.heads import load_heads

MOODS = {
    "negative": [
        "this is awful and i hate it",
        "worst day ever",
        "so angry and disappointed",
        "terrible, never again",
    ],
    "neutral": [
        "the shop opens at nine",
        "the train leaves from track two",
        "it is a table",
        "page three of five",
    ],
    "positive": ["i love this so much", "what a wonderful day", "happy and grateful", "great, the best ever"],
}
TOPICS = {
    "delivery_status": ["where is my parcel", "my order has not arrived", "track my package"],
    "refund_return": ["i want my money back", "how do i return this", "refund my order please"],
}
TOPIC_SETS = ("banking77", "bitext_cs", "clinc150")


def write(path: Path, header: str, rows: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in [header, *rows])


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    moods = [f"{text} {n}\t{mood}" for n in range(4) for mood, texts in MOODS.items() for text in texts]
    topics = [f"{text} {n}" for n in range(3) for texts in TOPICS.values() for text in texts]
    names = cycle([name for name, texts in TOPICS.items() for _ in texts])
    labelled = [f"{text}\t{name}" for text, name in zip(topics, names, strict=False)]
    write(tmp_path / "tweeteval_sentiment/train_semeval17.tsv.gz", "text\tlabel", moods[:36])
    for name in ("tweeteval_sentiment/val", "tweeteval_sentiment/test"):
        write(tmp_path / f"{name}.tsv.gz", "text\tlabel", moods[36:])
    for language in datasets.UMSAB.values():
        write(tmp_path / f"umsab/{language}_test.tsv.gz", "text\tlabel", moods[36:])
    for name, split in [
        ("banking77", "train"),
        ("banking77", "test"),
        ("clinc150", "train"),
        ("clinc150", "test"),
    ]:
        write(tmp_path / name / f"{split}.tsv.gz", "text\tlabel", labelled)
    write(tmp_path / "bitext_cs/all.tsv.gz", "text\tintent", labelled)
    mapping = {name: {topic: topic for topic in TOPICS} for name in TOPIC_SETS}
    (tmp_path / "intent_mapping.json").write_text(json.dumps({"codes": {t: t for t in TOPICS}, **mapping}))
    write(tmp_path / "complaints19/all.tsv.gz", "text\tlabel", ["awful\tcomplaint", "hello\tnot"])
    write(tmp_path / "suggestion19/test.tsv.gz", "text\tlabel", ["please add tabs\tsuggestion", "hello\tnot"])
    write(
        tmp_path / "appreviews/all.tsv.gz",
        "text\tlabel",
        ["it crashes\tbug report", "add tabs\tfeature request", "nice\trating"],
    )
    queues = ["Billing and Payments", "Returns and Exchanges", "Technical Support", "Sales and Pre-Sales"]
    write(
        tmp_path / "tickets_multilang/a.tsv.gz",
        "language\tsubject\tbody\tqueue",
        [*(f"en\tHello\tI have a question\t{queue}" for queue in queues), "de\tHallo\tEine Frage\tRest"],
    )
    some = datasets.invented()[::20]
    monkeypatch.setattr(datasets, "invented", lambda: some)
    return tmp_path


def test_trains_measures_and_writes_a_card(data: Path) -> None:
    features = Features(data / "cache")
    heads = train.train(data, features)
    path = data / "heads.safetensors"
    heads.save(path)
    heads = load_heads(path)
    shares = heads.sentiment(heads.prepare(features.of(["i hate it", "the door is there", "i love it"], "")))
    assert [SENTIMENTS[i] for i in shares.argmax(axis=1)] == list(SENTIMENTS)

    figures = measure(heads, data, features)
    assert figures["sentiment"]["macro_recall"] > 0.9
    assert figures["languages"]["en"]["rows"] == 12
    assert figures["unseen_domains"]["tickets_multilang"]["rows"] == 4
    card = render(figures)
    assert "# Model card: minilm-l6-heads-1" in card
    assert "nan" not in card


def test_the_second_time_texts_come_from_the_cache(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["one", "two 😡"]
    first = Features(data / "cache").of(texts, "")
    again = Features(data / "cache")
    monkeypatch.delattr(again, "_encoder")
    assert (again.of(texts, "") == first).all()
