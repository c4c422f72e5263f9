"""What the planner is measured on."""

from __future__ import annotations

from hub.bench.planner import bench_plan_queue, bench_planner
from hub.runtime import Hub


def test_it_is_measured_alone_and_in_the_hub(hub: Hub) -> None:
    alone = list(bench_planner(lambda said: None, 50))
    assert [figure.goal for figure in alone] == ["≤ 50", ""] * 3
    assert all(figure.value > 0 for figure in alone)
    figures = {figure.name: figure.value for figure in bench_plan_queue(hub, lambda said: None, 400)}
    written = "400 planned, {}, rows written".format
    assert figures[written("a crisis begins")] > figures[written("a second later")]
