"""What a post's HTML says, as plain text.

Mastodon sends posts as HTML: its own, and whatever other servers of the Fediverse made of theirs
(https://docs.joinmastodon.org/spec/activitypub/#sanitization).
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

import nh3

from connectors.fields import BadRecord, clean

MAX_HTML = 500_000
"""Characters of HTML in one post: far more than any server sends."""

_MAX_TAGS = 10_000
_PARAGRAPHS = {"p", "blockquote", "ul", "ol", "pre", "h1", "h2", "h3", "h4", "h5", "h6"}
_KEPT = {*_PARAGRAPHS, "br", "li", "a", "span", "em", "strong", "b", "i", "u", "del", "s", "code"}
_UNSEEN = {"script", "style", "template"}


def plain(html: str) -> str:
    """The text with its paragraphs, line breaks and list items; a link's address where its words hide it.

    Mentions and hashtags stay as they are written, and so do the short codes of a server's own emoji
    (`:blobcat:`). Raises: BadRecord body_too_large, too_complex,
    nul_bytes, bad_encoding.
    """
    if len(html) > MAX_HTML:
        raise BadRecord("body_too_large", f"The HTML has {len(html):,} characters; {MAX_HTML:,} are taken.")
    if html.count("<") > _MAX_TAGS:
        raise BadRecord("too_complex", f"The HTML has more than {_MAX_TAGS:,} tags.")
    # First made well-formed, by what is linear in time for any input; HTMLParser alone is not.
    formed = nh3.clean(
        clean(html, "text"),
        tags=_KEPT,
        clean_content_tags=_UNSEEN,
        attributes={"a": {"href", "class"}},
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
    )
    reader = _Reader()
    reader.feed(formed)
    reader.close()
    text = "".join(reader.parts).replace("\xa0", " ")
    lines = [line.strip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._verbatim = 0
        self._link: tuple[str, int] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self.parts.append("\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag in _PARAGRAPHS:
            self.parts.append("\n\n")
            self._verbatim += tag == "pre"
        elif tag == "a":
            told = dict(attrs)
            named = {"mention", "hashtag"} & set((told.get("class") or "").split())
            self._link = None if named else (told.get("href") or "", len(self.parts))

    def handle_endtag(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self.parts.append("\n\n")
            self._verbatim -= tag == "pre"
        elif tag == "a" and self._link is not None:
            (address, begin), self._link = self._link, None
            words = "".join(self.parts[begin:]).strip()
            # A server shows an address cut short, the rest in unseen spans: then the words are the address.
            if address and _bare(words) != _bare(address) and not words.startswith(("@", "#")):
                self.parts.append(f" ({address})" if words else address)

    def handle_data(self, data: str) -> None:
        self.parts.append(data if self._verbatim else re.sub(r"\s+", " ", data))


def _bare(address: str) -> str:
    return re.sub(r"^(https?://|mailto:)(www\.)?", "", address.strip()).rstrip("/").casefold()
