"""What X tells of posts and direct messages, to messages. Nothing here asks a clock or the network.

The objects are those of https://docs.x.com/x-api/fundamentals/data-dictionary; unknown members are left
aside.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.base import (
    Attachment,
    Author,
    Deleted,
    Edited,
    Identity,
    InboundMessage,
    Item,
    Rejected,
)
from connectors.fields import MAX_FOLLOWERS, BadRecord, body, clean, moment
from connectors.x.objects import (
    Attached,
    DirectMessage,
    Included,
    Link,
    Media,
    Post,
    User,
    readable,
    validated,
)

NETWORK = "x"
DM_PREFIX = "dm-"
"""Stands before the ids of direct messages and of their conversations, which are not those of posts."""

GONE = frozenset(
    f"https://api.twitter.com/2/problems/{name}"
    for name in (
        "resource-not-found",
        "not-authorized-for-resource",
        "resource-unavailable",
        "disallowed-resource",
    )
)
"""The types of problem that say of a post asked for by its id that nobody may see it any more."""

# X writes XX for everywhere and XY for everywhere by a copyright claim:
# https://docs.x.com/x-api/fundamentals/data-dictionary ("withheld").
_EVERYWHERE = frozenset({"XX", "XY"})


@dataclass(frozen=True, slots=True)
class Account:
    """The brand's own account; its id tells its own posts, its handle is what people write to."""

    id: str
    username: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """From where one looks: whose account, when, in which country, and how long a text may be."""

    account: Account | None
    now: datetime
    country: str | None
    max_body_bytes: int


def event(raw: bytes, view: View) -> tuple[Item, ...]:
    """One line of the filtered stream: a post with what belongs to it."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return (Rejected(raw, "not_json", "The line of the stream is not JSON.", "stream"),)
    if not isinstance(found, dict) or not isinstance(found.get("data"), dict):
        return (Rejected(raw, "not_an_object", "The line of the stream holds no post.", "stream"),)
    return _each([found["data"]], Included(found.get("includes")), view, _post, "stream", raw)


def posts(payload: Mapping[str, Any], view: View, where: str) -> tuple[Item, ...]:
    """The posts of a page, oldest first. Those passed on without a word (reposts) are left out."""
    return _each(_listed(payload), Included(payload.get("includes")), view, _post, where)


def direct_messages(payload: Mapping[str, Any], view: View) -> tuple[Item, ...]:
    """The direct messages of a page, oldest first."""
    return _each(
        _listed(payload), Included(payload.get("includes")), view, _direct_message, "direct messages"
    )


def _listed(payload: Mapping[str, Any]) -> list[Any]:
    data = payload.get("data")
    return list(reversed(data)) if isinstance(data, list) else []


def _each(
    values: Sequence[Any],
    included: Included,
    view: View,
    read: Callable[[Any, Included, View], tuple[Item, ...]],
    where: str,
    raw: bytes | None = None,
) -> tuple[Item, ...]:
    items: list[Item] = []
    for value in values:
        try:
            items += read(value, included, view)
        except BadRecord as bad:
            place = f"{where}, {value['id']}" if _has_id(value) else where
            items.append(Rejected(raw or json.dumps(value).encode(), bad.reason, bad.detail, place))
    return tuple(items)


def _has_id(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("id"), str) and value["id"].isdecimal()


def changes(
    payload: Mapping[str, Any], view: View, asked: Mapping[str, str], *, news: bool = False
) -> tuple[tuple[Item, ...], dict[str, str]]:
    """What became of posts asked for by id: those gone, withheld or edited.

    `asked` is the id of the latest version known to the first one. The second part are the posts that have a
    newer version by now, in the same form, to be asked for themselves with `news`: X gives to an old id the
    old words.
    """
    items: list[Item] = []
    newer: dict[str, str] = {}
    included = Included(payload.get("includes"))
    for post in readable(Post, payload.get("data")):
        first = asked.get(post.id, post.first_id)
        if _withheld(post, view):
            items.append(Deleted(first))
        elif post.latest_id != post.id:
            newer[post.latest_id] = first
        elif news:
            items += _edits(post, included, view)
    items += (Deleted(asked[found]) for found in gone(payload) if found in asked)
    return tuple(items), newer


def gone(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of posts asked for that a partial answer says are deleted, protected or forbidden."""
    errors = payload.get("errors")
    return tuple(
        str(error["resource_id"])
        for error in (errors if isinstance(errors, list) else [])
        if isinstance(error, dict)
        and error.get("type") in GONE
        and error.get("resource_type") == "tweet"
        and error.get("section", "data") == "data"
        and isinstance(error.get("resource_id"), str)
    )


def known(payload: Mapping[str, Any]) -> dict[str, str]:
    """Latest id to first id, of the posts on a page, newest first."""
    return {post.latest_id: post.first_id for post in readable(Post, payload.get("data"))}


def plain_text(value: Any) -> str:
    """What a post says, with its links as they were written. Raises: BadRecord."""
    return _text(validated(Post, value))


def _post(value: Any, included: Included, view: View) -> tuple[Item, ...]:
    post = validated(Post, value)
    if any(reference.type == "retweeted" for reference in post.referenced_tweets):
        return ()
    if _withheld(post, view):
        return (Deleted(post.first_id),)
    message = _message(post, included, view)
    if post.first_id == post.id:
        return (message,)
    # Who has the first version is told of the change, and who has not gets the post itself.
    return (message, *_edits(post, included, view))


