"""A mail's HTML as it is shown: nothing runs, nothing phones home."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.conversations.formatted import asks_elsewhere, formatted, headers

PICTURES = {"logo@shop": "/attachments/7?inline=1"}


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        pytest.param("<p>Hi <b>Ann</b></p>", "<p>Hi <b>Ann</b></p>", id="plain markup"),
        pytest.param("<p onclick=x()>Hi</p>", "<p>Hi</p>", id="a handler"),
        pytest.param("a<script>x()</script>b", "ab", id="a script"),
        pytest.param("a<style>@import 'https://t.example'</style>b", "ab", id="a style sheet"),
        pytest.param("<form action=/queue/next><button>Go</button></form>", "Go", id="a form"),
        pytest.param("<iframe src=https://t.example></iframe>a", "a", id="a frame"),
        pytest.param('<base href="https://t.example/">a', "a", id="another base"),
        pytest.param('<meta http-equiv="refresh" content="0;url=//t.example">a', "a", id="a redirection"),
        pytest.param("<svg><image href=https://t.example/x></svg>a", "a", id="a drawing"),
        pytest.param(
            '<p style="position:fixed;color:red;background:url(https://t.example)">a</p>',
            '<p style="color:red">a</p>',
            id="styles",
        ),
        pytest.param('<img src="cid:logo@shop">', '<img src="/attachments/7?inline=1">', id="its own image"),
        pytest.param('<img src="CID:logo%40shop">', '<img src="/attachments/7?inline=1">', id="quoted"),
        pytest.param('<img src="cid:other">', "<img>", id="an image that did not come"),
        pytest.param('<img src="/messages/1/html">', "<img>", id="an address of ours"),
        pytest.param('<img src="data:image/svg+xml;base64,AA">', "<img>", id="a drawing in it"),
        pytest.param('<img src="javascript:x()">', "<img>", id="a script as an image"),
    ],
)
def test_what_is_left(html: str, expected: str) -> None:
    assert formatted(html, PICTURES).html == expected


@pytest.mark.parametrize(
    ("href", "link"),
    [
        ("https://shop.example/a", True),
        ("mailto:ann@home.example", True),
        ("tel:+491", True),
        ("javascript:x()", False),
        ("data:text/html,x", False),
        ("cid:x", False),
        ("/conversations/1", False),
        ("//t.example", False),
    ],
)
def test_links_lead_out_and_nowhere_else(href: str, link: bool) -> None:
    shown = formatted(f'<a href="{href}">x</a>', {}).html
    assert (f'href="{href}"' in shown) is link
    assert 'target="_blank"' in shown
    assert "noopener" in shown


def test_remote_images_are_left_out_until_they_are_asked_for() -> None:
    html = '<img src="https://t.example/1.gif" alt="Pixel" srcset="https://t.example/2.gif"><p>Hi</p>'
    blocked, asked = formatted(html, {}), formatted(html, {}, remote=True)
    assert (blocked.remote_images, asked.remote_images) == (1, 1)
    assert "t.example" not in blocked.html
    assert 'alt="Pixel"' in blocked.html
    assert '<img src="https://t.example/1.gif"' in asked.html
    assert "2.gif" not in asked.html
    assert "https:" not in headers(remote=False)["Content-Security-Policy"]
    assert "img-src 'self' data: https: http:;" in headers(remote=True)["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("html", "asks"),
    [
        ('<img src="https://t.example/1.gif">', True),
        ("<IMG WIDTH=1 SRC = 'http://t.example'>", True),
        ('<img src="cid:1">', False),
        ('<a href="https://t.example">', False),
    ],
)
def test_whether_there_is_anything_to_ask_for(html: str, asks: bool) -> None:
    assert asks_elsewhere(html) is asks


@given(st.text(alphabet="<>/=\"' imgsrcahefonlod:;&#xtp.\n", max_size=300))
def test_nothing_that_runs_comes_through(html: str) -> None:
    shown = formatted(html, {}).html.lower()
    assert "<script" not in shown
    assert " onload=" not in shown.partition(">")[0]
    assert 'src="http' not in shown
