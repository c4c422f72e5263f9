"""Two conversations made one, parted again, and messages moved to a conversation of their own.

Merged, the customer has waited as long as in the one in which they waited longer, and the promise that was
given there goes on. What is taken back is put back as it was, as long as nothing has happened since.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.assignment.owning import disown, own
from hub.channels.models import Channel
from hub.conversations.models import Conversation, Message, Promise
from hub.conversations.reaching import follow_customer, turn_to
from hub.conversations.service import add_activity, get_conversation
from hub.conversations.state import become, history_of, keep_history
from hub.errors import Conflict, Invalid
from hub.policies.service import active_policy
from hub.queue.service import leave_queue, place
from routing.clocks import StatusChange
from routing.promises import REPLIES

_MOMENTS = ("waiting_since", "first_replied_at", "last_incoming_at", "answered_until", "last_replied_at")


def merge(session: Session, source_id: int, target_id: int, *, user: User, now: datetime) -> Conversation:
    """Move everything from one conversation into another and close it; the other, locked. It goes on by the
    channel on which the customer wrote last.

    Raises: NotFound, Conflict where they are not of one customer, or one is closed.
    """
    both = {each: get_conversation(session, each) for each in sorted((source_id, target_id))}
    source, target = both[source_id], both[target_id]
    if why_not := obstacle(source, target):
        raise Conflict(why_not)
    before = {"source": _kept(source), "target": _kept(target), "owner_id": source.owner_id}
    moved = _messages(session, source.id)
    _keep_older_promises(session, source, target)
    _join(source, target, now)
    _move(session, moved, target)
    _follow_newest(session, target)
    if source.owner_id is not None:
        disown(session, source, now, "sent_on")
    source.waiting_since = source.snoozed_until = None
    become(source, "closed", now)
    leave_queue(source)
    source.placed_for = None
    source.merged_into_id, source.updated_at = target.id, now
    add_activity(session, target, f"{user.name} merged conversation {source.id} into this one", user, now)
    add_activity(session, source, f"{user.name} merged this into conversation {target.id}", user, now)
    place(session, [target], active_policy(session), now)
    source.merged = {**before, "messages": moved, "after": _kept(target), "last": _last(session, target.id)}
    return target


def obstacle(source: Conversation, target: Conversation) -> str:
    """Why the one cannot be merged into the other; empty where it can."""
    if source.id == target.id:
        return "a conversation cannot be merged into itself"
    if source.customer_id != target.customer_id:
        return "only conversations of one customer can be merged"
    return "a closed conversation stays as it is" if "closed" in (source.status, target.status) else ""


def unmerge(session: Session, source_id: int, *, user: User, now: datetime) -> Conversation:
    """Take a merge back: both stand as before it; the one that was merged. Raises: NotFound, Conflict."""
    into = session.scalar(select(Conversation.merged_into_id).where(Conversation.id == source_id))
    if into is None:
        raise Conflict("this conversation was not merged")
    both = {each: get_conversation(session, each) for each in sorted((source_id, into))}
    source, target = both[source_id], both[into]
    kept = source.merged or {}
    if {"via_id": None, **kept.get("after", {})} != _kept(target) or kept["last"] != _last(
        session, target.id
    ):
        raise Conflict("something has happened in it since; split off the messages instead")
    _move(session, kept["messages"], source)
    for conversation, state in ((source, kept["source"]), (target, kept["target"])):
        conversation.status = state["status"]
        for name in _MOMENTS:
            setattr(conversation, name, _moment(state[name]))
        conversation.snoozed_until = _moment(state["snoozed_until"])
        conversation.history = state["history"]
        via_id = state.get("via_id")
        conversation.via = session.get(Channel, via_id) if via_id else None
        _follow_newest(session, conversation)
    source.merged = source.merged_into_id = None
    if kept.get("owner_id") == user.id and source.status not in ("solved", "closed"):
        own(session, source, user, now, how="taken", reasons=["had it before the merge"])
    for conversation in (source, target):
        add_activity(session, conversation, f"{user.name} took the merge back", user, now)
    place(session, [source, target], active_policy(session), now)
    return source


def split(
    session: Session, conversation_id: int, message_ids: Collection[int], *, user: User, now: datetime
) -> Conversation:
    """Move messages to a conversation of their own that follows this one; the new one.

    What nobody had answered still waits, since it was written. Raises: NotFound, Conflict, Invalid where the
    messages are not of this conversation, or none or all of what the customer said would go.
    """
    old = get_conversation(session, conversation_id)
    if old.status == "closed":
        raise Conflict("a closed conversation stays as it is")
    wanted = set(message_ids)
    said = dict(session.execute(_spoken(old.id)).all())
    if not wanted <= said.keys():
        raise Invalid("these are not all messages of this conversation", field="message_ids")
    theirs = {each for each, incoming in said.items() if incoming}
    if not wanted & theirs or theirs <= wanted:
        raise Invalid("leave a message of the customer here, and take one along", field="message_ids")
    first = session.get_one(Message, min(wanted & theirs))
    new = Conversation(
        channel=old.channel,
        customer=old.customer,
        follows_id=old.id,
        subject=first.subject or old.subject,
        status="open",
        created_at=first.sent_at,
        updated_at=now,
        last_message_at=first.sent_at,
    )
    session.add(new)
    session.flush()
    unanswered = set(session.scalars(_unanswered(old))) if old.waiting_since is not None else set()
    _move(session, wanted, new)
    for conversation, ids in ((new, unanswered & wanted), (old, unanswered - wanted)):
        conversation.waiting_since = _earliest(session, ids)
    new.first_replied_at = None if new.waiting_since else old.first_replied_at
    new.last_replied_at = None if new.waiting_since else old.last_replied_at
    new.answered_until = old.answered_until
    new.history = [["new", first.sent_at.isoformat()]]
    become(new, "open", now)
    for conversation in (new, old):
        _follow_newest(session, conversation)
        newest = conversation.newest_message
        conversation.last_incoming_at = newest.sent_at if newest else None
    if new.newest_message is not None:
        follow_customer(session, new, new.newest_message)
    add_activity(session, old, f"{user.name} moved {len(wanted)} to conversation {new.id}", user, now)
    add_activity(session, new, f"{user.name} split this off conversation {old.id}", user, now)
    place(session, [old, new], active_policy(session), now)
    return new


def _keep_older_promises(session: Session, source: Conversation, target: Conversation) -> None:
    """Of each kind the promise that has run longer goes on in the target, with what was warned of it."""
    rows = session.scalars(
        select(Promise)
        .where(
            Promise.conversation_id.in_((source.id, target.id)),
            Promise.met_at.is_(None),
            Promise.cancelled_at.is_(None),
        )
        .order_by(Promise.started_at, Promise.id)
    ).all()
    ended = select(Promise.metric, Promise.started_at).where(
        Promise.conversation_id == target.id,
        or_(Promise.met_at.is_not(None), Promise.cancelled_at.is_not(None)),
    )
    taken = {(metric, started_at) for metric, started_at in session.execute(ended)}
    source.promise = target.promise = None
    session.flush()
    for metrics in (REPLIES, {"resolution_time"}, {"periodic_update_time"}):
        mine = [row for row in rows if row.metric in metrics]
        # An update was given by the newer reply; all else is owed since the older message.
        stays = mine[-1:] if "periodic_update_time" in metrics else mine[:1]
        # Of two that began in one moment the one that has ended is opened again where it is.
        stays = [row for row in stays if (row.metric, row.started_at) not in taken]
        for row in mine:
            if row not in stays:
                session.delete(row)
        session.flush()
        for row in stays:
            row.conversation = target
        session.flush()


def _join(source: Conversation, target: Conversation, now: datetime) -> None:
    waits = min((each for each in (source, target) if each.waiting_since), key=_since, default=None)
    if waits is not None:
        target.waiting_since = waits.waiting_since
        target.first_replied_at = waits.first_replied_at
    else:
        target.first_replied_at = min(_known(source.first_replied_at, target.first_replied_at), default=None)
    if source.last_incoming_at and (
        target.last_incoming_at is None or source.last_incoming_at > target.last_incoming_at
    ):
        turn_to(target, source.goes_by)
    target.last_incoming_at = max(_known(source.last_incoming_at, target.last_incoming_at), default=None)
    target.last_replied_at = max(_known(source.last_replied_at, target.last_replied_at), default=None)
    answered = _known(source.answered_until, target.answered_until)
    target.answered_until = min(answered) if len(answered) == 2 else None
    history = history_of(target) or history_of(source)
    begins = [changes[0].at for each in (source, target) if (changes := history_of(each))]
    if begins:
        keep_history(target, (StatusChange(history[0].status, min(begins)), *history[1:]))
    if target.waiting_since is not None and target.status in ("pending", "on_hold", "snoozed", "solved"):
        become(target, "open", now)
        target.snoozed_until = None
    target.updated_at = now


def _since(conversation: Conversation) -> datetime:
    assert conversation.waiting_since is not None
    return conversation.waiting_since


def _known(*moments: datetime | None) -> list[datetime]:
    return [moment for moment in moments if moment is not None]


def _kept(conversation: Conversation) -> dict[str, object]:
    """Its state, to be put back."""
    moments = {name: getattr(conversation, name) for name in (*_MOMENTS, "snoozed_until")}
    told = {name: moment.isoformat() if moment else None for name, moment in moments.items()}
    via_id = conversation.via.id if conversation.via else None
    return {**told, "status": conversation.status, "history": conversation.history, "via_id": via_id}


def _moment(told: str | None) -> datetime | None:
    return datetime.fromisoformat(told) if told else None


def _messages(session: Session, conversation_id: int) -> list[int]:
    found = select(Message.id).where(Message.conversation_id == conversation_id).order_by(Message.id)
    return list(session.scalars(found.with_for_update()))


def _spoken(conversation_id: int) -> Select[int, bool]:
    """What was said, and whether the customer did."""
    return select(Message.id, Message.direction == "incoming").where(
        Message.conversation_id == conversation_id, Message.direction != "activity"
    )


def _unanswered(conversation: Conversation) -> Select[int]:
    """The customer's messages of the wait that goes on, which no reply from the hub has seen."""
    answered_up_to = (
        select(func.coalesce(func.max(Message.id), 0))
        .where(
            Message.conversation_id == conversation.id,
            Message.direction == "outgoing",
            Message.private.is_(False),
            Message.automatic.is_(False),
            Message.user_id.is_not(None),
            Message.delivery != "failed",
        )
        .scalar_subquery()
    )
    return select(Message.id).where(
        Message.conversation_id == conversation.id,
        Message.direction == "incoming",
        Message.automatic.is_(False),
        Message.deleted_at.is_(None),
        Message.sent_at >= conversation.waiting_since,
        Message.id > answered_up_to,
    )


