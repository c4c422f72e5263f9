"""A missing server skips a test on somebody's laptop and fails it in CI."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import pytest
from tests.servers import Process, Unavailable

@pytest.fixture(scope="session")
def server():
    raise Unavailable("a server: install it")

def test_needs_it(server):
    pass

def test_needs_it_too(server):
    pass

def test_needs_nothing():
    pass

def test_fails_beside_a_process(tmp_path):
    process = Process(["echo", "the worker's last words"], name="worker", log=tmp_path / "log",
                      ready=lambda this: bool(this.output()))
    process.start()
    process.kill()
    assert False
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest("from tests.servers.reporting import *")
    pytester.makepyfile(SUITE)
    return pytester


def test_on_a_laptop_it_is_skipped_with_its_reason(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    result = suite.runpytest("-rs")
    result.assert_outcomes(passed=1, skipped=2, failed=1)
    result.stdout.fnmatch_lines(["SKIPPED * not available: a server: install it"])


def test_in_ci_it_fails(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    result = suite.runpytest()
    result.assert_outcomes(passed=1, errors=2, failed=1)
    result.stdout.fnmatch_lines(["*CI must not skip this*a server: install it*"])


def test_a_failure_shows_what_the_processes_said(suite: pytest.Pytester) -> None:
    suite.runpytest().stdout.fnmatch_lines(["*output of worker*", "the worker's last words"])
