"""Tags: short words that people, and vendors, put to conversations."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.automations.happening import happened
from hub.conversations.models import Conversation, ConversationTag, Tag
from hub.conversations.service import BY_ITSELF, add_activity
from hub.errors import Invalid
from hub.policies.service import active_policy
from hub.queue.service import place
from hub.tickets.service import tell_vendor

LONGEST = 100
MOST = 100
SUGGESTIONS = 50
_GAP = re.compile(r"\s+")
_TAG = re.compile(r"[\w\-/:.+#&]+")


@dataclass(frozen=True, slots=True)
class TagCount:
    """A tag, and how many conversations have it."""

    name: str
    conversations: int


def change_tags(
    session: Session,
    conversation: Conversation,
    *,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    user: User | None,
    now: datetime,
    who: str = BY_ITSELF,
) -> tuple[list[str], list[str]]:
    """Put tags to a conversation and take others away; which were put and taken away.

    The vendor is told where it keeps tags. `who` is what the thread says did it, where it was no user.
    Raises: Invalid for a tag that is none, or too many.
    """
    wanted = {_checked(each) for each in add}
    unwanted = {_normal(each) for each in remove} - wanted
    added, removed = put_tags(session, conversation, wanted, unwanted, now)
    if len(conversation.tags) > MOST:
        raise Invalid(f"a conversation has {MOST} tags at most", field="tags")
    if added or removed:
        told = f"{user.name if user else who}: {told_tags(added, removed)}"
        add_activity(session, conversation, told, user, now)
        tell_vendor(session, conversation, now)
    return added, removed


def put_tags(
    session: Session,
    conversation: Conversation,
    add: Collection[str],
    remove: Collection[str],
    now: datetime,
) -> tuple[list[str], list[str]]:
    """Put and take away what is not so already; which that was. The conversation is locked.

    It is placed anew where the policy asks for tags.
    """
    has = {tag.name: tag for tag in conversation.tag_rows}
    added = sorted(set(add) - has.keys())
    removed = sorted((set(remove) - set(add)) & has.keys())
    if added or removed:
        for name in removed:
            conversation.tag_rows.remove(has[name])
        conversation.tag_rows.extend(_tags(session, added, now))
        conversation.updated_at = now
        session.flush()
        session.expire(conversation, ["tag_rows"])
        active = active_policy(session)
        if active.policy.asks("conversation.tags"):
            place(session, [conversation], active, now)
    for name in added:
        happened(session, conversation, "tag_added", now, tag=name)
    return added, removed


def list_tags(session: Session, beginning: str = "", limit: int = SUGGESTIONS) -> list[TagCount]:
    """Tags that begin so, those of most conversations first."""
    escaped = _normal(beginning).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    count = func.count(ConversationTag.conversation_id)
    rows = session.execute(
        select(Tag.name, count)
        .outerjoin(ConversationTag, ConversationTag.tag_id == Tag.id)
        .where(Tag.name.like(f"{escaped}%", escape="\\"))
        .group_by(Tag.id, Tag.name)
        .order_by(count.desc(), Tag.name)
        .limit(limit)
    )
    return [TagCount(name, number) for name, number in rows]


def normal_tags(tags: Iterable[str]) -> list[str]:
    """What a vendor gives as tags, as we keep them; what cannot be one is left out."""
    found = (_normal(each) for each in tags)
    return sorted({each for each in found if 0 < len(each) <= LONGEST and "\0" not in each})


def told_tags(added: Collection[str], removed: Collection[str]) -> str:
    """For a line of the thread: `tagged vip, urgent; no longer late`."""
    parts = [f"tagged {', '.join(added)}"] if added else []
    parts += [f"no longer {', '.join(removed)}"] if removed else []
    return "; ".join(parts)


def _tags(session: Session, names: Collection[str], now: datetime) -> list[Tag]:
    """The rows of these names, made where there are none."""
    found = {tag.name: tag for tag in session.scalars(select(Tag).where(Tag.name.in_(names)))}
    # In one order, so that two who make several do not wait for each other.
    for name in sorted(set(names) - found.keys()):
        try:
            with session.begin_nested():
                session.add(tag := Tag(name=name, created_at=now))
            found[name] = tag
        except IntegrityError:
            # Somebody else has made it just now.
            found[name] = session.scalars(select(Tag).where(Tag.name == name)).one()
    return [found[name] for name in names]


def _normal(tag: str) -> str:
    return _GAP.sub("_", tag.strip().removeprefix("#")).lower()


def _checked(tag: str) -> str:
    name = _normal(tag)
    if not name:
        raise Invalid("a tag is empty", field="tags")
    if len(name) > LONGEST:
        raise Invalid(f"a tag has {LONGEST} characters at most", field="tags")
    if not _TAG.fullmatch(name):
        raise Invalid(f"tag {name!r}: letters, digits and _ - / : . + # & only", field="tags")
    return name