def _earliest(session: Session, ids: Collection[int]) -> datetime | None:
    return session.scalar(select(func.min(Message.sent_at)).where(Message.id.in_(ids)))


def _move(session: Session, ids: Collection[int], to: Conversation) -> None:
    session.execute(
        update(Message)
        .where(Message.id.in_(ids))
        .values(conversation_id=to.id)
        .execution_options(synchronize_session=False)
    )


def _follow_newest(session: Session, conversation: Conversation) -> None:
    """Have its newest message be the customer's newest that is in it now."""
    mine = select(Message).where(Message.conversation_id == conversation.id)
    conversation.newest_message = session.scalar(
        mine.where(Message.direction == "incoming")
        .order_by(Message.deleted_at.is_not(None), Message.nature.is_not(None), Message.sent_at.desc())
        .limit(1)
    )
    latest = select(func.max(Message.sent_at)).where(
        Message.conversation_id == conversation.id, Message.direction != "activity"
    )
    conversation.last_message_at = session.scalar(latest) or conversation.last_message_at


def _last(session: Session, conversation_id: int) -> int | None:
    """Its newest message by id, activity left out."""
    spoken = select(func.max(Message.id)).where(
        Message.conversation_id == conversation_id, Message.direction != "activity"
    )
    return session.scalar(spoken)
