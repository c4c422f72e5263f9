"""Who may see a reply, whom it names, how long it is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mastodon.writing import PRIVATE_FIRST, addressed, at_most, counted, key


@pytest.mark.parametrize(
    ("answered", "wanted", "visibility"),
    [
        ("public", "public", "public"),
        ("public", "unlisted", "unlisted"),
        ("public", "private", "private"),
        ("public", "direct", "direct"),
        ("unlisted", "public", "unlisted"),
        ("unlisted", "unlisted", "unlisted"),
        ("unlisted", "private", "private"),
        ("unlisted", "direct", "direct"),
        ("private", "public", "private"),
        ("private", "unlisted", "private"),
        ("private", "private", "private"),
        ("private", "direct", "direct"),
        ("direct", "public", "direct"),
        ("direct", "unlisted", "direct"),
        ("direct", "private", "direct"),
        ("direct", "direct", "direct"),
        ("limited", "public", "direct"),
        ("", "public", "direct"),
        ("public", "somebody's own", "direct"),
    ],
)
def test_a_reply_is_never_more_public_than_what_it_answers(
    answered: str, wanted: str, visibility: str
) -> None:
    assert at_most(answered, wanted) == visibility


def test_the_order_of_visibilities_holds_for_every_pair() -> None:
    for answered, wanted in itertools.product(PRIVATE_FIRST, repeat=2):
        found = PRIVATE_FIRST.index(at_most(answered, wanted))
        assert found <= PRIVATE_FIRST.index(answered)
        assert found <= PRIVATE_FIRST.index(wanted)


@pytest.mark.parametrize(
    ("text", "handle", "expected"),
    [
        ("Hello", "mara@garden.example", "@mara@garden.example Hello"),
        ("@mara@garden.example Hello", "mara@garden.example", "@mara@garden.example Hello"),
        ("Hello @Mara@Garden.example!", "mara@garden.example", "Hello @Mara@Garden.example!"),
        ("Hello @mara", "mara@garden.example", "@mara@garden.example Hello @mara"),
        (
            "Hello @mara@garden.example.org",
            "mara@garden.example",
            "@mara@garden.example Hello @mara@garden.example.org",
        ),
        ("Hello @mara@garden.example.", "mara@garden.example", "Hello @mara@garden.example."),
        ("Hello @tom", "tom@toot.example", "Hello @tom"),
        ("Hello @tom@toot.example", "tom@toot.example", "Hello @tom@toot.example"),
        ("Hello @tom@garden.example", "tom@toot.example", "@tom@toot.example Hello @tom@garden.example"),
        ("Hello @tommy", "tom@toot.example", "@tom@toot.example Hello @tommy"),
        (
            "see https://toot.example/@tom",
            "tom@toot.example",
            "@tom@toot.example see https://toot.example/@tom",
        ),
        ("Hello", "tom", "@tom Hello"),
        ("Hello @tom", "tom", "Hello @tom"),
    ],
)
def test_the_recipient_is_named(text: str, handle: str, expected: str) -> None:
    assert addressed(text, handle, "toot.example") == expected


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("Grüße", 5),
        ("Gru\u0308ße", 5),
        ("👍🏽", 1),
        ("👩‍👩‍👧", 1),
        ("🇩🇪🇫🇷", 2),
        ("a\u200db", 2),
        ("a\r\nb", 3),
        ("https://garden.example/" + "x" * 300, 23),
        ("see https://garden.example/a?b=c.", 4 + 23 + 1),
        ("http://a.bc", 23),
        ("https://localhost/x", 19),
        ("ftp://garden.example/x", 22),
        ("@mara@garden.example hello", 11),
        ("@mara hello", 11),
        ("mail mara@garden.example", 24),
    ],
)
def test_counts_as_the_server_does(text: str, length: int) -> None:
    assert counted(text) == length


@given(st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"])))
def test_plain_characters_count_one_each_at_most(text: str) -> None:
    assert counted(text) <= max(len(text), 23 * text.count("http"))


def test_any_key_fits_a_header() -> None:
    assert key("reply-1") == "reply-1"
    for odd in ("schlüssel", "a\r\nb", "half \ud83d"):
        assert key(odd) == key(odd)
        assert key(odd).isalnum()
    assert key("schlüssel") != key("schlussel ü")
