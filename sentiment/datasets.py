"""Reads the public data sets: gzipped TSV, one header line."""

from __future__ import annotations

import gzip
from pathlib import Path

UMSAB = {
    "ar": "arabic",
    "en": "english",
    "fr": "french",
    "de": "german",
    "hi": "hindi",
    "it": "italian",
    "pt": "portuguese",
    "es": "spanish",
}
"""What umsab calls its languages."""


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a gzipped TSV by column name; fields have no quoting."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        names = file.readline().rstrip("\n").split("\t")
        return [dict(zip(names, line.rstrip("\n").split("\t"), strict=True)) for line in file]
