"""Loading the demo brand through the same doors that real customers use, and letting it go on."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from importlib.resources import files
from random import Random
from threading import Event, Thread

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.base import Batch
from hub import log
from hub.accounts.models import User
from hub.accounts.service import add_user, heartbeat, set_away
from hub.assignment.claiming import claim_next
from hub.channels.models import Channel
from hub.channels.service import add_channel
from hub.clock import utcnow
from hub.conversations import service
from hub.conversations.models import Conversation, DeliveryAttempt, Message
from hub.customers.imports import import_customers, import_events
from hub.demo.colleagues import answer
from hub.demo.people import brand
from hub.demo.story import Story, Turn, live, story
from hub.demo.story import Thread as StoryThread
from hub.inbox.ingest import analyse_all
from hub.inbox.service import receive
from hub.policies.service import activate, active_policy, active_since
from hub.queue.queries import count_waiting
from hub.runtime import Hub

logger = log.get(__name__)
PASSWORD = "larkfell-demo"  # noqa: S105 - printed, for a demo that listens on this machine only
NETWORK = "chirp"
# Colleagues answer while more than this many wait, so that the queue moves and does not drown.
COMFORTABLE = 70
COLLEAGUE_EVERY_SECONDS = 12.0

Progress = Callable[[str, int, int], None]


def is_loaded(hub: Hub) -> bool:
    """Whether the whole demo is in this database; an interrupted loading does not count."""
    with hub.database.reading() as session:
        return any((channel.cursor or {}).get("demo") for channel in session.scalars(select(Channel)))


def load_demo(hub: Hub, progress: Progress = lambda step, done, total: None) -> None:
    """Fill an empty hub with the brand's people, customers, purchases and two weeks of conversations."""
    now = utcnow()
    told = story(now)
    with hub.database.session() as session:
        channels = _add_channels(session, hub, now)
        _add_people(session, told, now)
        policy = active_policy(session).policy
    progress("customers", 0, 1)
    for report in (
        import_customers(hub.database, io.StringIO(told.customers_csv), policy, now),
        import_events(hub.database, io.StringIO(told.events_csv), policy, now),
    ):
        if report.errors:
            raise ValueError(f"the demo's own data has errors: {report.errors[:3]}")
    for done, thread in enumerate(told.threads, start=1):
        with hub.database.session() as session:
            _relive(session, thread, channels[thread.channel], now)
        progress("conversations", done, len(told.threads))
    with hub.database.session() as session:
        _automate(session, now)
    with hub.database.reading() as session:
        total = session.scalar(
            select(func.count()).where(Message.analysed_at.is_(None), Message.direction == "incoming")
        )
    done = 0

    def analysed(messages: int) -> None:
        nonlocal done
        done += messages
        progress("messages read by the model", done, total or 0)

    analyse_all(hub, analysed)
    with hub.database.session() as session:
        for channel in session.scalars(select(Channel).where(Channel.id.in_(channels.values()))):
            channel.cursor = {"demo": now.isoformat()}


def sign_ins() -> list[Mapping[str, str]]:
    """The three people to come in as: an agent, a social media manager, a manager."""
    first: dict[str, Mapping[str, str]] = {}
    for agent in brand().agents:
        first.setdefault(
            agent.role, {"name": agent.name, "role": agent.role, "email": agent.email, "password": PASSWORD}
        )
    return list(first.values())


class DemoFeed:
    """Customers who go on writing, and colleagues who answer some of them, until `stop`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._stop = Event()
        self._threads = [
            Thread(target=self._customers, name="demo-customers", daemon=True),
            Thread(target=self._colleagues, name="demo-colleagues", daemon=True),
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, after the message that is being written."""
        self._stop.set()
        for thread in self._threads:
            thread.join(5)

    def _customers(self) -> None:
        with self._hub.database.reading() as session:
            ids = _channel_ids(session)
            written = session.scalar(select(func.count()).where(Message.meta["feed"].as_boolean().is_(True)))
        for gap_seconds, message in live(utcnow(), start=written or 0):
            if self._stop.wait(gap_seconds):
                return
            now = utcnow()
            inbound = replace(message.inbound, sent_at=now, meta={**message.inbound.meta, "feed": True})
            self._try(partial(_write, ids[message.channel], Batch((inbound,)), now))

    def _colleagues(self) -> None:
        guests = {each["email"] for each in sign_ins()}
        colleagues = [each for each in brand().agents if each.email not in guests]
        rng = Random()  # noqa: S311 - a story, not a secret
        while not self._stop.wait(rng.expovariate(1 / COLLEAGUE_EVERY_SECONDS)):
            colleague = rng.choice(colleagues)
            self._try(partial(_work, colleague.email, rng))

    def _try(self, act: Callable[[Session], object]) -> None:
        try:
            with self._hub.database.session() as session:
                act(session)
        except Exception:
            logger.exception("demo_feed_failed")


