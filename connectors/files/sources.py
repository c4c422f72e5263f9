"""Finds files, tells what they are, and reads their lines, never more than one record at a time."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from connectors.base import BadPayload

Format = Literal["jsonl", "csv", "tsv", "mbox", "eml"]

MAX_RECORD_BYTES = 32 * 1024 * 1024
"""The longest line or mail held in memory. What is longer is kept up to here and rejected."""

_BY_SUFFIX: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".mbox": "mbox",
    ".eml": "eml",
}
_HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:[ \t]")
_SNIFF_BYTES = 65_536
_GZIP = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Source:
    """One file.

    `name` is what a person reads in `where`; `asked_for` is False for what a folder happened to hold.
    """

    path: Path
    name: str
    asked_for: bool
    in_maildir: bool = False


class Line(NamedTuple):
    """A physical line without its end; `cut` where it was longer than `MAX_RECORD_BYTES`."""

    number: int
    raw: bytes
    cut: bool = False


class Lines:
    """The lines of a stream, with the possibility to give some back."""

    def __init__(self, stream: BinaryIO | BufferedReader | gzip.GzipFile) -> None:
        self._stream = stream
        self._number = 0
        self._returned: list[Line] = []

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        if self._returned:
            return self._returned.pop()
        raw = self._stream.readline(MAX_RECORD_BYTES)
        if not raw:
            raise StopIteration
        cut = len(raw) == MAX_RECORD_BYTES and not raw.endswith(b"\n")
        if cut:
            while (rest := self._stream.readline(MAX_RECORD_BYTES)) and not rest.endswith(b"\n"):
                pass
        self._number += 1
        if self._number == 1:
            raw = raw.removeprefix(_UTF8_MARK)
        return Line(self._number, raw.removesuffix(b"\n").removesuffix(b"\r"), cut)

    def rest(self) -> bytes:
        """What the stream still holds, but at most one byte more than `MAX_RECORD_BYTES`."""
        return self._stream.read(MAX_RECORD_BYTES + 1)

    def give_back(self, lines: Sequence[Line]) -> None:
        """The next lines read are these, in this order."""
        self._returned.extend(reversed(lines))


def find_sources(paths: Sequence[Path], *, skip: Path | None = None) -> list[Source]:
    """The files to read, in a stable order: those named, and those in named folders at any depth.

    Hidden files and the folder `skip` are left out. Raises: BadPayload where a path does not exist.
    """
    found: list[Source] = []
    for path in paths:
        if path.is_dir():
            found.extend(_in_folder(path, skip.resolve() if skip else None))
        elif path.is_file():
            found.append(Source(path, path.name, asked_for=True))
        else:
            raise BadPayload(f"{path}: there is no such file or folder.")
    return found


def _in_folder(root: Path, skip: Path | None) -> Iterator[Source]:
    for folder, subfolders, names in os.walk(root):
        here = Path(folder)
        maildir = {"cur", "new"} <= set(subfolders)
        subfolders[:] = sorted(
            name
            for name in subfolders
            if not name.startswith(".")
            and (here / name).resolve() != skip
            and not (maildir and name == "tmp")
        )
        inside = (
            here.name in ("cur", "new") and (here.parent / "cur").is_dir() and (here.parent / "new").is_dir()
        )
        for name in sorted(names):
            path = here / name
            if not name.startswith(".") and path.is_file():
                yield Source(path, str(path.relative_to(root)), asked_for=False, in_maildir=inside)


def open_source(path: Path) -> BufferedReader | gzip.GzipFile:
    """The file's content, unpacked where it begins like gzip. Raises: OSError."""
    with path.open("rb") as stream:
        packed = stream.read(len(_GZIP)) == _GZIP
    return gzip.GzipFile(path) if packed else path.open("rb")


def format_of(source: Source) -> Format:
    """What a file holds, by its place, its name, or how it begins.

    Raises: BadPayload where it is nothing that can be read; OSError, EOFError or zlib.error where it is
    damaged.
    """
    if source.in_maildir:
        return "eml"
    with open_source(source.path) as stream:
        # One read only: of a damaged file the beginning still tells what it is.
        head = stream.read1(_SNIFF_BYTES).removeprefix(_UTF8_MARK)
    suffix = Path(source.path.name.lower().removesuffix(".gz")).suffix
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadPayload(f"{source.name}: this is UTF-16; save it as UTF-8.")
    if suffix in (".json", ".jsonl", ".ndjson") and head.lstrip().startswith(b"["):
        raise BadPayload(f"{source.name}: this is one JSON array; write one object per line (jq -c '.[]').")
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    first = head.split(b"\n", 1)[0]
    if first.startswith(b"From "):
        return "mbox"
    if first.lstrip().startswith(b"{"):
        return "jsonl"
    if _HEADER.match(head) and b"\nfrom:" in b"\n" + head.lower():
        return "eml"
    raise BadPayload(
        f"{source.name}: not a kind of file that can be read. Known are .jsonl, .csv, .tsv, .eml, .mbox"
        " (each also as .gz), a Maildir, and folders of them."
    )
