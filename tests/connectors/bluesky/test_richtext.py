"""Lengths as Bluesky counts them, and facets at the right bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.bluesky.richtext import facets, graphemes, length

DIDS = {"mara.example.com": "did:plc:mara"}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("Grüße", 5),
        ("Gru\u0308ße", 5),  # the same, with the dots of their own
        ("🙂", 1),
        ("👍🏽", 1),  # with a skin tone
        ("👨‍👩‍👧‍👦", 1),  # four people, joined
        ("❤️‍🔥", 1),
        ("🇩🇪🇫🇷", 2),
        ("🇩🇪🇫", 2),
        ("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", 1),  # the flag of Scotland
        ("\u1100\u1161\u11a8", 1),  # Hangul in its parts
        ("각가", 2),
        ("a\r\nb", 3),
        ("\u0301a", 2),  # nothing stands before the accent
        ("ส้ม", 2),
        ("क्षत्रिय", 3),  # conjuncts: kṣa, tri, ya (UAX #29, GB9c)
        ("സ്ത്രീ", 1),
    ],
)
def test_counts_characters_as_people_see_them(text: str, count: int) -> None:
    assert graphemes(text) == count


@given(st.text(max_size=80), st.text(max_size=80))
def test_what_stands_in_two_lines_counts_on_its_own(first: str, second: str) -> None:
    assert graphemes(f"{first}\n\n{second}") >= graphemes(first) + graphemes(second) - 1


@given(st.text(max_size=200))
def test_no_text_is_longer_than_its_code_points(text: str) -> None:
    assert graphemes(text) <= len(text)


def test_many_bytes_count_for_more() -> None:
    family = "👨‍👩‍👧‍👦"  # 25 bytes
    assert graphemes(family * 200) == 200
    assert length(family * 200) == 500
    assert length("a" * 300) == 300


def test_marks_mentions_links_and_tags_in_order() -> None:
    text = "Grüße @mara.example.com, see https://acme.example/é and acme.com. #hilfe 🙂 #ok"
    found = [(part(text, each), feature(each)) for each in facets(text, DIDS.get)]
    assert found == [
        ("@mara.example.com", {"$type": "app.bsky.richtext.facet#mention", "did": "did:plc:mara"}),
        (
            "https://acme.example/é",
            {"$type": "app.bsky.richtext.facet#link", "uri": "https://acme.example/é"},
        ),
        ("acme.com", {"$type": "app.bsky.richtext.facet#link", "uri": "https://acme.com"}),
        ("#hilfe", {"$type": "app.bsky.richtext.facet#tag", "tag": "hilfe"}),
        ("#ok", {"$type": "app.bsky.richtext.facet#tag", "tag": "ok"}),
    ]


def test_a_mention_of_nobody_stays_text() -> None:
    assert facets("@nobody.example.com hello", DIDS.get) == []


@given(st.text(alphabet=st.characters(categories=["L", "So", "Mn"]), max_size=40))
def test_places_are_bytes_whatever_stands_before(before: str) -> None:
    text = f"{before} @mara.example.com {before}"
    [mention] = [each for each in facets(text, DIDS.get) if "did" in feature(each)]
    assert part(text, mention) == "@mara.example.com"


def part(text: str, facet: dict[str, object]) -> str:
    index = facet["index"]
    assert isinstance(index, dict)
    return text.encode()[index["byteStart"] : index["byteEnd"]].decode()


def feature(facet: dict[str, object]) -> dict[str, object]:
    features = facet["features"]
    assert isinstance(features, list)
    found: dict[str, object] = features[0]
    return found
