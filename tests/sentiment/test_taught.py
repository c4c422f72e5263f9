"""Taught intents: named where a message is like their examples, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment.heads import Array
from sentiment.taught import MOST, AdaptationError, Taught, spoken
from sentiment.types import TaughtIntent

WIDTH = 64
NAMES = ("lost luggage", "seat wishes", "upgrade", "wheelchair")
TABLE = np.linalg.qr(np.random.default_rng(5).normal(size=(WIDTH, WIDTH)))[0]
"""A direction for each intent, at right angles to one another."""


def like(name: str, rows: int = 6, seed: int = 0) -> Array:
    """Embeddings of messages of one matter: as near to each other as those of a real intent, cosine 0.6."""
    rng = np.random.default_rng([seed, NAMES.index(name)])
    noise = rng.normal(size=(rows, WIDTH)) / WIDTH**0.5
    found = TABLE[NAMES.index(name)] + 0.8 * noise
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def strangers(rows: int = 40) -> Array:
    found = np.random.default_rng(9).normal(size=(rows, WIDTH))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def taught(*names: str) -> Taught:
    found = Taught()
    for name in names:
        found = found.with_intent(name, like(name))
    return found


def said(found: list[tuple[TaughtIntent, ...]]) -> list[list[str]]:
    return [[each.name for each in row] for row in found]


@pytest.mark.parametrize("names", [NAMES[:1], NAMES[:2], NAMES])
def test_new_messages_of_a_taught_matter_are_found_and_others_are_not(names: tuple[str, ...]) -> None:
    for name in names:
        found = said(taught(*names).find(like(name, 40, seed=1)))
        assert np.mean([row == [name] for row in found]) > 0.9
    for stranger in (strangers(), *(like(each, 10) for each in NAMES if each not in names)):
        assert said(taught(*names).find(stranger)) == [[]] * len(stranger)


def test_nothing_taught_finds_nothing() -> None:
    assert Taught().find(strangers(3)) == [(), (), ()]
    assert taught(NAMES[0]).find(np.empty((0, WIDTH), np.float32)) == []


def test_a_message_of_two_matters_has_both_the_surest_first() -> None:
    message = 1.05 * TABLE[0] + TABLE[1]
    [found] = taught(*NAMES).find((message / np.linalg.norm(message))[None].astype(np.float32))
    assert [each.name for each in found] == [NAMES[0], NAMES[1]]
    assert 1 > found[0].confidence > found[1].confidence > 0.5


taught_and_forgotten = st.lists(st.tuples(st.booleans(), st.sampled_from(NAMES)), max_size=12)


@given(taught_and_forgotten)
def test_only_what_is_taught_now_is_named(lessons: list[tuple[bool, str]]) -> None:
    knows = Taught()
    expected: set[str] = set()
    for teaches, name in lessons:
        if teaches:
            knows, expected = knows.with_intent(name, like(name)), expected | {name}
        elif name in expected:
            knows, expected = knows.without(name), expected - {name}
    assert knows.names == tuple(sorted(expected))
    for name in NAMES:
        assert said(knows.find(like(name))) == [[name] if name in expected else []] * 6
    # However it came to know them, it knows the same.
    np.testing.assert_array_equal(knows.shares(strangers()), taught(*expected).shares(strangers()))


@given(st.permutations(NAMES), st.integers(1, 4))
def test_another_lesson_takes_nothing_from_the_earlier_ones(order: list[str], count: int) -> None:
    first, *others = order[:count]
    assert said(taught(first, *others).find(like(first))) == said(taught(first).find(like(first)))


def test_a_neighbour_leaves_the_others_their_own_examples() -> None:
    near = like(NAMES[0], seed=3) + like(NAMES[1], seed=3)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    knows = taught(*NAMES[:2]).with_intent("a bit of both", near)
    for name in NAMES[:2]:
        assert [row[0].name for row in knows.find(like(name))] == [name] * 6
    assert [row[0].name for row in knows.find(near)] == ["a bit of both"] * 6


def test_a_lesson_can_be_given_anew() -> None:
    knows = taught(*NAMES[:2]).with_intent(NAMES[0], like(NAMES[3]))
    assert knows.names == NAMES[:2]
    assert said(knows.find(like(NAMES[0]))) == [[]] * 6
    assert said(knows.find(like(NAMES[3]))) == [[NAMES[0]]] * 6


def test_the_name_is_one_example_more() -> None:
    # Messages between the two intents, named by the first's name or by neither's.
    between = (TABLE[0] + 0.9 * TABLE[1])[None] / np.linalg.norm(TABLE[0] + 0.9 * TABLE[1])
    asked = between.astype(np.float32)
    plain, other = taught(*NAMES[:2]), like(NAMES[1])
    named = plain.with_intent(NAMES[1], other, asked[0])
    assert plain.shares(asked)[0, 1] < named.shares(asked)[0, 1] - 0.1
    assert plain.shares(asked)[0, 0] > named.shares(asked)[0, 0]
    assert said(named.without(NAMES[1]).find(other)) == [[]] * 6
    # Another name, or none, is forgotten with the examples that it came with.
    np.testing.assert_array_equal(named.with_intent(NAMES[1], other).shares(asked), plain.shares(asked))


def test_a_name_is_read_as_words() -> None:
    assert spoken("card_arrival") == "card arrival"
    assert spoken("Lost  luggage") == "Lost luggage"


@pytest.mark.parametrize(
    ("named", "why"), [(TABLE[0] * 2, "unit length"), (TABLE[:2], "no embedding"), (np.eye(8)[0], "no embed")]
)
def test_a_name_that_is_no_embedding_of_the_model_is_refused(named: Array, why: str) -> None:
    with pytest.raises(AdaptationError, match=why):
        taught(NAMES[0]).with_intent(NAMES[1], like(NAMES[1]), named)


def test_lessons_do_not_change_what_they_are_built_on() -> None:
    one = taught(NAMES[0])
    rows = like(NAMES[1])
    two = one.with_intent(NAMES[1], rows)
    rows[:] = 0
    assert one.names == NAMES[:1]
    assert said(two.find(like(NAMES[1]))) == [[NAMES[1]]] * 6


@pytest.mark.parametrize(
    ("name", "rows", "why"),
    [
        ("", like(NAMES[1]), "one line"),
        (" padded", like(NAMES[1]), "one line"),
        ("two\nlines", like(NAMES[1]), "one line"),
        ("a" * 101, like(NAMES[1]), "at most 100"),
        ("few", like(NAMES[1], 4), "at least 5 examples, these are 4"),
        ("long", 2 * like(NAMES[1]), "unit length"),
        ("nothing", np.full((5, WIDTH), np.nan), "unit length"),
        ("narrow", np.eye(8, dtype=np.float32), "one model"),
        ("flat", np.ones(WIDTH, np.float32), "one model"),
        ("many", like(NAMES[1], MOST), "at most 3,000 examples together, not 3,006"),
    ],
)
def test_what_cannot_be_taught(name: str, rows: Array, why: str) -> None:
    with pytest.raises(AdaptationError, match=why):
        taught(NAMES[0]).with_intent(name, rows)


def test_what_was_not_taught_cannot_be_forgotten() -> None:
    with pytest.raises(AdaptationError, match="no intent named 'upgrade'"):
        taught(NAMES[0]).without("upgrade")
