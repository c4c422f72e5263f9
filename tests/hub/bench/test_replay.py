"""What the replay is measured on."""

from __future__ import annotations

import pytest

from hub.bench import replay
from hub.bench.replay import bench_replay


def test_every_formula_and_every_order_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "_PER_SEED", 2000)
    figures = list(bench_replay(2, 2000, lambda said: None))
    assert [figure.goal for figure in figures[:11]] == ["≤ 2"] * 11
    assert [figure.name.rpartition(", ")[2] for figure in figures[11:]] == [
        *("first-come", "strict", "deadline"),
        "plan",
    ]
    assert all(figure.value >= 0 for figure in figures)
