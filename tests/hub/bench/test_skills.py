"""What the plan is measured on where not everybody can answer everything."""

from __future__ import annotations

from functools import partial

import pytest

from hub.bench import skills
from hub.bench.skills import bench_skills
from routing.replay.generate import generate


def test_both_orders_with_enough_who_speak_it_and_with_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skills, "generate", partial(generate, days=0.05))
    monkeypatch.setattr(skills, "LOADS", (0.7, 1.1))
    said: list[str] = []
    figures = list(bench_skills(2, said.append))
    assert [line.split("|")[1].strip() for line in said[:3]] == [
        "0.70 strict levels, 4 of 10",
        "0.70 plan, 4 of 10",
        "0.70 plan, their own first, 4 of 10",
    ]
    assert len(said) == 2 * 3 * len(skills.LOADS)
    assert len(figures) == 2 * 5 * len(skills.LOADS)
    assert figures[-1].name.startswith("load 1.1, 3 of 10 speak German: longest wait")
