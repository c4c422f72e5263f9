"""Run a command beside servers of its own: `python -m tests.servers -- hub bench --postgres {postgres}`.

`{postgres}` and `{redis}` in the command become their URLs, and only the servers that are named are started.
The PostgreSQL is a disk-safe one. Without a command both run, and their URLs are shown, until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys

from tests.servers import Unavailable, postgres_server, redis_server


def main(command: list[str]) -> int:
    with contextlib.ExitStack() as stack:
        urls = {}
        if not command or any("{postgres}" in word for word in command):
            urls["postgres"] = stack.enter_context(postgres_server(durable=True)).create_database("hub")
        if not command or any("{redis}" in word for word in command):
            urls["redis"] = stack.enter_context(redis_server()).url()
        if command:
            for name, url in urls.items():
                command = [word.replace(f"{{{name}}}", url) for word in command]
            return subprocess.call(command)
        lines = [f"{name:9}{url}" for name, url in urls.items()]
        sys.stdout.write("\n".join([*lines, "Ctrl-C ends them.", ""]))
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
        return 0


if __name__ == "__main__":
    words = sys.argv[1:]
    try:
        sys.exit(main(words[1:] if words[:1] == ["--"] else words))
    except Unavailable as error:
        sys.exit(f"not available: {error}")
