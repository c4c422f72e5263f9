"""Texts are cut into windows of word pieces, and read whole."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment.pieces import MAX_WINDOWS, PIECES_PER_PASS, VOCABULARY, WINDOW, Pieces, by_size

PIECES = Pieces()
CLS, SEP = PIECES.windows([""])[0][0]


def test_nothing_is_a_window_too() -> None:
    assert PIECES.windows([]) == ([], [])
    assert PIECES.windows(["", "ok"])[1] == [0, 1]


def test_pieces_are_those_of_berts_uncased_vocabulary() -> None:
    (window,), _ = PIECES.windows(["Refunds, PLEASE: unbelievable"])
    words = VOCABULARY.read_text(encoding="utf-8").splitlines()
    assert [words[i] for i in window] == [
        *("[CLS]", "ref", "##unds", ",", "please", ":", "unbelievable", "[SEP]")
    ]


@given(st.lists(st.integers(0, 3 * WINDOW), max_size=4))
def test_windows_hold_every_piece_in_order(lengths: list[int]) -> None:
    texts = [" ".join(("late", "again")[i % 2] for i in range(length)) for length in lengths]
    windows, owners = PIECES.windows(texts)
    late, again = PIECES.windows(["late again"])[0][0][1:-1]
    for text, length in enumerate(lengths):
        mine = [window for window, owner in zip(windows, owners, strict=True) if owner == text]
        assert all(window[0] == CLS and window[-1] == SEP for window in mine)
        inner = [window[1:-1] for window in mine]
        assert [len(each) for each in inner[:-1]] == [WINDOW] * (len(inner) - 1)
        assert list(chain(*inner)) == [(late, again)[i % 2] for i in range(length)]
    assert owners == sorted(owners)


def test_a_text_without_end_is_read_up_to_the_limit() -> None:
    windows, _ = PIECES.windows(["late " * 10_000])
    assert [len(window) for window in windows] == [WINDOW + 2] * MAX_WINDOWS


@given(st.lists(st.integers(2, 2_000), max_size=40))
def test_a_pass_holds_what_fits_and_each_text_once(sizes: list[int]) -> None:
    batches = by_size(sizes)
    assert sorted(chain(*batches)) == list(range(len(sizes)))
    for batch in batches:
        assert len(batch) == 1 or sum(sizes[i] for i in batch) <= PIECES_PER_PASS


@pytest.mark.parametrize(
    ("sizes", "batches"), [([5, 600, 5, 600], [[0, 2, 1], [3]]), ([2_000, 3], [[1], [0]])]
)
def test_the_short_are_read_with_the_short(sizes: list[int], batches: list[list[int]]) -> None:
    assert by_size(sizes) == batches
