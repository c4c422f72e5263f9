"""HTML to text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.fields import BadRecord
from connectors.mastodon.content import MAX_HTML, plain

_MENTION = (
    '<span class="h-card"><a href="https://toot.example/@acme" class="u-url mention">'
    "@<span>acme</span></a></span>"
)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<p>one<br>two<br />three</p>", "one\ntwo\nthree"),
        ("<p>a &lt;b&gt; &amp; c&nbsp;d &#128578;</p>", "a <b> & c d 🙂"),
        (f"<p>{_MENTION} hello</p>", "@acme hello"),
        (
            '<p><a href="https://toot.example/tags/fridge" class="mention hashtag">#<span>fridge</span></a>',
            "#fridge",
        ),
        ("<p>:blobcat: well</p>", ":blobcat: well"),
        (
            '<a href="https://www.garden.example/a/b"><span class="invisible">https://www.</span>'
            '<span class="ellipsis">garden.example/a</span><span class="invisible">/b</span></a>!',
            "https://www.garden.example/a/b!",
        ),
        ('<a href="https://garden.example/">garden.example</a>', "garden.example"),
        ('<a href="https://garden.example/x">here</a>', "here (https://garden.example/x)"),
        ('<a href="https://garden.example/x"></a>', "https://garden.example/x"),
        ('<a href="javascript:alert(1)">here</a>', "here"),
        ('<a href="https://garden.example/@mara">@mara</a>', "@mara"),
        ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
        ("<blockquote><p>said</p></blockquote><p>no</p>", "said\n\nno"),
        ("<pre>a\n  b</pre>", "a\nb"),
        ("<p>a\n   b</p>", "a b"),
        ("<script>alert(1)</script><style>p {}</style>words", "words"),
        ("words, not HTML", "words, not HTML"),
        ("<p>never closed <b>bold", "never closed bold"),
        ("<!-- no comment -->", ""),
        ("", ""),
    ],
)
def test_reads_as_people_see_it(html: str, text: str) -> None:
    assert plain(html) == text


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("x" * (MAX_HTML + 1), "body_too_large"),
        ("<p>" * 10_001, "too_complex"),
        ("a\x00b", "nul_bytes"),
        ("a\ud800b", "bad_encoding"),
    ],
)
def test_what_cannot_be_read_says_why(html: str, reason: str) -> None:
    with pytest.raises(BadRecord) as told:
        plain(html)
    assert told.value.reason == reason


@given(
    st.lists(
        st.sampled_from(
            ["<p>", "</p>", "<a href='x'>", "</a>", "<!--", "&amp", "<br", ">", "é", "\n", "<li>"]
        )
    )
)
def test_anything_gives_text_without_markup_of_ours(parts: list[str]) -> None:
    assert "<p>" not in plain("".join(parts))


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="<>&\x00")))
def test_words_stay(text: str) -> None:
    assert plain(f"<p>{text}</p>").split() == text.split()
