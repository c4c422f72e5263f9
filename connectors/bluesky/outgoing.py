"""A reply as the record that is written: its key, its text with facets, what it answers, its images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.base import Attachment, BadPayload, OutboundMessage, Refused
from connectors.bluesky.client import BlueskyClient
from connectors.bluesky.parse import POSTS
from connectors.bluesky.richtext import MAX_GRAPHEMES, facets, length

MAX_IMAGES = 4
MAX_IMAGE_BYTES = 1_000_000
_ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"
_EPOCH = datetime(2023, 1, 1, tzinfo=UTC)


def record_key(message: OutboundMessage) -> str:
    """The key of a reply's record: the same on every try, so that sending twice is one record.

    It is a TID (https://atproto.com/specs/tid), which the lexicon asks for: microseconds since 1970 and ten
    bits more. The second is that of writing; the thirty bits below it are of the idempotency key's hash.
    """
    digest = int.from_bytes(hashlib.sha256(message.idempotency_key.encode("utf-8", "replace")).digest()[:8])
    seconds = int((message.created_at or _EPOCH).timestamp())
    number = (seconds * 1_000_000 + (digest >> 10) % 1_000_000) << 10 | digest & 0x3FF
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(60, -1, -5))


def record(message: OutboundMessage, client: BlueskyClient, now: datetime) -> dict[str, Any]:
    """The record of a reply, its images uploaded. Raises: RetryLater, AuthExpired, Refused."""
    images = _images(message.attachments)
    if length(message.text) > MAX_GRAPHEMES:
        raise Refused(f"A post on Bluesky has at most {MAX_GRAPHEMES} characters.")
    parent, root = _answered(message, client)
    written = (message.created_at or now).astimezone(UTC).isoformat(timespec="milliseconds")
    found: dict[str, Any] = {
        "$type": POSTS,
        "text": message.text,
        "createdAt": written.replace("+00:00", "Z"),
        "reply": {"root": root, "parent": parent},
    }
    parts = facets(message.text, _resolver(client))
    if parts:
        found["facets"] = parts
    if images:
        found["embed"] = {
            "$type": "app.bsky.embed.images",
            "images": [
                {"image": client.upload(content, image.content_type), "alt": image.description or ""}
                for image, content in images
            ],
        }
    return found


def _images(attachments: tuple[Attachment, ...]) -> list[tuple[Attachment, bytes]]:
    """What Bluesky takes with a post, known before anything is uploaded. Raises: Refused."""
    if len(attachments) > MAX_IMAGES:
        raise Refused(f"A post on Bluesky has at most {MAX_IMAGES} images.")
    found = []
    for each in attachments:
        if not each.content_type.startswith("image/"):
            raise Refused(f"Bluesky takes images with a reply; {each.name} is {each.content_type}.")
        if each.content is None:
            raise Refused(f"The content of {each.name} is not at hand.")
        if len(each.content) > MAX_IMAGE_BYTES:
            raise Refused(f"{each.name} is larger than the {MAX_IMAGE_BYTES:,} bytes that Bluesky takes.")
        found.append((each, each.content))
    return found


def _answered(message: OutboundMessage, client: BlueskyClient) -> tuple[dict[str, str], dict[str, str]]:
    """Parent and root of a reply: of the `meta` of what it answers, else as the vendor knows that post."""
    own, root = _ref(message.answered), _ref(message.answered.get("root"))
    if own is not None:
        return own, root or own
    if not message.in_reply_to:
        raise Refused("A reply on Bluesky answers a post, and it is not known which.")
    try:
        posts = client.get("app.bsky.feed.getPosts", uris=[message.in_reply_to]).get("posts")
    except BadPayload as error:
        raise Refused(str(error)) from error
    post = posts[0] if isinstance(posts, list) and posts else None
    own = _ref(post)
    if own is None or not isinstance(post, Mapping):
        raise Refused("The post that this answers is gone.")
    written = post.get("record")
    reply = written.get("reply") if isinstance(written, Mapping) else None
    root = _ref(reply.get("root")) if isinstance(reply, Mapping) else None
    return own, root or own


def _ref(found: Any) -> dict[str, str] | None:
    uri, cid = (found.get("uri"), found.get("cid")) if isinstance(found, Mapping) else (None, None)
    return {"uri": uri, "cid": cid} if isinstance(uri, str) and isinstance(cid, str) else None


def _resolver(client: BlueskyClient) -> Callable[[str], str | None]:
    def resolve(handle: str) -> str | None:
        try:
            did = client.get("com.atproto.identity.resolveHandle", handle=handle).get("did")
        except BadPayload:
            return None  # there is nobody of that name
        return did if isinstance(did, str) else None

    return resolve


def uri_of(did: str, message: OutboundMessage) -> str:
    """The address that a reply has, or will have, in this account's repository."""
    return f"at://{did}/{POSTS}/{record_key(message)}"
