"""How long a post is to X, and what it makes of a text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.x.text import comparable, weighted_length


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("Your parcel left.", 17),
        ("Grüße aus Köln", 14),
        ("Gru\u0308\u00dfe", 5),  # composed first: ü is one character
        ("привет", 6),
        ("“quotes” – and dashes…", 23),
        ("荷物", 4),
        ("안녕", 4),
        ("한", 2),
        ("🙂", 2),
        ("👨‍👩‍👧‍👦", 2),
        ("👍🏽👍🏽", 4),
        ("🇩🇪", 2),
        ("🏴󠁧󠁢󠁳󠁣󠁴󠁿", 2),
        ("1️⃣", 2),
        ("❤️", 2),
        ("👩🏽‍⚕️", 2),
        ("🏃🏽‍♀️!", 3),
        ("©", 1),
        ("1 # *", 5),
        ("https://acme.example/track/4711?a=b&c=d", 23),
        ("See https://acme.example/track/4711.", 28),
        ("see acme.com", 27),
        ("(acme.de/hilfe)", 25),
        ("http://a.io http://b.io", 47),
        ("mail ana@acme.com", 17),
        ("@acme.com", 9),
        ("z.B. am 3.5. um 9.30", 20),
        ("v1.2.3", 6),
        ("two\nlines", 9),
        ("🙂 https://t.co/abc 荷", 29),
    ],
)
def test_a_text_weighs_what_x_says(text: str, length: int) -> None:
    assert weighted_length(text) == length


@settings(max_examples=40, deadline=None)
@given(st.text())
def test_no_text_weighs_less_than_a_part_of_it(text: str) -> None:
    assert weighted_length(f"{text} two words") >= len(" two words")


_WORDS = st.lists(
    st.sampled_from(
        [
            "Your",
            "parcel",
            "left.",
            "Grüße,",
            "🙂",
            "4711",
            "荷物",
            "see",
            "acme.com",
            "a.b",
            "https://acme.example/t/1?x=y",
        ]
    ),
    min_size=1,
    max_size=8,
).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(_WORDS)
def test_a_reply_is_known_again_after_x_changed_it(text: str) -> None:
    links = iter(range(100))
    shown = re.sub(r"https?://\S+|acme\.com", lambda found: f"https://t.co/x{next(links)}", text)
    assert comparable(f"@mara @tom {shown} https://t.co/picture") == comparable(text)


def test_other_words_are_another_reply() -> None:
    assert comparable("Your parcel left.") != comparable("Your parcel is lost.")
    assert comparable("@mara yes") == comparable("@tom yes") == "yes"
    assert comparable("yes @mara") != comparable("yes")
