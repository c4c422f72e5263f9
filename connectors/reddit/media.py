"""The pictures and films of submissions: where Reddit keeps them, and what they are.

The shapes are those of github.com/reddit-archive/reddit/wiki/JSON, and of galleries as Reddit answers them:
`gallery_data` has their order and captions, `media_metadata` where each lies.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from connectors.base import Attachment
from connectors.fields import clean

HOSTS = ("i.redd.it", "preview.redd.it", "v.redd.it")
"""Where Reddit keeps what was uploaded to it; a submission may as well link to a picture elsewhere."""
_MAX_PICTURES = 20  # a gallery has no more


def attachments(
    hint: str | None, url: str | None, gallery: Any, metadata: Any, media: Any
) -> Iterator[Attachment]:
    """What a submission shows, by its members `post_hint`, `url`, `gallery_data`, `media_metadata`,
    `media`."""
    film = _member(_member(media, "reddit_video"), "fallback_url")
    if isinstance(film, str):
        # Reddit keeps pictures and sound of a film apart; this is the pictures.
        yield _attachment(film, "video/mp4", None)
        return
    pictures = _member(gallery, "items")
    for item in pictures[:_MAX_PICTURES] if isinstance(pictures, list) else ():
        found = _member(metadata, str(_member(item, "media_id")))
        source = _member(found, "s")
        address = _member(source, "u") or _member(source, "gif")
        if isinstance(address, str):
            caption, kind = _member(item, "caption"), _member(found, "m")
            yield _attachment(address, kind if isinstance(kind, str) else None, caption)
    if hint == "image" and url:
        yield _attachment(url, None, None)


def _attachment(url: str, content_type: str | None, caption: Any) -> Attachment:
    url = clean(url, "address")
    name = url.partition("?")[0].rpartition("/")[2] or "picture"
    guessed = (content_type or mimetypes.guess_type(name)[0] or "image/*").replace("image/jpg", "image/jpeg")
    return Attachment(
        name,
        clean(guessed, "content type")[:100],
        0,
        url=url,
        description=clean(caption, "caption").strip() or None if isinstance(caption, str) else None,
        fetchable=_host(url) in HOSTS,
    )


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _member(found: Any, name: str) -> Any:
    return found.get(name) if isinstance(found, Mapping) else None
