"""Posts as Bluesky shows them to messages. Nothing here asks a clock or the network.

A post comes as one shape from everywhere: `uri`, `cid`, `author`, `record`, `indexedAt` (a notification of
app.bsky.notification.listNotifications, a post view of app.bsky.feed.searchPosts, or what `stream` makes of
an event). Its `record` is an app.bsky.feed.post: https://github.com/bluesky-social/atproto/tree/main/lexicons
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.base import Attachment, Author, BadPayload, Identity, InboundMessage, Rejected
from connectors.fields import MAX_BODY_BYTES, MAX_FOLLOWERS, MAX_ID_LENGTH, BadRecord, body, clean, moment

POSTS = "app.bsky.feed.post"
PLACE = "bluesky"
_URI = re.compile(r"at://(did:[a-z]+:[A-Za-z0-9._:%-]+)/app\.bsky\.feed\.post/([A-Za-z0-9._~:-]+)")
_BELIEVED = timedelta(days=1)
MEDIA_URL = "https://cdn.bsky.app"
"""Where Bluesky shows the pictures of everybody's posts."""
_LARGEST_SIZE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Profile:
    """An account as app.bsky.actor.getProfiles tells it."""

    did: str
    handle: str
    name: str | None
    followers: int | None


def profiles(answer: Mapping[str, Any]) -> Iterator[Profile]:
    """The accounts in an answer of getProfiles; what cannot be read is left out."""
    for found in _rows(answer, "profiles"):
        did, handle, name = found.get("did"), found.get("handle"), found.get("displayName")
        count = found.get("followersCount")
        if isinstance(did, str) and isinstance(handle, str):
            yield Profile(
                did,
                handle,
                name if isinstance(name, str) and name.strip() else None,
                min(count, MAX_FOLLOWERS) if isinstance(count, int) and count >= 0 else None,
            )


def rows(answer: Mapping[str, Any], name: str) -> list[Any]:
    """The list that an answer is about. Raises: BadPayload where there is none."""
    found = answer.get(name)
    if not isinstance(found, list):
        raise BadPayload(f"Bluesky's answer has no list of {name}.")
    return found


