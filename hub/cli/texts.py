"""Texts from files, gzipped or not: a line each, a table with a header, JSON lines."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

from hub.errors import Invalid

LONGEST_CELL = 64 * 1024 * 1024
GZIP = b"\x1f\x8b"


def open_file(file: str) -> BinaryIO:
    """A file by name, `-` for stdin, unpacked where it is gzipped. Raises: Invalid."""
    if file == "-":
        stream: Any = sys.stdin.buffer
    else:
        try:
            stream = Path(file).open("rb")  # noqa: SIM115 - closed by who is given it
        except OSError as error:
            raise Invalid(f"{file}: {error.strerror}", field="file") from error
    buffered = stream if hasattr(stream, "peek") else io.BufferedReader(stream)
    if buffered.peek(2)[:2] == GZIP:
        return cast(BinaryIO, gzip.open(buffered))
    return cast(BinaryIO, buffered)


def lines_of(stream: BinaryIO) -> Iterator[str]:
    """Lines without their ends; bytes that are no UTF-8 as U+FFFD. Raises: Invalid for damaged gzip."""
    try:
        for number, line in enumerate(stream):
            text = line.decode("utf-8-sig" if number == 0 else "utf-8", "replace")
            yield text.removesuffix("\n").removesuffix("\r")
    except (EOFError, gzip.BadGzipFile) as error:
        raise Invalid(f"the file is damaged: {error}", field="file") from error


def table_in(lines: Iterator[str]) -> tuple[list[str], Iterator[list[str]]]:
    """The header and the rows of a TSV or CSV, parted by comma, semicolon or bar."""
    header_line = next(lines, "")
    if "\t" in header_line:
        # In TSV as found in data sets a quotation mark is an ordinary character.
        rows: Iterator[list[str]] = (line.split("\t") for line in lines)
        header = header_line.split("\t")
    else:
        delimiter = max(",;|", key=header_line.count)
        csv.field_size_limit(LONGEST_CELL)
        header = next(csv.reader([header_line], delimiter=delimiter), [])
        rows = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter)
    return [name.strip() for name in header], rows


def records_in(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each record with its number from 1: JSON lines where the first begins with a brace, else a table.

    Names are in lower case. Raises: Invalid, which names the line, for JSON that is none.
    """
    first = next((line for line in lines if line.strip()), "")
    lines = chain([first], lines)
    if not first.lstrip().startswith("{"):
        header, rows = table_in(lines)
        names = [name.casefold() for name in header]
        yield from enumerate((dict(zip(names, row, strict=False)) for row in rows if any(row)), start=1)
        return
    for number, line in enumerate((line for line in lines if line.strip()), start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise Invalid(f"record {number} is not JSON: {error}", field="file") from error
        if not isinstance(record, dict):
            raise Invalid(f"record {number} is not a JSON object", field="file")
        yield number, {str(name).casefold(): value for name, value in record.items()}
