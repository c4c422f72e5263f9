"""The servers that tests lean on do what their names say."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Page

from tests.servers import (
    PostgresServer,
    Process,
    RedisServer,
    postgres_server,
    redis_server,
    wait_until,
)

ROOT = Path(__file__).parents[2]


def test_a_killed_postgres_comes_back_with_what_it_had() -> None:
    with postgres_server() as server:
        url = server.create_database().replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept (word text)")
            connection.execute("INSERT INTO kept VALUES ('still here')")
        held = psycopg.connect(url)
        server.kill()
        # The process that serves a connection notices a little later that its parent is gone, and hangs up.
        assert select.select([held], [], [], 30)[0]
        with pytest.raises(psycopg.OperationalError):
            held.execute("SELECT 1")
        server.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT word FROM kept").fetchall() == [("still here",)]


def test_the_wheels_serve_where_the_system_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.servers.postgres._of_the_system", list)
    monkeypatch.setattr("tests.servers.redis.shutil.which", lambda name: None)
    with postgres_server() as postgres, redis_server() as redis:
        for server in (postgres, redis):
            assert Path(server.process.command[0]).is_relative_to(sys.prefix)


def test_postgres_compares_letters_beyond_ascii(postgres: PostgresServer) -> None:
    with postgres.database() as url, psycopg.connect(url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT lower('ÄÖŁ')").fetchone() == ("äöł",)


def test_each_test_has_an_empty_redis(redis: RedisServer, redis_url: str) -> None:
    import redis as client

    with client.Redis.from_url(redis_url) as connection:
        assert connection.dbsize() == 0
        connection.set("left", "behind")
    redis.flush()
    with client.Redis.from_url(redis_url) as connection:
        assert connection.dbsize() == 0


@pytest.mark.parametrize(("durable", "kept"), [(True, b"1"), (False, None)])
def test_a_killed_redis_keeps_its_data_where_it_is_durable(durable: bool, kept: bytes | None) -> None:
    import redis as client

    with redis_server(durable=durable) as server:
        with client.Redis.from_url(server.url()) as connection:
            connection.set("x", 1)
        server.kill()
        server.start()
        with client.Redis.from_url(server.url()) as connection:
            assert connection.get("x") == kept


def test_kill_ends_the_children_too(tmp_path: Path) -> None:
    process = Process(
        ["sh", "-c", "sleep 1000 & echo $!; wait"],
        name="family",
        log=tmp_path / "log",
        ready=lambda this: bool(this.output()),
    )
    process.start()
    child = int(process.output())
    process.kill()
    wait_until(lambda: not _alive(child), what="the child's end")


def test_what_ends_before_it_is_ready_says_why(tmp_path: Path) -> None:
    process = Process(
        ["sh", "-c", "echo no such thing; exit 3"],
        name="failing",
        log=tmp_path / "log",
        ready=lambda _: False,
    )
    with pytest.raises(RuntimeError, match=r"ended with 3:\nno such thing"):
        process.start()


def test_a_killed_test_run_leaves_nothing_behind(tmp_path: Path) -> None:
    """Not its servers, and not their folders."""
    script = (
        "from tests.servers import redis_server\n"
        "with redis_server() as server:\n"
        "    print(server.process.pid, server.process.cwd, flush=True)\n"
        "    input()\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    pid, folder = run.stdout.readline().split()
    assert _alive(int(pid))
    assert Path(folder).exists()
    run.send_signal(signal.SIGKILL)
    run.communicate()
    wait_until(lambda: not _alive(int(pid)) and not Path(folder).exists(), what="cleaning up")


def test_a_command_runs_beside_servers_of_its_own() -> None:
    script = "import sys, redis; print(redis.Redis.from_url(sys.argv[1]).ping())"
    done = subprocess.run(
        [sys.executable, "-m", "tests.servers", "--", sys.executable, "-c", script, "{redis}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


def test_a_page_opens_in_the_browser(page: Page) -> None:
    page.set_content("<h1>Hello</h1>")
    assert page.inner_text("h1") == "Hello"


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    told = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(told.strip()) and not told.startswith("Z")
