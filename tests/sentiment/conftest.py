from __future__ import annotations

import pytest

import sentiment
from sentiment import Scorer


@pytest.fixture(scope="session")
def scorer() -> Scorer:
    return sentiment.load()
