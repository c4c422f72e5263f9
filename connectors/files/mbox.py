"""Many mails in one file (RFC 4155, and what is found in its place)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from connectors.files.sources import MAX_RECORD_BYTES, Line, Lines

_ENVELOPE = re.compile(rb"From \S.*\d{1,2}:\d{2}.*\d{4}")
_MAIL_HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:")
_QUOTED_ENVELOPE = re.compile(rb">+From ")
_MAX_ENVELOPE = 500


def split_mbox(lines: Lines) -> Iterator[tuple[int, bytes]]:
    """The mails of an mbox, each with the line it begins at.

    A mail begins after a blank line with a line `From ...` that holds a time or is followed by a header;
    `>From ` inside a mail is unquoted (mboxrd).
    """
    mail: list[bytes] = []
    start, size, blank = 1, 0, True
    for line in lines:
        if blank and line.raw.startswith(b"From ") and _begins_mail(line, lines):
            if mail:
                yield start, b"\n".join(mail)
            mail, start, size = [], line.number, 0
            continue
        blank = not line.raw
        size += len(line.raw) + 1
        if size - len(line.raw) <= MAX_RECORD_BYTES + 1:
            mail.append(line.raw[1:] if _QUOTED_ENVELOPE.match(line.raw) else line.raw)
    if mail:
        yield start, b"\n".join(mail)


def _begins_mail(line: Line, lines: Lines) -> bool:
    if _ENVELOPE.match(line.raw[:_MAX_ENVELOPE]):
        return True
    following = next(lines, None)
    if following is None:
        return False
    lines.give_back([following])
    return _MAIL_HEADER.match(following.raw) is not None
