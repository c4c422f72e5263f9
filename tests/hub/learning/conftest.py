"""A model that learns, as cheap as can be."""

from __future__ import annotations

import pytest

from hub.runtime import Hub
from tests.hub.learning.pupil import Pupil


@pytest.fixture
def pupil(hub: Hub) -> Pupil:
    """The hub's model: it knows three words, and learns."""
    hub._scorer = pupil = Pupil()
    return pupil