def _write(channel_id: int, batch: Batch, now: datetime, session: Session) -> None:
    receive(session, channel_id, batch, now)


def _work(email: str, rng: Random, session: Session) -> None:
    now = utcnow()
    user = session.scalars(select(User).where(User.email == email)).one()
    heartbeat(session, user.id, now)
    if user.away:
        set_away(session, user.id, False, now)
    # Where the policy offers what waits, that is answered first.
    offers = Conversation.owner_id == user.id, Conversation.accept_by > now
    claimed = session.scalar(select(Conversation.id).where(*offers).order_by(Conversation.accept_by).limit(1))
    if claimed is None and count_waiting(session) > COMFORTABLE:
        claimed = claim_next(session, user.id, now)
    if claimed is None:
        return
    conversation = service.get_conversation(session, claimed)
    newest = conversation.newest_message
    language = newest.analysis.language if newest and newest.analysis else None
    text = answer(
        language or conversation.customer.language or "en", conversation.customer.name, user.name, rng
    )
    service.reply(session, conversation, user=user, text=text, now=now)


def _automate(session: Session, now: datetime) -> None:
    """Add the demo's automations to the policy, unless it is one that somebody gave: from now on they run."""
    ruling = active_since(session)
    if ruling.origin == "built-in":
        written = files("hub.demo").joinpath("brand", "automations.yaml").read_text(encoding="utf-8")
        activate(session, ruling.version.source + written, now)


def _add_channels(session: Session, hub: Hub, now: datetime) -> dict[str, int]:
    ids = {}
    for channel in brand().channels:
        name = _channel_name(channel.key)
        config = {"outbox": str((hub.settings.home / "outbox" / name).absolute())}
        if channel.kind == "social":
            config["network"] = NETWORK
        added = add_channel(
            session,
            name=name,
            connector="files",
            kind=channel.kind,
            config=config,
            now=now - timedelta(days=15),
        )
        ids[channel.key] = added.id
    return ids


def _channel_name(key: str) -> str:
    return {"chirp": "chirp", "mail": brand().address, "form": "help-form"}[key]


def _channel_ids(session: Session) -> dict[str, int]:
    ids = {channel.name: channel.id for channel in session.scalars(select(Channel))}
    return {channel.key: ids[_channel_name(channel.key)] for channel in brand().channels}


def _add_people(session: Session, told: Story, now: datetime) -> None:
    for agent in told.agents:
        user = add_user(
            session, email=agent.email, name=agent.name, role=agent.role, password=PASSWORD, now=now
        )
        user.seen_at = now


def _relive(session: Session, thread: StoryThread, channel_id: int, now: datetime) -> None:
    """Let a thread happen as it did: each turn at its time, through the same functions as ever."""
    conversation_id: int | None = None
    for turn in thread.turns:
        if turn.inbound is not None:
            receive(session, channel_id, Batch((turn.inbound,)), turn.at)
            conversation_id = session.scalars(
                select(Message.conversation_id).where(
                    Message.channel_id == channel_id, Message.external_id == turn.inbound.external_id
                )
            ).one()
        elif conversation_id is not None:
            _colleague_turn(session, service.get_conversation(session, conversation_id), turn)
    if conversation_id is None:
        return
    conversation = service.get_conversation(session, conversation_id)
    last = thread.turns[-1].at
    if thread.status_after in service.SETTABLE and thread.status_after != conversation.status:
        until = now + timedelta(hours=3) if thread.status_after == "snoozed" else None
        at = min(now, last + timedelta(minutes=2))
        service.set_status(session, conversation, thread.status_after, user=None, now=at, snoozed_until=until)
    conversation.updated_at = last


def _colleague_turn(session: Session, conversation: Conversation, turn: Turn) -> None:
    if turn.kind == "auto":
        session.add(
            Message(
                channel_id=conversation.channel_id,
                conversation_id=conversation.id,
                external_id=turn.external_id,
                direction="outgoing",
                automatic=True,
                author_name=brand().name,
                body=turn.text,
                sent_at=turn.at,
                received_at=turn.at,
                delivery="sent",
            )
        )
        return
    user = session.scalars(select(User).where(User.email == turn.agent)).one()
    if turn.kind == "note":
        service.note(session, conversation, user=user, text=turn.text, now=turn.at)
        return
    message = service.reply(session, conversation, user=user, text=turn.text, now=turn.at)
    # It was sent two weeks ago, not now.
    message.delivery, message.deliver_at, message.vendor_id = "sent", None, turn.external_id
    conversation.channel.last_sent_at = turn.at
    session.add(
        DeliveryAttempt(message_id=message.id, started_at=turn.at, finished_at=turn.at, outcome="sent")
    )
