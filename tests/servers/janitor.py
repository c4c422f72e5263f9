"""Ends what a run of tests started and cleans up after it, even when that run itself was killed.

A small process of its own reads one JSON array per line: `["+", "group", 123]` to watch a process group,
`["+", "folder", "/tmp/x"]` to watch a folder, the same with `-` once it is gone. When its input closes,
because the run ended in whatever way, it kills the groups that are left and removes the folders.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import IO, Any

_lock = threading.Lock()
_janitor: subprocess.Popen[bytes] | None = None
_owner = 0


def watch(kind: str, what: int | str) -> None:
    """See to it that this process group or folder goes when this run ends."""
    _tell("+", kind, what)


def forget(kind: str, what: int | str) -> None:
    """It is gone already."""
    _tell("-", kind, what)


def _tell(*words: Any) -> None:
    with _lock:
        pipe = _start().stdin
        assert pipe is not None
        pipe.write(json.dumps(words).encode() + b"\n")
        pipe.flush()


def _start() -> subprocess.Popen[bytes]:
    global _janitor, _owner
    if _janitor is None or _owner != os.getpid():
        # A session of its own: Ctrl-C in the terminal ends the tests, and the janitor only after them.
        _janitor = subprocess.Popen(
            [sys.executable, "-S", __file__], stdin=subprocess.PIPE, start_new_session=True
        )
        _owner = os.getpid()
    return _janitor


def _main(lines: IO[str]) -> None:
    watched: dict[str, set[Any]] = {"group": set(), "folder": set()}
    for line in lines:
        sign, kind, what = json.loads(line)
        (watched[kind].add if sign == "+" else watched[kind].discard)(what)
    for group in watched["group"]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for folder in watched["folder"]:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _main(sys.stdin)
