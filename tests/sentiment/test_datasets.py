"""The reader of the data sets."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sentiment.datasets import table


def write(path: Path, *lines: str) -> None:
    with gzip.open(path, "wt", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_only_line_feeds_end_a_row_and_quotes_are_text(tmp_path: Path) -> None:
    write(tmp_path / "val.tsv.gz", "text\tlabel", 'say "hi\u2028\x85\tpositive', "no\tnegative")
    assert table(tmp_path / "val.tsv.gz") == [
        {"text": 'say "hi\u2028\x85', "label": "positive"},
        {"text": "no", "label": "negative"},
    ]


def test_a_row_of_another_length_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "val.tsv.gz", "text\tlabel", "no tab here")
    with pytest.raises(ValueError, match="shorter"):
        table(tmp_path / "val.tsv.gz")
