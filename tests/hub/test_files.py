"""Files beside the database: once each, whole, and gone when nobody names them any more."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from pathlib import Path

import pytest

from hub.files import FileStore


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "attachments", 1000)


def files(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "attachments").rglob("*") if path.is_file())


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_a_content_lies_there_once_and_whole(store: FileStore, tmp_path: Path) -> None:
    digest = store.put(b"hello")
    assert store.put(b"hello") == digest == sha256(b"hello").hexdigest()
    (file,) = files(tmp_path)
    assert file == store.path(digest)
    assert store.read(digest) == b"hello"
    # Nobody else on the machine reads it.
    assert file.stat().st_mode & 0o077 == 0


def test_what_could_not_be_written_leaves_nothing(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        store.put(b"hello")
    assert files(tmp_path) == []


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "a" * 63])
def test_a_name_that_is_no_digest_leads_nowhere(store: FileStore, digest: str) -> None:
    with pytest.raises(ValueError, match="no SHA-256"):
        store.path(digest)


def test_a_sweep_takes_only_what_is_old_and_unnamed(store: FileStore, tmp_path: Path) -> None:
    named, unnamed, young = (store.put(content) for content in (b"named", b"unnamed", b"young"))
    broken = store.path(unnamed).with_name(".half-written")
    broken.write_bytes(b"x")
    for path in (store.path(named), store.path(unnamed), broken):
        age(path, 100)
    assert store.sweep(lambda digests: {named} & set(digests), 50) == 2
    assert files(tmp_path) == sorted(store.path(each) for each in (named, young))


def test_what_is_wanted_again_is_not_swept(store: FileStore) -> None:
    digest = store.put(b"hello")
    age(store.path(digest), 100)
    store.put(b"hello")
    assert store.sweep(lambda digests: (), 50) == 0
    assert store.read(digest) == b"hello"
