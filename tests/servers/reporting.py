"""What pytest does where a server is not to be had, and what it shows of the servers when a test fails.

For a conftest: `from tests.servers.reporting import *`.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from tests.servers.process import Process
from tests.servers.unavailable import Unavailable

__all__ = ["pytest_runtest_makereport", "pytest_runtest_setup"]

SHOWN_CHARACTERS = 6000


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Remember how much each process had printed before this test."""
    item.stash[_printed] = {process: len(process.output()) for process in Process.known}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip where a server is unavailable, but fail in CI, which must have it; add the processes' output."""
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(Unavailable):
        if os.environ.get("CI", "").lower() == "true":
            report.longrepr = f"CI must not skip this. Not available: {call.excinfo.value}"
        else:
            path, line = item.reportinfo()[:2]
            report.outcome = "skipped"
            report.longrepr = (str(path), (line or 0) + 1, f"Skipped: not available: {call.excinfo.value}")
    if report.failed:
        before = item.stash.get(_printed, {})
        for process in Process.known:
            told = process.output()[before.get(process, 0) :]
            if told:
                report.sections.append((f"output of {process.name}", told[-SHOWN_CHARACTERS:]))
    return report


_printed = pytest.StashKey[dict[Process, int]]()
