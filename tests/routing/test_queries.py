"""Boolean queries: what they mean, what they find, and what is said of one that means nothing."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from routing.matching import Post, QuerySet, Reading, anchors, compile_query
from routing.query import And, Is, Near, Not, Or, Phrase, Query, QueryError, Within, parse_query
from routing.words import patterns, words


def finds(query: str, text: str = "", **fields: object) -> bool:
    return compile_query(parse_query(query))(Reading(Post(text, **fields)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        # Words are whole words, whatever their case, accents and width.
        ("refund", "I want a REFUND!", True),
        ("refund", "Refunds take long", False),
        ("reclamation", "Ma RÉCLAMATION", True),
        ("réclamation", "ma reclamation", True),
        ("strasse", "Straße 5", True),
        ("smorrebrod", "Smørrebrød", True),
        ("refund", "ＲＥＦＵＮＤ", True),
        ("i̇stanbul", "ISTANBUL", True),
        ("don't", "I don’t know", True),
        ("acme", "acme's parcel, l'acme", True),
        ("re\u00adfund", "re\u200cfund", True),
        # Phrases.
        ('"late parcel"', "a late, late parcel", True),
        ('"late parcel"', "parcel late", False),
        ("e-mail", "by e-mail", True),
        ("e-mail", "mail e", False),
        # Wildcards.
        ("refund*", "refunding", True),
        ("refund*", "a refund", True),
        ("*fund", "REFUND", True),
        ("re?und", "refund", True),
        ("re?und", "reund", False),
        ('"refund* now"', "refunds now", True),
        (r"re\*fund", "refund", False),
        # Proximity.
        ('"refund parcel"~2', "refund for my parcel", True),
        ('"refund parcel"~1', "refund for my parcel", False),
        ('"refund parcel"~2', "parcel and then refund", True),
        ("refund NEAR/2 parcel", "refund for my parcel", True),
        ("refund NEAR/1 parcel", "refund for my parcel", False),
        ('("money back" OR refund) NEAR/1 now*', "my money back right now", True),
        ('("money back" OR refund) NEAR/1 now*', "my money now and then back", False),
        ('"a b c"~1', "c x b a", True),
        ('"a b c"~1', "c x b x a", False),
        # Boolean.
        ("late AND parcel", "late parcel", True),
        ("late parcel", "late", False),
        ("late OR parcel", "parcel", True),
        ("late OR parcel AND lost", "late", True),
        ("late NOT parcel", "late parcel", False),
        ("late -parcel", "late train", True),
        ("NOT (late OR lost)", "on time", True),
        # Hashtags and handles.
        ("#acme", "I love #ACME.", True),
        ("#acme", "I love acme", False),
        ("acme", "I love #acme", True),
        ("@acme", "hi @acme!", True),
        ("@acme", "mail to jo@acme.example", False),
        ("@acme.bsky.social", "hi @acme.bsky.social", True),
        ("#re*", "#refund", True),
        ("@acme_help", "@Acme_Help hello", True),
        # Without spaces between words; with marks within them.
        ("返金", "返金してください", True),
        ("返金", "金を返す", False),
        ("返金*", "すぐ返金して", True),
        ("#返金", "#返金 お願い", True),
        ("ガス", "ｶﾞｽ料金", True),
        ("ราคา", "สินค้าราคาเท่าไหร่", True),
        ("환불*", "환불은 언제", True),
        ("환불", "환불은 언제", False),
        ("हिन्दी", "हिन्दी में", True),
        ("हिन", "हिन्दी में", False),
        ("محمد", "مُحَمَّد", True),
        ("👍", "great👍🏽", True),
    ],
)
def test_what_a_query_finds(query: str, text: str, found: bool) -> None:
    assert finds(query, text) is found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("lang:de", True),
        ("lang:(en OR de)", True),
        ("lang:en", False),
        ("channel:acme*", True),
        ('channel:"acme on x"', True),
        ("channel:acme", False),
        ("from:@Jane", True),
        ('from:"jane doe"', True),
        ("from:jan", False),
        ("followers:>1000", True),
        ("followers:>=1500", True),
        ("followers:>1500", False),
        ("followers:<2k", True),
        ("followers:1500", True),
        ("followers:[1k TO 2k]", True),
        ("followers:{1500 TO 2k]", False),
        ("sentiment:negative", True),
        ("intent:complaint", True),
        ("intent:(refund_return OR escalation)", False),
        ("LANG:de AND followers:>1k AND parcel", True),
        ("NOT followers:>1000", False),
    ],
)
def test_what_a_field_finds(query: str, found: bool) -> None:
    fields = {
        "language": "de",
        "channel": "Acme on X",
        "authors": ("@jane", "Jane  Doe"),
        "followers": 1500,
        "sentiment": "negative",
        "intents": ("complaint",),
    }
    assert finds(query, "my parcel", **fields) is found


@pytest.mark.parametrize(
    "query", ["lang:de", "followers:>1", "followers:<9", "sentiment:neutral", "intent:other", "from:*"]
)
def test_what_is_not_known_is_in_no_field(query: str) -> None:
    assert not finds(query, "text")


@pytest.mark.parametrize(
    ("query", "position", "message"),
    [
        ("", 0, "the query is empty"),
        ("x AND langg:de", 6, "no field 'langg'; did you mean lang?"),
        ("follower:>5", 0, "no field 'follower'; did you mean followers?"),
        ("zzz:1", 0, "no field 'zzz'; there are lang, channel, from, followers, sentiment, intent"),
        ("intent:complant", 7, "no intent 'complant'; did you mean complaint?"),
        ("lang:german", 5, "'german' is no code of a language such as en or de"),
        ("followers:many", 10, "many is no whole number such as 1000 or 10k"),
        ("lang:>5", 5, "lang has no order: write such as followers:>1000"),
        ("followers:[9 TO 5]", 10, "nothing lies in this range"),
        ("lang:(de from:x)", 9, "from stands within lang"),
        ("a b OR c", 2, "OR beside words without AND can be read in two ways: add parentheses"),
        ("a OR OR b", 5, "OR stands between two things: here one is missing"),
        ("a AND", 5, "something is missing at the end"),
        ("(a OR b", 0, "this ( is never closed"),
        ("a )", 2, "nothing stands before this )"),
        ('a "b c', 2, "this quotation mark is never closed"),
        ("a || b", 2, "|| has no meaning here; write OR"),
        ("a ||b", 2, "|| has no meaning here; write OR"),
        ("refund~2", 0, "~ stands after a phrase; for other spellings of a word write * or ?"),
        ("refund^2", 0, "^ has no meaning here: a message matches or it does not"),
        ("x /y/", 2, "a regular expression cannot stand here; put / in quotation marks"),
        ("https://a.example", 0, "put an address in quotation marks"),
        ("a *", 2, "* alone fits every word"),
        ("a NEAR/5", 2, "NEAR/5 stands between two words, phrases or groups in parentheses"),
        ("a NEAR/5 lang:de", 2, "NEAR/5 stands between two words, phrases or groups in parentheses"),
        ("a NEAR/5 (b AND c)", 10, "NEAR stands between words, phrases, or such joined by OR in parentheses"),
        ("a NEAR/5 b NEAR/5 c", 2, 'three and more stand near each other so: "a b c"~5'),
        ("a NEAR/500 b", 2, "words that are more than 100 apart are not near"),
        ('"a"~5', 0, "one word alone is near to nothing"),
        ("(" * 60 + "a" + ")" * 60, 41, "more than 40 things stand within each other"),
        ("a" * 5000, 4000, "the query has more than 4000 characters"),
    ],
)
def test_a_mistake_is_told_with_its_place(query: str, position: int, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(query)
    assert (caught.value.position, caught.value.message) == (position, message)
    assert str(caught.value) == f"{message} (at character {position + 1})"


def test_near_binds_its_neighbours_only() -> None:
    assert parse_query("x OR a NEAR/5 b AND c") == Or(
        (
            Phrase(("x",)),
            And((Near(((Phrase(("a",)),), (Phrase(("b",)),)), 5), Phrase(("c",)))),
        )
    )


@given(st.text(max_size=60))
@example("a\\")
@example("NEAR/1 (")
@example('"\\"')
@example("[a TO")
@example(":")
@example("a:")
def test_a_query_is_read_or_its_mistake_told(text: str) -> None:
    try:
        query = parse_query(text)
    except QueryError as error:
        position = error.position
    else:
        position = 0
        compile_query(query)(Reading(Post(text)))
    assert 0 <= position <= len(text)


@given(st.text())
def test_a_text_is_found_by_each_of_its_words(text: str) -> None:
    for word in words(text):
        assert patterns(word) == [word]
        assert compile_query(Phrase((word,)))(Reading(Post(text)))


# --- the engine against a plain one -------------------------------------------------------------------------


def fits(pattern: str, word: str) -> bool:
    """A glob by its definition; a word with a sign before it is also the word."""
    return _glob(pattern, word) or (word[0] in "#@" and _glob(pattern, word[1:]))


@cache
def _glob(pattern: str, word: str) -> bool:
    if not pattern:
        return not word
    if pattern[0] == "*":
        return any(_glob(pattern[1:], word[start:]) for start in range(len(word) + 1))
    return bool(word) and pattern[0] in ("?", word[0]) and _glob(pattern[1:], word[1:])


def spans(phrase: Phrase, said: list[str]) -> list[tuple[int, int]]:
    size = len(phrase.words)
    return [
        (start, start + size)
        for start in range(len(said) - size + 1)
        if all(fits(pattern, word) for pattern, word in zip(phrase.words, said[start:], strict=False))
    ]


def plainly(query: Query, post: Post) -> bool:
    said = words(post.text)
    match query:
        case Phrase():
            return bool(spans(query, said))
        case Near(groups):
            return any(
                all(
                    any(start <= a and b <= start + query.stretch for p in group for a, b in spans(p, said))
                    for group in groups
                )
                for start in range(len(said))
            )
        case Is("lang", value):
            return post.language == value
        case Is("intent", value):
            return value in post.intents
        case Within(_, low, high):
            known = post.followers
            return known is not None and known >= (low or 0) and (high is None or known <= high)
        case And(parts):
            return all(plainly(part, post) for part in parts)
        case Or(parts):
            return any(plainly(part, post) for part in parts)
        case Not(part):
            return not plainly(part, post)
    raise AssertionError(query)


def written(query: Query) -> str:
    match query:
        case Phrase((word,)):
            return word
        case Phrase(parts):
            return f'"{" ".join(parts)}"'
        case Near(groups, others):
            left, right = (f"({' OR '.join(map(written, group))})" for group in groups)
            return f"{left} NEAR/{others} {right}"
        case Is(field, value):
            return f"{field}:{value}"
        case Within(field, low, high):
            return f"{field}:<={high}" if low is None else f"{field}:>={low}"
        case And(parts):
            return f"({' AND '.join(map(written, parts))})"
        case Or(parts):
            return f"({' OR '.join(map(written, parts))})"
        case Not(part):
            return f"NOT {written(part)}"


SAID = ["a", "b", "ab", "abc", "#ab", "@b", "é", "金"]
WORDS = st.sampled_from(["a", "b", "ab", "abc", "#ab", "@b", "e", "金", "a*", "*b", "a?", "*", "#a*", "?b*"])
PHRASES = st.lists(WORDS.filter(lambda word: word != "*"), min_size=1, max_size=3).map(
    lambda found: Phrase(tuple(found))
)
LEAVES: st.SearchStrategy[Query] = st.one_of(
    PHRASES,
    st.builds(
        lambda left, right, others: Near((tuple(left), tuple(right)), others),
        st.lists(PHRASES, min_size=1, max_size=2),
        st.lists(PHRASES, min_size=1, max_size=2),
        st.integers(0, 3),
    ),
    st.sampled_from(["de", "en"]).map(lambda value: Is("lang", value)),
    st.just(Is("intent", "complaint")),
    st.integers(0, 3).map(lambda low: Within("followers", low, None)),
    st.integers(0, 3).map(lambda high: Within("followers", None, high)),
)
QUERIES: st.SearchStrategy[Query] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: Or(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=6,
)
POSTS = st.builds(
    Post,
    text=st.lists(st.sampled_from(SAID), max_size=9).map(" ".join),
    language=st.sampled_from([None, "de", "en"]),
    followers=st.sampled_from([None, 0, 2, 5]),
    intents=st.sampled_from([(), ("complaint",)]),
)


@given(st.lists(QUERIES, min_size=1, max_size=5), st.lists(POSTS, min_size=1, max_size=5))
def test_the_engine_finds_what_a_plain_one_finds(queries: list[Query], posts: list[Post]) -> None:
    index = QuerySet(dict(enumerate(queries)))
    for post in posts:
        expected = [number for number, query in enumerate(queries) if plainly(query, post)]
        assert index.matches(post) == expected
        assert [n for n, query in enumerate(queries) if compile_query(query)(Reading(post))] == expected


@given(QUERIES, POSTS)
def test_a_query_that_is_written_and_read_finds_the_same(query: Query, post: Post) -> None:
    assert plainly(parse_query(written(query)), post) == plainly(query, post)


@pytest.mark.parametrize(
    ("query", "needed"),
    [
        ("refund AND parcel*", {"refund"}),
        ("refund OR parcel*", {"refund", "parcel*"}),
        ("ab (longer OR longest)", {"longer", "longest"}),
        ('"late parcel" NOT lang:de', {"parcel"}),
        ("(late OR lost) NEAR/3 a*", {"late", "lost"}),
        ("refund OR lang:de", None),
        ("*fund", None),
        ("NOT refund", None),
        ("#re*", {"#re*"}),
    ],
)
def test_what_a_query_needs_at_least(query: str, needed: set[str] | None) -> None:
    assert anchors(parse_query(query)) == needed
