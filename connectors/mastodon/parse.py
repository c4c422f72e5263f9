"""Mastodon's entities to ours. Pure: what has to be looked up is passed in.

https://docs.joinmastodon.org/entities/Status/, https://docs.joinmastodon.org/entities/Account/
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.base import Attachment, Author, Edited, Identity, InboundMessage, Rejected
from connectors.fields import MAX_BODY_BYTES, MAX_FOLLOWERS, BadRecord, body, clean, known_id, moment
from connectors.mastodon.content import plain

PLACE = "mastodon"
"""The network of handles; a full one (`user@host`) means the same person on every server."""

_MAX_PARENTS = 30
_MAX_NAME = 200
_MAX_FILES = 20


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: the server's domain, which completes the handles of its own people, our account's id
    there (None without an account), and the time."""

    domain: str
    own_id: str | None
    now: datetime


def message(
    status: Any, reader: Reader, *, ancestors: Sequence[str] | None, overheard: bool, where: str
) -> InboundMessage | Rejected:
    """A status as a message. `ancestors` are the ids it answers, nearest first; None: not known.

    What was overheard and names us, or answers us, is addressed to us all the same. A content warning
    is the subject. Reasons: not_an_object, missing_id, missing_author, missing_text, bad_date, future_date,
    bad_<member>, nul_bytes, bad_encoding, body_too_large, too_complex.
    """
    try:
        return _message(status, reader, ancestors, overheard)
    except BadRecord as bad:
        return Rejected(_raw(status), bad.reason, bad.detail, where)


def edit(status: Any, reader: Reader, *, where: str) -> Edited | Rejected:
    """What a status says now. Reasons: as `message`."""
    try:
        status = _object(status, "status")
        files = _attachments(status)
        return Edited(_id(status), _text(status, bool(files)), edited_at=_edited_at(status, reader.now))
    except BadRecord as bad:
        return Rejected(_raw(status), bad.reason, bad.detail, where)


def identifier(record: Any) -> str | None:
    """The id of a status or a notification, if it has one."""
    try:
        return _id(_object(record, "record"))
    except BadRecord:
        return None


def author_id(status: Any) -> str | None:
    """The id of a status' author, if it says."""
    return identifier(status.get("account")) if isinstance(status, dict) else None


def answered_id(status: Any) -> str | None:
    """The id of the status that this one answers."""
    found = status.get("in_reply_to_id") if isinstance(status, dict) else None
    return known_id(found) if isinstance(found, str) and is_id(found) else None


def written_at(record: Any, now: datetime) -> datetime | None:
    """When a status or notification came to be; None where it does not say."""
    try:
        return moment(_object(record, "record").get("created_at"), UTC, now)
    except BadRecord:
        return None


def edit_mark(status: Any) -> str:
    """Something that is another after every edit; empty where there was none."""
    found = status.get("edited_at") if isinstance(status, dict) else None
    return found[:40] if isinstance(found, str) else ""


def handle(account: Any, domain: str) -> str:
    """The account's whole handle, `user@host` in lower case. Raises: BadRecord missing_author."""
    found = account.get("acct") if isinstance(account, dict) else None
    if not isinstance(found, str) or not found.strip("@ "):
        raise BadRecord("missing_author", "The status does not say who wrote it.")
    found = clean(found.strip().removeprefix("@"), "handle").lower()[:_MAX_NAME]
    return found if "@" in found else f"{found}@{domain}"


def _message(status: Any, reader: Reader, ancestors: Sequence[str] | None, overheard: bool) -> InboundMessage:
    status = _object(status, "status")
    external_id = _id(status)
    account = status.get("account")
    files = _attachments(status)
    warning = clean(_string(status, "spoiler_text").strip(), "content warning")
    parent = answered_id(status)
    known = ancestors if ancestors is not None else ((parent,) if parent else ())
    root = external_id if not known else known[-1]
    return InboundMessage(
        external_id=external_id,
        text=_text(status, bool(files or warning)),
        author=_author(account, reader.domain),
        sent_at=moment(status.get("created_at"), UTC, reader.now),
        subject=warning or None,
        thread_key=root if ancestors is not None or parent is None else None,
        in_reply_to=tuple(known[:_MAX_PARENTS]),
        automatic=account.get("bot") is True if isinstance(account, dict) else False,
        addressed=not overheard or _names(status, reader.own_id),
        url=_url(status.get("url")) or _url(status.get("uri")),
        attachments=files,
        meta={
            "visibility": _string(status, "visibility"),
            "spoiler_text": warning,
            "language": _string(status, "language") or None,
            "edited_at": edit_mark(status) or None,
        },
    )


