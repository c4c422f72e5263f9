"""What fails in the contract suite shows what was compared."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("connectors.testing")