def _edits(post: Post, included: Included, view: View) -> tuple[Item, ...]:
    try:
        message = _message(post, included, view)
    except BadRecord:
        return ()
    return (Edited(message.external_id, message.text, edited_at=message.sent_at),)


def _message(post: Post, included: Included, view: View) -> InboundMessage:
    if post.author_id is None:
        raise BadRecord("missing_author", "The post does not say who wrote it.")
    attachments = _attachments(post.attachments, included)
    text = _text(post)
    account = view.account
    user = included.users.get(post.author_id)
    meta: dict[str, Any] = {"kind": "post", "post_id": post.latest_id}
    if post.lang and post.lang not in ("und", "zxx", "qme", "qst", "qht", "qam", "qct"):
        meta["language"] = clean(post.lang, "language")
    if post.withheld is not None:
        meta["withheld_in"] = [clean(code, "country") for code in post.withheld.country_codes]
    return InboundMessage(
        external_id=post.first_id,
        text=_body(text, attachments, view),
        author=_author(post.author_id, user),
        sent_at=_sent_at(post.created_at, view),
        thread_key=post.conversation_id,
        in_reply_to=tuple(each.id for each in post.referenced_tweets if each.type == "replied_to"),
        incoming=account is None or post.author_id != account.id,
        addressed=account is not None and _addressed(post, account),
        url=f"https://x.com/{user.username if user else 'i'}/status/{post.latest_id}",
        attachments=attachments,
        meta=meta,
    )


def _addressed(post: Post, account: Account) -> bool:
    handles = post.entities.mentions + (post.note_tweet.entities.mentions if post.note_tweet else [])
    return (
        post.in_reply_to_user_id == account.id
        or post.author_id == account.id
        or any(
            found.id == account.id
            or (found.id is None and found.username.casefold() == account.username.casefold())
            for found in handles
        )
    )


def _withheld(post: Post, view: View) -> bool:
    if post.withheld is None:
        return False
    codes = {code.upper() for code in post.withheld.country_codes}
    return bool(codes & _EVERYWHERE) or (view.country is not None and view.country in codes)


def _direct_message(value: Any, included: Included, view: View) -> tuple[Item, ...]:
    found = validated(DirectMessage, value)
    if found.event_type != "MessageCreate":
        return ()
    if found.sender_id is None:
        raise BadRecord("missing_author", "The direct message does not say who wrote it.")
    attachments = _attachments(found.attachments, included)
    text = _expanded(found.text, [*found.urls, *found.entities.urls])
    conversation = found.dm_conversation_id
    return (
        InboundMessage(
            external_id=DM_PREFIX + found.id,
            text=_body(text, attachments, view),
            author=_author(found.sender_id, included.users.get(found.sender_id)),
            sent_at=_sent_at(found.created_at, view),
            thread_key=DM_PREFIX + conversation if conversation else None,
            incoming=view.account is None or found.sender_id != view.account.id,
            attachments=attachments,
            meta={"kind": "direct_message", "dm_conversation_id": conversation},
        ),
    )


def _body(text: str, attachments: Sequence[Attachment], view: View) -> str:
    # A picture may come without a word.
    return "" if attachments and not text.strip() else body(text, view.max_body_bytes)


def _text(post: Post) -> str:
    if post.note_tweet is not None:
        return _expanded(post.note_tweet.text, [*post.note_tweet.entities.urls, *post.entities.urls])
    return _expanded(post.text, post.entities.urls)


def _expanded(text: str, urls: Sequence[Link]) -> str:
    """X writes &, < and > as HTML does, and its own short addresses for links."""
    text = html.unescape(text)
    for link in urls:
        expanded = link.expanded_url or link.url
        # A link to its own picture was put there by X.
        text = text.replace(link.url, "" if link.media_key else expanded)
    return text.strip()


def _author(author_id: str, user: User | None) -> Author:
    # The id stays when somebody takes another handle.
    steady = Identity("external", author_id, NETWORK)
    if user is None:
        return Author((steady,))
    followers = user.public_metrics.followers_count
    return Author(
        (Identity("handle", user.username, NETWORK), steady),
        clean(user.name, "author's name").strip() or None,
        None if followers is None else min(followers, MAX_FOLLOWERS),
    )


def _sent_at(value: str | None, view: View) -> datetime | None:
    return None if value is None else moment(value, UTC, view.now)


def _attachments(attached: Attached, included: Included) -> tuple[Attachment, ...]:
    """Described, and left where they are for now: X gives their address, and no size."""
    found = (included.media[key] for key in attached.media_keys if key in included.media)
    return tuple(_attachment(media) for media in found)


def _attachment(media: Media) -> Attachment:
    films = [variant for variant in media.variants if variant.content_type == "video/mp4"]
    if films:
        url: str | None = max(films, key=lambda film: film.bit_rate).url
        content_type, suffix = "video/mp4", "mp4"
    else:
        url = media.url or media.preview_image_url
        suffix = "png" if (url or "").partition("?")[0].endswith(".png") else "jpg"
        content_type = "image/png" if suffix == "png" else "image/jpeg"
    return Attachment(
        name=clean(f"{media.media_key}.{suffix}", "attachment's name"),
        content_type=content_type,
        size_bytes=0,
        url=None if url is None else clean(url, "attachment's address"),
        description=None if media.alt_text is None else clean(media.alt_text, "description"),
        fetchable=url is not None,
    )
