"""A mail's HTML as it may be shown: what runs, phones home or leaves its frame is taken out.

Two fences, each enough alone: what `nh3` lets through, and the policy that `headers` has the browser keep.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import unquote

import nh3

# A longer one is no mail that somebody reads here; its text is there all the same.
LONGEST = 2_000_000
_TAGS = """
    a abbr address article b big blockquote br caption center cite code col colgroup dd del details dfn
    div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark ol
    p pre q s samp section small span strike strong sub summary sup table tbody td tfoot th thead tr tt
    u ul var wbr
"""
_ATTRIBUTES = {
    "*": {"align", "bgcolor", "dir", "lang", "style", "title", "valign"},
    "a": {"href"},
    "col": {"span", "width"},
    "font": {"color", "face", "size"},
    "img": {"alt", "height", "src", "width"},
    "ol": {"start", "type"},
    "table": {"border", "cellpadding", "cellspacing", "width"},
    "td": {"colspan", "rowspan", "height", "width"},
    "th": {"colspan", "rowspan", "height", "width"},
}
_STYLES = """
    background-color border border-bottom border-collapse border-color border-left border-radius
    border-right border-spacing border-style border-top border-width color direction display font
    font-family font-size font-style font-weight height letter-spacing line-height list-style-type
    margin margin-bottom margin-left margin-right margin-top max-width min-width padding padding-bottom
    padding-left padding-right padding-top text-align text-decoration text-indent text-transform
    vertical-align white-space width word-break
"""
_UNSEEN = {"head", "iframe", "math", "noscript", "object", "script", "style", "svg", "template", "title"}
_LINKS = ("http://", "https://", "mailto:", "tel:")
_ELSEWHERE = re.compile(r"<img\b[^>]{0,5000}?\bsrc\s*=\s*[\"']?\s*https?:", re.IGNORECASE)
_PICTURES = ("data:image/png;", "data:image/jpeg;", "data:image/gif;", "data:image/webp;")


@dataclass(frozen=True, slots=True)
class Formatted:
    """`html` is safe to show in a frame of its own; `remote_images` counts those that lie elsewhere."""

    html: str
    remote_images: int


def formatted(html: str, pictures: Mapping[str, str], *, remote: bool = False) -> Formatted:
    """The HTML of a mail. `pictures` are addresses by content id, for the images that came with it.

    Images that lie elsewhere are left out, with their addresses, unless `remote`: who fetches them tells the
    sender that, when and from where the mail was read.
    """
    elsewhere = 0

    def keep(tag: str, attribute: str, value: str) -> str | None:
        nonlocal elsewhere
        if attribute == "href":
            return value if value.strip().lower().startswith(_LINKS) else None
        if tag != "img" or attribute != "src":
            return value
        address = value.strip()
        scheme = address.partition(":")[0].lower()
        if scheme == "cid":
            return pictures.get(unquote(address[4:]))
        if scheme in ("http", "https"):
            elsewhere += 1
            return address if remote else None
        return address if address.lower().startswith(_PICTURES) else None

    clean = nh3.clean(
        html[:LONGEST],
        tags=set(_TAGS.split()),
        clean_content_tags=_UNSEEN,
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        filter_style_properties=set(_STYLES.split()),
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
        link_rel="nofollow noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return Formatted(clean, elsewhere)


def asks_elsewhere(html: str) -> bool:
    """Whether some of its images seem to lie elsewhere, told without reading it whole."""
    return _ELSEWHERE.search(html[:LONGEST]) is not None


def page(shown: Formatted, stylesheet: str, language: str | None) -> str:
    """A whole document for the frame; `stylesheet` is the address of ours."""
    lang = f' lang="{escape(language)}"' if language else ""
    return (
        f'<!doctype html><html{lang}><head><meta charset="utf-8"><title>Message</title>'
        f'<link rel="stylesheet" href="{escape(stylesheet)}"></head>'
        f"<body>{shown.html}</body></html>"
    )


def headers(*, remote: bool) -> dict[str, str]:
    """What the browser is told of the document: no scripts, no forms, nothing from elsewhere but what was
    asked for, and only inside a page of ours."""
    images = "'self' data: https: http:" if remote else "'self' data:"
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; img-src {images}; style-src 'self' 'unsafe-inline'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'self'; "
            "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
        ),
        "X-Frame-Options": "SAMEORIGIN",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "private, no-cache",
    }
