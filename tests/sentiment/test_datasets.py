"""The readers of the data sets, and the invented messages themselves."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

from sentiment import INTENTS, datasets
from sentiment.datasets import Labelled


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_sentiment_rows(tmp_path: Path) -> None:
    write(tmp_path / "x/val.tsv.gz", "text\tlabel", 'say "hi\u2028\x85\tpositive', "no\tnegative")
    assert datasets.sentiment(tmp_path, "x/val") == [Labelled('say "hi\u2028\x85', 2), Labelled("no", 0)]


def test_near_copies_are_left_out() -> None:
    start = "forty characters which both of them share"
    seen, copy, new = Labelled(f"{start} one", 0), Labelled(f"{start} two", 1), Labelled("new", 2)
    assert datasets.unseen([copy, new], [seen]) == [new]


def test_public_rows_are_mapped_and_know_what_they_cannot_say(tmp_path: Path) -> None:
    mapping = {
        "codes": {"DS": "delivery_status", "CO": "complaint"},
        "bitext_cs": {"track_order": "DS", "complaint": "CO", "review": None},
    }
    (tmp_path / "intent_mapping.json").write_text(json.dumps(mapping))
    write(
        tmp_path / "bitext_cs/all.tsv.gz",
        "text\tcategory\tintent",
        "where is it\tORDER\ttrack_order",
        "bad\tFEEDBACK\tcomplaint",
        "nice\tFEEDBACK\treview",
    )
    [delivery, complaint] = datasets.public_intents(tmp_path, "bitext_cs", "all")
    assert delivery.intents == {"delivery_status"}
    assert delivery.asked == set(INTENTS) - {"complaint"}
    assert complaint.intents == {"complaint"}
    assert complaint.asked == set(INTENTS) - {"escalation"}


def test_the_invented_messages_cover_every_intent() -> None:
    rows = datasets.invented()
    counts = Counter(intent for row in rows for intent in row.intents)
    assert set(counts) == set(INTENTS)
    assert min(counts.values()) >= 25
    assert len({row.text.casefold() for row in rows}) == len(rows)
