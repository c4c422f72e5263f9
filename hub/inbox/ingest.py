"""Taking files through the whole flow, or showing what would happen to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.base import BadPayload, Batch, InboundMessage, Rejected
from connectors.registry import connect
from hub.channels.models import Channel
from hub.channels.service import add_channel
from hub.clock import utcnow
from hub.conversations.models import Message
from hub.errors import Invalid
from hub.inbox.analyse import analyse
from hub.inbox.service import Received, known_ids, problem_of, receive
from hub.queue.planner import plan_queue
from hub.runtime import Hub

Progress = Callable[[int], None]
SAMPLES = 5


@dataclass(slots=True)
class Preview:
    """What `ingest` would do to a file, with the first of what it would store and of what it would reject."""

    result: Received = field(default_factory=Received)
    messages: list[InboundMessage] = field(default_factory=list)
    rejects: list[Rejected] = field(default_factory=list)


def ingest_channel(hub: Hub, name: str, kind: str | None) -> int:
    """The id of the files channel of that name, made where there is none. Raises: Invalid."""
    with hub.database.session() as session:
        channel = session.scalar(select(Channel).where(Channel.name == name))
        if channel is None:
            outbox = str((hub.settings.home / "outbox" / name).absolute())
            channel = add_channel(
                session, name=name, connector="files", kind=kind, now=utcnow(), config={"outbox": outbox}
            )
        elif channel.connector != "files":
            raise Invalid(
                f"channel {name!r} is a {channel.connector} channel, not one for files", field="channel"
            )
        elif kind is not None and kind != channel.kind:
            raise Invalid(f"channel {name!r} is of kind {channel.kind}, not {kind}", field="kind")
        return channel.id


def ingest(
    hub: Hub,
    paths: Sequence[Path],
    channel_id: int,
    mapping: Mapping[str, str],
    progress: Progress = lambda records: None,
) -> Received:
    """Receive every record of `paths`, batch by batch; each batch is a transaction. Raises: Invalid."""
    result = Received()
    with hub.database.reading() as session:
        config = dict(session.get_one(Channel, channel_id).config)
    for batch in _batches(paths, config, mapping):
        with hub.database.session() as session:
            # The whole file is read at every run, so its place is not the channel's.
            result.add(receive(session, channel_id, replace(batch, cursor=None), utcnow(), history=True))
        progress(len(batch.items))
    return result


def preview(
    hub: Hub, paths: Sequence[Path], channel_name: str, mapping: Mapping[str, str], progress: Progress
) -> Preview:
    """What `ingest` would do; nothing is stored, no channel is made. Raises: Invalid."""
    shown = Preview()
    seen: set[str] = set()
    with hub.database.reading() as session:
        channel = session.scalar(select(Channel).where(Channel.name == channel_name))
        for batch in _batches(paths, channel.config if channel else {}, mapping):
            _preview_batch(session, channel, batch, seen, shown)
            progress(len(batch.items))
    return shown


def _preview_batch(
    session: Session, channel: Channel | None, batch: Batch, seen: set[str], shown: Preview
) -> None:
    shown.result.received += len(batch.items)
    fine: list[InboundMessage] = []
    for item in batch.items:
        problem = problem_of(item, utcnow())
        if problem is not None:
            shown.result.rejected += 1
            shown.rejects += [problem] if len(shown.rejects) < SAMPLES else []
        elif isinstance(item, InboundMessage):
            fine.append(item)
    known = known_ids(session, channel.id, [item.external_id for item in fine]) if channel else set()
    for item in fine:
        if item.external_id in known or item.external_id in seen:
            shown.result.duplicates += 1
        else:
            seen.add(item.external_id)
            shown.result.stored += 1
            shown.messages += [item] if len(shown.messages) < SAMPLES else []


def analyse_all(hub: Hub, progress: Progress = lambda messages: None) -> None:
    """Analyse what waits for it, here and now, beside whoever else is at it; then plan."""
    while done := analyse(hub):
        progress(done)
    plan_queue(hub)


def unanalysed(session: Session, *, up_to: int | None = None) -> int:
    """How many messages wait to be analysed; of those with an id up to `up_to`, where it is given."""
    waiting = select(func.count()).where(Message.direction == "incoming", Message.analysed_at.is_(None))
    if up_to is not None:
        waiting = waiting.where(Message.id <= up_to)
    return session.scalar(waiting) or 0


def newest_message_id(session: Session) -> int:
    """The id of the message stored last; 0 where there is none."""
    return session.scalar(select(func.max(Message.id))) or 0


def _batches(paths: Sequence[Path], config: Mapping[str, Any], mapping: Mapping[str, str]) -> Iterator[Batch]:
    settings = {**config, "paths": [str(path.absolute()) for path in paths]}
    if mapping:
        settings["map"] = {**config.get("map", {}), **mapping}
    try:
        connector = connect("files", settings)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise Invalid(f"the settings cannot be used: {problems}", field="map") from error
    try:
        yield from connector.fetch(None)
    except BadPayload as error:
        raise Invalid(str(error), field="path") from error
