"""What listening is measured on."""

from __future__ import annotations

from hub.bench.listening import bench_listening, posts, queries


def test_a_hundred_queries_find_some_posts_and_not_most() -> None:
    found = {figure.name: figure for figure in bench_listening(200, lambda said: None)}
    assert found["queries"].value == len(queries()) == 100
    assert 0.05 < found["matches of a post, mean"].value < 5
    assert found["posts against all queries, one core"].goal == "≥ 5000"


def test_the_posts_are_always_the_same() -> None:
    assert posts(20) == posts(20)
    assert any(not post.text.isascii() for post in posts(100))