def _author(account: Any, domain: str) -> Author:
    who = Identity("handle", handle(account, domain), PLACE)
    followers = account.get("followers_count")
    known = isinstance(followers, int) and not isinstance(followers, bool) and followers >= 0
    shown = _string(account, "display_name").strip() or _string(account, "username").strip()
    return Author((who,), clean(shown, "author's name")[:_MAX_NAME] or None, _reach(followers, known))


def _reach(followers: Any, known: bool) -> int | None:
    # Who hides it is shown as -1 by some servers.
    return min(followers, MAX_FOLLOWERS) if known else None


def _text(status: Mapping[str, Any], may_be_empty: bool) -> str:
    """The words, and the choices of a poll, one a line."""
    text = plain(_string(status, "content"))
    poll = status.get("poll")
    options = poll.get("options") if isinstance(poll, dict) else None
    for option in options if isinstance(options, list) else ():
        title = option.get("title") if isinstance(option, dict) else None
        text += f"\n- {title.strip()}" if isinstance(title, str) and title.strip() else ""
    text = text.strip()
    return clean(text, "text") if may_be_empty and not text else body(text, MAX_BODY_BYTES)


def _attachments(status: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """What was attached, by its address; the server says neither size nor type of it.

    What only lies at its author's server is not fetched: whoever runs that could have us ask anything."""
    found = status.get("media_attachments")
    files = []
    for each in found[:_MAX_FILES] if isinstance(found, list) else ():
        if not isinstance(each, dict):
            continue
        kept = _url(each.get("url"))
        address = kept or _url(each.get("remote_url"))
        name = (address or "").partition("?")[0].rpartition("/")[2][-_MAX_NAME:] or str(each.get("type"))[:20]
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        told = _string(each, "description")
        # Of a picture that nobody can see any more, its description is left.
        if address or told:
            files.append(
                Attachment(
                    clean(name, "name of a file"),
                    kind,
                    0,
                    url=address,
                    description=clean(told, "description") or None,
                    fetchable=kept is not None,
                )
            )
    return tuple(files)


def _names(status: Mapping[str, Any], own_id: str | None) -> bool:
    if own_id is None:
        return False
    mentions = status.get("mentions")
    named = {identifier(each) for each in mentions} if isinstance(mentions, list) else set()
    return own_id in named or status.get("in_reply_to_account_id") == own_id


def _edited_at(status: Mapping[str, Any], now: datetime) -> datetime | None:
    found = status.get("edited_at")
    return None if found is None else moment(found, UTC, now)


def _url(value: Any) -> str | None:
    usable = isinstance(value, str) and value.startswith(("https://", "http://")) and len(value) <= 2_000
    return clean(value, "address") if usable else None


def _string(record: Mapping[str, Any], member: str) -> str:
    found = record.get(member)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise BadRecord(f"bad_{member}", f"{member} is no text.")
    return found


def _object(record: Any, name: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise BadRecord("not_an_object", f"The {name} is no JSON object.")
    return record


def _id(record: Mapping[str, Any]) -> str:
    found = record.get("id")
    if not isinstance(found, str) or not is_id(found):
        raise BadRecord("missing_id", "The record has no id.")
    return found


def is_id(value: str) -> bool:
    """Whether this can be the id of something there."""
    # It is put into addresses: Mastodon's are digits, others' letters and digits.
    return 0 < len(value) <= 64 and value.isascii() and value.replace("-", "").replace("_", "").isalnum()


def _raw(record: Any) -> bytes:
    try:
        return json.dumps(record).encode()
    except RecursionError:
        return b"nested too deeply to be written down"
