"""The whole measurement on a handful of rows: everything is measured, and the card tells it."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console
from rich.progress import Progress

from sentiment import behaviour, bench, datasets, evaluate, evaluate_messages, examples, goals, testset
from sentiment.card import pictures, render
from sentiment.instruments import Figures

MOODS = {
    "negative": ["this is awful and i hate it", "worst day ever", "so angry and disappointed", "terrible"],
    "neutral": ["the shop opens at nine", "the train leaves from track two", "it is a table", "page three"],
    "positive": ["i love this so much", "what a wonderful day", "happy and grateful", "great, the best ever"],
}
FEELINGS = {
    "anger": ["i am furious", "so angry right now"],
    "joy": ["i am so happy", "what a lovely day"],
    "optimism": ["it will all be fine", "tomorrow will be better"],
    "sadness": ["i feel so sad", "i cannot stop crying"],
}
WISHES = {
    "balance": ["how much money do i have", "what is my balance"],
    "translate": ["how do you say hello in french", "translate this to spanish"],
    "weather": ["will it rain tomorrow", "what is the weather like"],
}
ODDITIES = {"oos": ["who built the pyramids", "how tall is my uncle"]}
SPEED = bench.Speed(50, 160, 100, None, 10, 2, 6e9, 1e10, 1, None, 0.01)

Labelled = dict[str, list[str]]


def write(path: Path, header: str, rows: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in [header, *rows])


def labelled(sets: Labelled, copies: int) -> list[str]:
    return [
        f"{text} {n or ''}\t{label}" for n in range(copies) for label, texts in sets.items() for text in texts
    ]


def message(**changes: object) -> dict[str, object]:
    """What a pass says of a message."""
    said = {"intents": ["other"], "sentiment": "neutral", "emotion": "neutral", "sarcasm": False}
    return {**said, "expects_reply": True, **changes}


LINES = [
    {
        "file": "twcs_spotify/customer.tsv.gz",
        "line": 2,
        "language": "en",
        "passes": [
            message(intents=["technical_problem", "complaint"], sentiment="negative"),
            message(intents=["technical_problem"], sentiment="negative"),
        ],
        "intent": "technical_problem",
        "acceptable": ["technical_problem", "complaint"],
        "sentiment": "negative",
        "complaint": True,
        "expects_reply": True,
    },
    {
        "file": "twcs_spotify/customer.tsv.gz",
        "line": 1,
        "language": "en",
        "passes": [message(intents=["praise_thanks"], sentiment="positive", expects_reply=False)] * 2,
        "intent": "praise_thanks",
        "acceptable": ["praise_thanks"],
        "sentiment": "positive",
        "complaint": False,
        "expects_reply": False,
    },
    {
        "file": "tickets_multilang/a.tsv.gz",
        "line": 1,
        "language": "en",
        "passes": [message(intents=["billing_payment"]), message(intents=["product_question"])],
        "intent": "billing_payment",
        "acceptable": ["billing_payment", "product_question"],
        "sentiment": "neutral",
        "complaint": False,
        "expects_reply": True,
    },
    {
        "file": "tickets_multilang/a.tsv.gz",
        "line": 5,
        "language": "de",
        "passes": [message(), message()],
        "intent": "other",
        "acceptable": ["other"],
        "sentiment": "neutral",
        "complaint": False,
        "expects_reply": True,
    },
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every data set, in the format of the real ones."""
    folder = tmp_path_factory.mktemp("data")

    def sets(name: str, rows: Labelled, *splits: str) -> None:
        for number, split in enumerate(splits):
            write(folder / f"{name}/{split}.tsv.gz", "text\tlabel", labelled(rows, 3 if number == 0 else 1))

    sets("tweeteval_sentiment", MOODS, "train_semeval17", "val", "test")
    sets("tweeteval_emotion", FEELINGS, "train", "val", "test")
    sets("tweeteval_irony", {"non_irony": ["it rains"], "irony": ["oh great, rain"]}, "train", "val", "test")
    sets("tweeteval_offensive", {"not-offensive": ["hello"], "offensive": ["idiot"]}, "train", "val", "test")
    sets("goemotions", {"joy": ["so happy"], "anger,sadness": ["furious", "sad"]}, "train", "dev", "test")
    sets("isarcasm", {"0": ["it rains"], "1": ["oh great, rain"]}, "train_en", "test_en")
    sets("banking77", WISHES, "train", "test")
    sets("banking77", WISHES, "train_10shot")
    sets("clinc150", WISHES | ODDITIES, "train", "val", "test")
    for language in datasets.UMSAB.values():
        sets("umsab", MOODS, f"{language}_test")
    sets("complaints19", {"complaint": ["awful, you lost my bag"], "not": ["hello"]}, "all")
    sets("suggestion19", {"suggestion": ["please add tabs"], "not": ["hello"]}, "test")
    sets(
        "appreviews", {"bug report": ["it crashes"], "feature request": ["add tabs"], "rating": ["ok"]}, "all"
    )
    queues = ("Billing and Payments", "Returns and Exchanges", "Technical Support", "Sales and Pre-Sales")
    mails = [f"en\tHello\tI have a question about my invoice\t{queue}" for queue in queues]
    german = "de\tHallo\tIch habe eine Frage zu meiner Rechnung vom letzten Monat\tRest"
    write(folder / "tickets_multilang/a.tsv.gz", "language\tsubject\tbody\tqueue", [*mails, german])
    write(folder / "twcs_spotify/customer.tsv.gz", "text", ["thanks, love it!", "the app crashes again!!"])
    (folder / "testset.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in LINES))
    return folder


@pytest.fixture(scope="module")
def figures(data: Path) -> Figures:
    """The measurement of these sets, some invented messages and a few cases of behaviour. How fast the
    machine is, is not asked here."""
    some, cases = examples.invented()[::40], behaviour.load()[::60]
    real = testset.load(data, data / "testset.jsonl")
    with pytest.MonkeyPatch.context() as patch:
        for module in (examples, evaluate_messages):
            patch.setattr(module, "invented", lambda: some)
        patch.setattr(testset, "load", lambda _: real)
        patch.setattr(behaviour, "load", lambda: cases)
        patch.setattr(bench, "measure", lambda texts: SPEED)
        with Progress(console=Console(quiet=True)) as progress:
            return evaluate.measure(data, progress)


def test_everything_is_measured(figures: Figures) -> None:
    tasks = figures["tasks"]
    assert tasks["tweeteval_sentiment"]["rows"] == figures["sentiment"]["rows"] == 12
    assert {"vader", "textblob", "counted", "original", "model"} <= tasks["tweeteval_sentiment"].keys()
    assert tasks["tweeteval_sentiment"]["model"] > 0.7
    assert tasks["tweeteval_irony"]["model"] == tasks["tweeteval_irony"]["as_spoken"], (
        "few rows teach no rule"
    )
    assert tasks["banking77"]["model"] == tasks["banking77_10shot"]["original"] == 1
    assert figures["taught"]["together"]["accuracy"] == 1
    assert tasks["clinc150"]["rows"] == 8
    assert figures["unseen"]["tickets_multilang"]["rows"] == 4
    assert figures["languages"].keys() == datasets.UMSAB.keys()
    assert figures["behaviour"]
    json.dumps(figures)


def test_real_messages_are_judged_by_source(figures: Figures) -> None:
    real = figures["real"]
    assert [real[name]["rows"] for name in ("all", "tweets", "mails")] == [3, 2, 1]
    assert real["languages"] == {"en": {"rows": 3, "silent": 0}, "other": {"rows": 1, "silent": 1}}
    assert real["tweets"]["judged"]["vader"].keys() == {"sentiment"}
    assert real["tweets"]["judged"]["model"]["sentiment"]["accuracy"] == 1
    assert set(real["mails"]["judged"]["original"]) == set(real["mails"]["judged"]["model"])


def test_passes_are_compared(figures: Figures) -> None:
    tweets, everything = figures["agreement"]["tweets"], figures["agreement"]["all"]
    assert tweets["topic"] == {"agreed": 1, "kappa": 1}
    assert tweets["complaint"] == {"agreed": 0.5, "kappa": 0}
    assert everything["topic"]["agreed"] == 0.75
    assert everything["rows"] == 4


def test_the_card_tells_it(figures: Figures) -> None:
    card = render(figures)
    assert f"# Model card: {figures['model']['version']}" in card
    assert "nan" not in card.split()
    assert "None" not in card
    for title in goals.missed(figures):
        assert title in card.split("Not reached:")[1]
    tweets = f"| {figures['tasks']['tweeteval_sentiment']['vader']:.3f} |"
    assert tweets in next(
        line for line in card.splitlines() if line.startswith("| TweetEval sentiment, macro")
    )


def test_the_pictures_can_be_drawn(figures: Figures) -> None:
    for picture in pictures(figures).values():
        root = ElementTree.fromstring(picture)
        assert root.attrib["role"] == "img"
        assert len(root.findall("{*}path")) == 6  # three lines and what they are called


def test_a_part_of_the_rows_is_enough_for_a_glance(data: Path) -> None:
    from sentiment.instruments import Instruments

    tools = Instruments(data, Progress(console=Console(quiet=True)), most=3)
    assert [row["label"] for row in tools.table("tweeteval_sentiment/test")] == [
        "negative",
        "neutral",
        "positive",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--card", "--quick"], "leave out --quick"),
        ([], "cannot measure"),
        (["--json", "x"], "cannot measure"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["evaluate", "--data", str(tmp_path / "nowhere"), *arguments])
    with pytest.raises(SystemExit) as stop:
        evaluate.main()
    assert words in f"{stop.value.code}{capsys.readouterr().err}"
    assert list(tmp_path.iterdir()) == []


def test_the_labels_of_real_messages_are_sound() -> None:
    """Only what needs no text: every label is one of ours, and what was decided is acceptable."""
    from sentiment import EMOTIONS, INTENTS, SENTIMENTS

    lines = [json.loads(line) for line in testset.TESTSET.read_text(encoding="utf-8").splitlines()]
    assert len(lines) >= 400
    assert len({(line["file"], line["line"]) for line in lines}) == len(lines)
    for line, said in product(lines, (0, 1)):
        labels = line["passes"][said]
        assert set(labels["intents"]) | set(line["acceptable"]) <= set(INTENTS)
        assert line["intent"] in line["acceptable"]
        assert {labels["sentiment"], line["sentiment"]} <= set(SENTIMENTS)
        assert labels["emotion"] in EMOTIONS