def _rows(answer: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    yield from (row for row in rows(answer, name) if isinstance(row, Mapping))


def address(uri: Any) -> tuple[str, str] | None:
    """The author's DID and the record key of a post's `at://` address; None where it is no post's."""
    match = _URI.fullmatch(uri) if isinstance(uri, str) and len(uri) <= MAX_ID_LENGTH else None
    return (match[1], match[2]) if match else None


def listed_at(row: Any) -> datetime | None:
    """The time by which listings are ordered: that of indexing, or of writing where that is earlier."""
    if not isinstance(row, Mapping):
        return None
    record = row.get("record")
    written = _time(record.get("createdAt")) if isinstance(record, Mapping) else None
    times = [time for time in (_time(row.get("indexedAt")), written) if time is not None]
    return min(times, default=None)


def messages(
    found: Iterable[Any],
    *,
    me: str,
    people: Mapping[str, Profile],
    now: datetime,
    where: str,
    media_url: str = MEDIA_URL,
) -> tuple[InboundMessage | Rejected, ...]:
    """The messages of these posts. One that cannot be read is rejected alone; one of our own is left out.

    `media_url` is where the vendor shows pictures."""
    items: list[InboundMessage | Rejected] = []
    for row in found:
        try:
            message = _message(row, me, people, now, media_url)
        except BadRecord as bad:
            place = row.get("uri") if isinstance(row, Mapping) else None
            raw = json.dumps(row, sort_keys=True).encode()
            items.append(Rejected(raw, bad.reason, bad.detail, f"{where}, {str(place)[:MAX_ID_LENGTH]}"))
        else:
            items.extend(() if message is None else (message,))
    return tuple(items)


def addressed(record: Mapping[str, Any], me: str) -> bool:
    """Whether a post mentions this account, answers into one of its threads, or quotes it."""
    reply, quoted = record.get("reply"), _quoted(record)
    near = [_uri_in(reply, "parent"), _uri_in(reply, "root")] if isinstance(reply, Mapping) else []
    if any(found is not None and found[0] == me for found in (*map(address, near), address(quoted))):
        return True
    return any(feature.get("did") == me for feature in _features(record))


def _message(
    row: Any, me: str, people: Mapping[str, Profile], now: datetime, media_url: str
) -> InboundMessage | None:
    if not isinstance(row, Mapping):
        raise BadRecord("not_an_object", "The post is not a JSON object.")
    found = address(row.get("uri"))
    if found is None:
        raise BadRecord("bad_uri", "The post has no address of the form at://did/app.bsky.feed.post/key.")
    did, key = found
    cid, record = row.get("cid"), row.get("record")
    if not isinstance(cid, str) or not cid:
        raise BadRecord("missing_cid", "The post has no cid, without which nobody can answer it.")
    if not isinstance(record, Mapping):
        raise BadRecord("missing_record", "The post has no record.")
    if did == me:
        return None
    uri = str(row["uri"])
    own = {"uri": uri, "cid": clean(cid, "cid")}
    reply = record.get("reply")
    root, parent = (
        (_ref(reply, "root"), _ref(reply, "parent")) if isinstance(reply, Mapping) else (None, None)
    )
    root = root or parent or own
    author = _author(row.get("author"), did, people)
    attachments = tuple(_attachments(record, did, media_url))
    shown = next((each.value for each in author.identities if each.kind == "handle"), did)
    return InboundMessage(
        external_id=uri,
        text=_text(record, attachments),
        author=author,
        sent_at=_sent_at(row, record, now),
        thread_key=root["uri"],
        in_reply_to=tuple(dict.fromkeys(each["uri"] for each in (parent, root) if each and each != own)),
        addressed=addressed(record, me),
        url=f"https://bsky.app/profile/{shown}/post/{key}",
        attachments=attachments,
        meta={
            **own,
            "root": root,
            "languages": [clean(each, "language") for each in _strings(record.get("langs"))],
            "links": [
                clean(each["uri"], "link") for each in _features(record) if isinstance(each.get("uri"), str)
            ],
        },
    )


def _text(record: Mapping[str, Any], attachments: tuple[Attachment, ...]) -> str:
    text = record.get("text")
    if not isinstance(text, str):
        raise BadRecord("missing_text", "The post has no text.")
    if text.strip():
        return body(text, MAX_BODY_BYTES)
    # Nobody wrote a word: what the post shows stands for them.
    embed = record.get("embed")
    external = embed.get("external") if isinstance(embed, Mapping) else None
    link = external.get("uri") if isinstance(external, Mapping) else None
    quoted = address(_quoted(record))
    if isinstance(link, str) and link.strip():
        return body(link, MAX_BODY_BYTES)
    if quoted is not None:
        return f"https://bsky.app/profile/{quoted[0]}/post/{quoted[1]}"
    return clean(text, "text") if attachments else body(text, MAX_BODY_BYTES)


def _author(found: Any, did: str, people: Mapping[str, Profile]) -> Author:
    profile = people.get(did)
    view = found if isinstance(found, Mapping) else {}
    handle = profile.handle if profile else view.get("handle")
    name = profile.name if profile else view.get("displayName")
    # The DID decides who it is: a handle may be given up, and taken by somebody else.
    identities = [Identity("external", clean(did, "author"), PLACE)]
    if isinstance(handle, str) and handle and handle != "handle.invalid":
        identities.append(Identity("handle", clean(handle, "handle")[:MAX_ID_LENGTH], PLACE))
    named = clean(name, "author's name").strip()[:MAX_ID_LENGTH] if isinstance(name, str) else ""
    return Author(tuple(identities), named or None, profile.followers if profile else None)


def _sent_at(row: Mapping[str, Any], record: Mapping[str, Any], now: datetime) -> datetime:
    """When it was written, as far as its author is believed: an author may claim any time."""
    written, indexed = _time(record.get("createdAt")), _time(row.get("indexedAt"))
    if indexed is None:
        return moment(record.get("createdAt"), UTC, now)
    if written is not None and indexed - _BELIEVED <= written <= indexed:
        return written
    return moment(row.get("indexedAt"), UTC, now)


def _attachments(record: Mapping[str, Any], did: str, media_url: str) -> Iterator[Attachment]:
    embed = record.get("embed")
    if not isinstance(embed, Mapping):
        return
    media = embed.get("media") if isinstance(embed.get("media"), Mapping) else embed
    images = media.get("images") if isinstance(media, Mapping) else None
    for image in images if isinstance(images, list) else []:
        if isinstance(image, Mapping):
            yield from _attachment(image.get("image"), image.get("alt"), "image", did, media_url)
    if isinstance(media, Mapping) and media.get("video") is not None:
        yield from _attachment(media["video"], media.get("alt"), "video", did, media_url)


def _attachment(blob: Any, alt: Any, kind: str, did: str, media_url: str) -> Iterator[Attachment]:
    """A blob where the vendor shows it: who wrote it may keep it on a server of their own."""
    ref = blob.get("ref") if isinstance(blob, Mapping) else None
    cid = ref.get("$link") if isinstance(ref, Mapping) else None
    if (
        not isinstance(blob, Mapping)
        or not isinstance(cid, str)
        or not re.fullmatch(r"[a-z0-9]{10,100}", cid)
    ):
        return
    size, mime = blob.get("size"), blob.get("mimeType")
    urls = {
        "image": f"{media_url}/img/feed_fullsize/plain/{did}/{cid}",
        "video": f"https://video.bsky.app/watch/{did}/{cid}/playlist.m3u8",
    }
    yield Attachment(
        name=f"{kind}-{cid[-8:]}",
        content_type=clean(mime, "content type")[:MAX_ID_LENGTH] if isinstance(mime, str) else f"{kind}/*",
        size_bytes=size if isinstance(size, int) and 0 <= size <= _LARGEST_SIZE else 0,
        url=urls[kind],
        description=clean(alt, "description") if isinstance(alt, str) and alt.strip() else None,
        # A film is shown in pieces, of which no one is the film.
        fetchable=kind == "image",
    )


def _quoted(record: Mapping[str, Any]) -> Any:
    embed = record.get("embed")
    found = embed.get("record") if isinstance(embed, Mapping) else None
    if isinstance(found, Mapping) and isinstance(found.get("record"), Mapping):
        found = found["record"]  # app.bsky.embed.recordWithMedia holds one more
    return found.get("uri") if isinstance(found, Mapping) else None


def _features(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    facets = record.get("facets")
    for facet in facets if isinstance(facets, list) else []:
        features = facet.get("features") if isinstance(facet, Mapping) else None
        yield from (each for each in features or [] if isinstance(each, Mapping))


def _ref(reply: Mapping[str, Any], name: str) -> dict[str, str] | None:
    found = reply.get(name)
    uri, cid = (found.get("uri"), found.get("cid")) if isinstance(found, Mapping) else (None, None)
    if not isinstance(uri, str) or not isinstance(cid, str) or not 0 < len(uri) <= MAX_ID_LENGTH:
        return None
    return {"uri": clean(uri, "address"), "cid": clean(cid, "cid")}


def _uri_in(reply: Mapping[str, Any], name: str) -> Any:
    found = reply.get(name)
    return found.get("uri") if isinstance(found, Mapping) else None


def _strings(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        read = datetime.fromisoformat(value)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
