"""The files inside a winmail.dat, in which Outlook wraps attachments (Microsoft [MS-OXTNEF])."""

from __future__ import annotations

import mimetypes
import struct
from collections.abc import Iterator

_SIGNATURE = 0x223E9F78
_RENDERING = 0x00069002  # attAttachRendData: another file begins
_TITLE = 0x00018010  # attAttachTitle
_DATA = 0x0006800F  # attAttachData
_MAX_FILES = 100


def files_in(raw: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Name, content type and content of each file, as far as the wrapping is whole."""
    if len(raw) < 6 or struct.unpack_from("<I", raw)[0] != _SIGNATURE:
        return
    place, title, found = 6, "", 0
    while place + 9 <= len(raw) and found < _MAX_FILES:
        # A level, what it is, its length, its bytes, a checksum of two bytes.
        kind, length = struct.unpack_from("<II", raw, place + 1)
        value = raw[place + 9 : place + 9 + length]
        if len(value) < length:
            return
        place += 9 + length + 2
        if kind == _RENDERING:
            title = ""
        elif kind == _TITLE:
            title = value.rstrip(b"\x00").decode("cp1252", "replace")
        elif kind == _DATA:
            found += 1
            name = title or f"attachment-{found}"
            yield name, mimetypes.guess_type(name)[0] or "application/octet-stream", value
