"""A program that runs beside a test."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from tests.servers import janitor

POLL_SECONDS = 0.02
MEMORY_NEEDED_BYTES = 4 << 30


def wait_until(condition: Callable[[], object], *, deadline_seconds: float = 30, what: str = "it") -> None:
    """Look until `condition()` is true. Raises: TimeoutError, which says `what` did not happen."""
    end = time.monotonic() + deadline_seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {deadline_seconds:g} s")
        time.sleep(POLL_SECONDS)


def free_port() -> int:
    """A port on 127.0.0.1 that nothing listens on.

    It lies below those the system gives to outgoing connections (32768 and up on Linux, 49152 on macOS), so
    that none of these takes it while a server is down and about to be started again.
    """
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def memory_folder() -> Path | None:
    """A folder in memory with room to spare, as Linux has one: a database is copied 15 times faster there."""
    folder = Path("/dev/shm")
    if (
        folder.is_dir()
        and os.access(folder, os.W_OK)
        and shutil.disk_usage(folder).free > MEMORY_NEEDED_BYTES
    ):
        return folder
    return None


@contextlib.contextmanager
def scratch_folder(name: str, *, owner: str | None = None, on_disk: bool = False) -> Iterator[Path]:
    """An empty folder that goes with the block, or with the run; in memory where there is room."""
    # Not in a folder of the tests' own: the path of a socket may not be long.
    place = None if on_disk else memory_folder()
    folder = Path(tempfile.mkdtemp(prefix=f"cem-hub-{name}-", dir=place or "/tmp")).resolve()
    janitor.watch("folder", str(folder))
    if owner is not None:
        shutil.chown(folder, owner)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        janitor.forget("folder", str(folder))


class Process:
    """A command with its whole process group: started, waited for, killed, started again.

    `ready` is asked until it says yes. Output goes to `log`, which grows over restarts and is shown with a
    failing test. As root, `user` is who runs it; else it runs as whoever runs the tests.
    """

    known: ClassVar[list[Process]] = []

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        name: str,
        log: Path,
        ready: Callable[[Process], bool] = lambda process: True,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        deadline_seconds: float = 60,
    ) -> None:
        self.command = [str(part) for part in command]
        self.name = name
        self.log = log
        self.ready = ready
        self.env = None if env is None else dict(env)
        self.cwd = cwd
        self.user = user
        self.deadline_seconds = deadline_seconds
        self._popen: subprocess.Popen[bytes] | None = None
        self._printed_before = 0
        self._gone = False
        Process.known.append(self)

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def pid(self) -> int:
        """The main process. Raises: RuntimeError where it was never started."""
        if self._popen is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        return None if self._popen is None else self._popen.poll()

    def output(self) -> str:
        """All it has printed so far, over all its starts."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def output_since_start(self) -> str:
        """What it has printed since it was last started."""
        return self.output()[self._printed_before :]

    def start(self, *, wait: bool = True) -> Self:
        """Start it and, where `wait`, wait until it is ready. Raises: RuntimeError."""
        if self.running:
            raise RuntimeError(f"{self.name} is running already")
        self._printed_before = len(self.output())
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=self.cwd,
                start_new_session=True,
                **as_user(self.user),
            )
        self._gone = False
        janitor.watch("group", self._popen.pid)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Wait until it is ready. Raises: RuntimeError where it ends or stays silent, with its output."""
        end = time.monotonic() + self.deadline_seconds
        while not self.ready(self):
            if not self.running:
                raise RuntimeError(self._failure(f"ended with {self.returncode}"))
            if time.monotonic() > end:
                self.kill()
                raise RuntimeError(self._failure(f"was not ready in {self.deadline_seconds:g} s"))
            time.sleep(POLL_SECONDS)

    def kill(self) -> None:
        """kill -9 for it and its children, as a power cut would; nothing where there are none."""
        if self._popen is None or self._gone:
            return
        # The group may outlive its leader: a worker's children do.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        self._gone = True
        janitor.forget("group", self._popen.pid)

    def terminate(self, how: signal.Signals = signal.SIGTERM, *, patience_seconds: float = 20) -> int | None:
        """Ask it to end, and kill it where it does not. Returns its exit status."""
        if self.running and self._popen is not None:
            self._popen.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(patience_seconds)
        self.kill()
        return self.returncode

    def _failure(self, what: str) -> str:
        return f"{self.name} ({shlex.join(self.command)}) {what}:\n{self.output_since_start()[-4000:]}"

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        self.terminate()


def as_user(user: str | None) -> dict[str, Any]:
    """Arguments for `subprocess` that run a command as `user`; none where that is who we are."""
    if user is None or os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
