"""Things of Reddit to messages. Nothing here asks a clock or the network.

A thing is `{"kind": "t1", "data": {…}}`: t1 a comment, t3 a submission, t4 a private message; its full name
is kind and id (`t1_abc`). The shapes are those of reddit.com/dev/api and
github.com/reddit-archive/reddit/wiki/JSON, asked for with `raw_json=1`, so that nothing is escaped twice.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.base import Attachment, Author, Deleted, Edited, Identity, InboundMessage, Rejected
from connectors.fields import MAX_FOLLOWERS, BadRecord, body, clean, content_id, moment
from connectors.reddit.media import attachments

PLACE = "reddit"
GONE = "[deleted]"
_TAKEN_AWAY = (GONE, "[removed]", "[ Removed by Reddit ]")
_NAME = re.compile(r"t[134]_[a-z0-9]{1,20}")
_USERNAME = re.compile(r"[A-Za-z0-9_-]{2,30}")
_ROBOTS = ("AutoModerator",)

Kind = Literal["t1", "t3", "t4"]


class _Data(BaseModel):
    """The members of all three kinds; others are left aside, so that Reddit can grow."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: str = Field(pattern=_NAME.pattern, max_length=24)
    author: str | None = None
    created_utc: float
    edited: bool | float = False
    subreddit: str | None = None
    permalink: str | None = None
    context: str | None = None
    body: str | None = None
    body_html: str | None = None
    parent_id: str | None = None
    link_id: str | None = None
    link_title: str | None = None
    title: str | None = None
    selftext: str | None = None
    selftext_html: str | None = None
    is_self: bool = True
    post_hint: str | None = None
    gallery_data: Any = None
    media_metadata: Any = None
    media: Any = None
    url: str | None = None
    subject: str | None = None
    first_message_name: str | None = None
    dest: str | None = None
    score: int | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What the account of an author says: karma, and who follows it."""

    karma: int | None = None
    followers: int | None = None


def mark(thing: Any) -> tuple[str, float | None]:
    """The full name of a thing and when it was made, in seconds; a damaged one is known by its content."""
    data = thing.get("data") if isinstance(thing, dict) else None
    name = data.get("name") if isinstance(data, dict) else None
    created = data.get("created_utc") if isinstance(data, dict) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        name = content_id(_raw(thing))
    good = isinstance(created, int | float) and not isinstance(created, bool) and 0 < created < 1e11
    return name, float(created) if good and created is not None else None


def author_of(thing: Any) -> str | None:
    """Who wrote a thing; None where nobody is named, or by no name that an address could hold."""
    data = thing.get("data") if isinstance(thing, dict) else None
    author = data.get("author") if isinstance(data, dict) else None
    return author if isinstance(author, str) and _USERNAME.fullmatch(author) else None


def profile(about: Mapping[str, Any]) -> Profile:
    """Out of a person's `about`: `total_karma`, and the subscribers of the profile's own page."""
    page = about.get("subreddit")
    followers = page.get("subscribers") if isinstance(page, dict) else None
    return Profile(_count(about.get("total_karma")), _count(followers))


def message(
    thing: Any,
    *,
    me: str,
    addressed: bool,
    about: Profile,
    site: str,
    now: datetime,
    max_body_bytes: int,
) -> InboundMessage | Rejected | None:
    """One message; None where nothing can be heard: it was deleted before we came. `site` is where people
    see it. A comment belongs to the conversation with its author below that submission, a private message to
    that which its first one opened; one of our own goes where what it answers is."""
    try:
        kind, data = _validated(thing)
        text, html = _words(kind, data)
        if data.author in (None, GONE) or text.strip() in _TAKEN_AWAY:
            return None
        assert data.author is not None
        return _message(kind, data, text, html, me, addressed, about, site, now, max_body_bytes)
    except BadRecord as bad:
        return Rejected(_raw(thing), bad.reason, bad.detail, f"thing {mark(thing)[0]}")


def digest(thing: Any) -> str:
    """What a thing says, in twelve characters, to see later whether it still does; empty where damaged."""
    try:
        text, _ = _words(*_validated(thing))
    except BadRecord:
        return ""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]


def changed(thing: Any, before: str, now: datetime, max_body_bytes: int) -> Edited | Deleted | None:
    """What became of a thing whose digest was `before`."""
    try:
        kind, data = _validated(thing)
        text, html = _words(kind, data)
        if data.author in (None, GONE) or text.strip() in _TAKEN_AWAY:
            return Deleted(data.name)
        if digest(thing) == before:
            return None
        edited_at = None if isinstance(data.edited, bool) else moment(data.edited, UTC, now)
        return Edited(data.name, body(text, max_body_bytes), html, edited_at)
    except BadRecord:
        # A thing that can no longer be read is neither; the next look may tell.
        return None


def said(thing: Any) -> tuple[str, str, str, float] | None:
    """Full name, parent, text and time of one of our own comments or messages; None where damaged."""
    try:
        kind, data = _validated(thing)
    except BadRecord:
        return None
    return data.name, data.parent_id or "", plain(_words(kind, data)[0]), data.created_utc


def plain(text: str) -> str:
    """A text as it comes back: without the space around it, and with simple line ends."""
    return text.replace("\r\n", "\n").strip()


def is_name(value: str | None) -> bool:
    """Whether this is the full name of something that can be answered."""
    return value is not None and _NAME.fullmatch(value) is not None


def _message(
    kind: Kind,
    data: _Data,
    text: str,
    html: str | None,
    me: str,
    addressed: bool,
    about: Profile,
    site: str,
    now: datetime,
    max_body_bytes: int,
) -> InboundMessage:
    author = clean(data.author or "", "author")
    ours = author.lower() == me.lower()
    path = data.permalink or data.context or (f"/message/messages/{data.name[3:]}" if kind == "t4" else "")
    meta = {
        "name": data.name,
        "kind": kind,
        "subreddit": data.subreddit,
        "score": data.score,
        "karma": about.karma,
        "type": data.type,
    }
    return InboundMessage(
        external_id=data.name,
        text=body(text, max_body_bytes),
        author=Author((Identity("handle", author, PLACE),), followers=about.followers),
        sent_at=moment(data.created_utc, UTC, now),
        subject=_optional(data.title or (data.subject if kind == "t4" else data.link_title), "subject"),
        html=_optional(html, "HTML"),
        thread_key=_thread(kind, data, author, ours),
        in_reply_to=(data.parent_id,) if data.parent_id and _NAME.fullmatch(data.parent_id) else (),
        incoming=not ours,
        automatic=author in _ROBOTS,
        addressed=addressed,
        url=clean(site.rstrip("/") + path, "address") if path.startswith("/") else None,
        attachments=tuple(_shown(data)) if kind == "t3" else (),
        meta={name: clean(value, name) if isinstance(value, str) else value for name, value in meta.items()},
    )


def _thread(kind: Kind, data: _Data, author: str, ours: bool) -> str | None:
    if kind == "t4":
        first = data.first_message_name
        return first if first and _NAME.fullmatch(first) else data.name
    if ours and kind == "t1":
        return None
    submission = data.name if kind == "t3" else data.link_id
    if submission is None:
        # The inbox names only the address, /r/<subreddit>/comments/<id>/<title>/<comment>/.
        parts = (data.context or data.permalink or "").split("/")
        submission = f"t3_{parts[4]}" if len(parts) > 4 and parts[3] == "comments" else None
    if not is_name(submission):
        raise BadRecord("missing_link_id", "The comment does not say below which submission it stands.")
    return f"{submission}/{author.lower()}"


def _words(kind: Kind, data: _Data) -> tuple[str, str | None]:
    if kind != "t3":
        if data.body is None:
            raise BadRecord("missing_body", "The comment or message has no body.")
        return data.body, data.body_html
    if data.title is None:
        raise BadRecord("missing_title", "The submission has no title.")
    if data.selftext in _TAKEN_AWAY:
        return data.selftext, None
    below = data.selftext if data.is_self else data.url
    return (f"{data.title}\n\n{below}" if below else data.title), data.selftext_html


def _shown(data: _Data) -> Iterator[Attachment]:
    return attachments(data.post_hint, data.url, data.gallery_data, data.media_metadata, data.media)


def _validated(thing: Any) -> tuple[Kind, _Data]:
    if not isinstance(thing, dict) or not isinstance(thing.get("data"), dict):
        raise BadRecord("not_an_object", "The thing is not a JSON object with data.")
    kind = thing.get("kind")
    if kind not in ("t1", "t3", "t4"):
        raise BadRecord("bad_kind", f"Things of the kind {str(kind)[:20]!r} say nothing.")
    try:
        return kind, _Data.model_validate(thing["data"])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        member = ".".join(str(part) for part in first["loc"])
        verb = "missing" if first["type"] == "missing" else "bad"
        raise BadRecord(f"{verb}_{first['loc'][0]}", f"{member}: {first['msg']}.") from None


def _optional(value: str | None, name: str) -> str | None:
    return clean(value, name) or None if value else None


def _count(value: Any) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return min(max(value, 0), MAX_FOLLOWERS)


def _raw(thing: Any) -> bytes:
    return json.dumps(thing, ensure_ascii=False, sort_keys=True).encode(errors="replace")
