"""What is cut from a text, what is kept, and that no text takes long."""

from __future__ import annotations

import re
import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment.text import MAX_CHARS, clean, is_blank, kept, letters, spell_out


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("@SpotifyCares it&#39;s broken &amp; slow", "@user it's broken & slow"),
        ("see https://t.co/AbC?x=1#y now", "see http now"),
        ("www.example.com/a is down", "http is down"),
        ("write to jo.doe+x@mail.example.org, please", "write to http, please"),
        ("@jo@social.example hi", "@user hi"),
        ("meet me @ noon", "meet me @ noon"),
        ("  two\n\n lines\t", "two lines"),
        ("nul\x00 and \u200bzero width\ufeff", "nul and zero width"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("e\u0301", "é"),
        ("SGVsbG8gd29ybGQsIHRoaXMgaXMgYmFzZTY0IGFuZCBub3QgYSB0ZXh0IQ==", ""),
        (
            "soooooooooooooooooooooooooooooooooooooooooooooooo good",
            "soooooooooooooooooooooooooooooooooooooooooooooooo good",
        ),
        ("", ""),
    ],
)
def test_clean(written: str, cleaned: str) -> None:
    assert clean(written) == cleaned


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("Hi there,\n\nI was charged twice.", "I was charged twice."),
        ("Hi can I change it", "can I change it"),
        ("@Shop @Care hey, where is it", "@user @user where is it"),
        ("Hi Northpeak support team, my phone is broken", "my phone is broken"),
        ("Good morning, where is it now", "where is it now"),
        ("To whom it may concern: my bill is wrong", "my bill is wrong"),
        ("Dear Sir or Madam,\n\nWhere is it?\n\nKind regards,\nSam Miller", "Where is it?"),
        ("Expected more from you, yours sincerely, Dr. Ann O'Hara", "Expected more from you,"),
        ("It broke. Order 4471902.", "It broke."),
        ("It broke (ref. AB-10293)", "It broke"),
        ("Case #88213: it broke again", "it broke again"),
        ("My order number is 4471902. It broke.", "It broke."),
        ("Where is order no. 4471902?", "Where is order ?"),
        # What only looks like one.
        ("Hey Jude is playing", "Hey Jude is playing"),
        ("Dear god this is bad", "Dear god this is bad"),
        ("good morning everyone! lovely day", "good morning everyone! lovely day"),
        ("Hiking is fun", "Hiking is fun"),
        ("Regards from Spain! Love it", "Regards from Spain! Love it"),
        ("I gave it in order 2014 to win", "I gave it in order 2014 to win"),
        ("an order of 400 cups in case of rain", "an order of 400 cups in case of rain"),
        # Nothing else is said.
        *(
            (text, text)
            for text in ("Hi", "Hello team,", "Order 4471902", "Dear Sir,\n😡", "Best wishes, Sam")
        ),
        ("@some_shop @Care hi", "@user @user hi"),
    ],
)
def test_formulas_are_not_read_where_more_is_said(written: str, cleaned: str) -> None:
    assert clean(written) == " ".join(cleaned.split())


def test_formulas_of_a_long_text_are_at_its_very_ends() -> None:
    middle = "it rains in spring. " * 1_000
    cleaned = clean(f"Dear team,\n{middle}Case 77123. And then\n\nKind regards\nSam")
    assert cleaned.startswith("it rains")
    assert cleaned.endswith("it rains in spring. And then")


@given(
    st.lists(
        st.sampled_from(["Hi", "dear", "Sam", ",", "\n", "order", "no.", "77123", "(", ")", ".", "is", "@a"])
    )
)
def test_what_is_read_stands_in_order_and_apart(words: list[str]) -> None:
    text = " ".join(words)
    spans = kept(text)
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_letters_are_only_words() -> None:
    assert letters(clean("@jo Ça va? 100 % 😀 https://x.example/y #très_bien it’s")) == "Ça va très bien it's"


@pytest.mark.parametrize(
    ("cleaned", "spelled"),
    [
        ("late again 😡", "late again angry"),
        ("nice👍🏽", "nice good"),
        ("❤️❤️", "love love"),
        ("🇩🇪 fans", "fans"),
        ("👩‍💻 works", "woman personal computer works"),
        ("sauce 🍝", "sauce spaghetti"),
        ("#NotAgain #fail", "# Not Again # fail"),
        ("sooooo goooood, hmm, 10000", "soo good, hmm, 10000"),
        ("it’s “fine”", 'it\'s "fine"'),
        ("a → b, 50 € ½ ok", "a → b, 50 € ½ ok"),
        ("", ""),
    ],
)
def test_spelled_for_a_vocabulary_of_plain_words(cleaned: str, spelled: str) -> None:
    assert spell_out(cleaned) == spelled


@pytest.mark.parametrize(
    ("cleaned", "blank"),
    [("", True), ("@user http ...", True), ("!?", True), ("ok", False), ("7", False), ("😡", False)],
)
def test_what_says_nothing(cleaned: str, blank: bool) -> None:
    assert is_blank(cleaned) is blank


@given(st.text(st.characters(), max_size=300))
def test_what_is_left_can_be_seen(text: str) -> None:
    cleaned = clean(text)
    assert cleaned == cleaned.strip()
    assert all(unicodedata.category(c) not in ("Cc", "Cs", "Cn", "Co") for c in cleaned)
    assert not re.search(r"\s\s", cleaned)


def test_the_end_of_a_long_text_is_kept() -> None:
    cleaned = clean("begin " + "x " * 50_000 + " end")
    assert cleaned.startswith("begin x")
    assert cleaned.endswith("x end")
    assert len(cleaned) <= MAX_CHARS


@pytest.mark.parametrize(
    "unit",
    [
        *("a@", "@", "http://", "&amp;", "a.", "A1b=", "😡", "www.", "\u0301", "@a@", "-", "+a@b-", "hi "),
        *(
            "@a ",
            "dear A ",
            "order no. ",
            "order    ",
            "(ref. ",
            "A-1",
            "case 1A-",
            "my ",
            "regards A. ",
            ". \n",
        ),
    ],
)
def test_no_text_takes_long(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    started_at = time.process_time()
    cleaned = clean(text)
    letters(cleaned)
    spell_out(cleaned)
    assert time.process_time() - started_at < 1.0


def test_a_long_text_is_cut_between_words() -> None:
    text = " ".join(f"@handle{number}" for number in range(5_000))
    assert set(clean(text).split()) == {"@user"}
