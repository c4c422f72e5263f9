"""Files kept outside the database: each content once, by its SHA-256, written whole, then put in place."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import mkstemp

from sqlalchemy.orm import Session

_NAME = re.compile(r"[0-9a-f]{64}")


class FileStore:
    """A folder of contents. What is put into it before a transaction that names it fails does no harm: it is
    swept away later (`sweep`), as is what nobody names any more.

    `max_bytes` is the most that one file may have.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self.max_bytes = max_bytes

    def put(self, content: bytes) -> str:
        """Keep `content`, safe from a power cut; its SHA-256 in hexadecimal, by which it is found again."""
        digest = sha256(content).hexdigest()
        path = self.path(digest)
        with suppress(FileNotFoundError):
            # It is wanted again: no sweep takes it before this transaction is over.
            os.utime(path)
            return digest
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, fresh = mkstemp(prefix=".", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, path)
        except BaseException:
            Path(fresh).unlink(missing_ok=True)
            raise
        _sync(path.parent)
        return digest

    def path(self, digest: str) -> Path:
        """Where the content of this SHA-256 lies, if it is there. Raises: ValueError for what is none."""
        if not _NAME.fullmatch(digest):
            raise ValueError(f"{digest!r} is no SHA-256")
        return self._folder / digest[:2] / digest

    def read(self, digest: str) -> bytes:
        """The whole content. Raises: OSError."""
        return self.path(digest).read_bytes()

    def sweep(self, wanted: Callable[[Collection[str]], Collection[str]], older_than_seconds: float) -> int:
        """Remove what nobody wants and nobody touched for so long; how many files.

        `wanted` says which of some digests are still named; it is asked folder by folder.
        """
        before = time.time() - older_than_seconds
        removed = 0
        for folder in sorted(self._folder.glob("??")):
            old = [path for path in folder.iterdir() if _touched_at(path) < before]
            named = {path.name for path in old if _NAME.fullmatch(path.name)}
            kept = set(wanted(sorted(named))) if named else set()
            for path in old:
                # Somebody may have put the same content again since it was listed.
                if path.name not in kept and _touched_at(path) < before:
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed


def files_of(session: Session) -> FileStore:
    """Where the hub of this session keeps files."""
    store: FileStore = session.info["files"]
    return store


def _touched_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _sync(folder: Path) -> None:
    """Have the new name in a folder survive a power cut too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
