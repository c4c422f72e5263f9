"""Reading history again: small batches, stored with the place they leave off at; new messages come first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session, selectinload

from hub import log
from hub.accounts.models import User
from hub.clock import utcnow
from hub.conversations.analysis import replace
from hub.conversations.models import Message
from hub.database import nudge
from hub.errors import Conflict, Invalid
from hub.inbox.analyse import place_read, words_of
from hub.learning.corrections import keep_corrections
from hub.learning.models import Reanalysis
from hub.listening.saved import ask_searches
from hub.paging import after, encode_cursor
from hub.runtime import Hub
from sentiment.types import Analysis, Scorer

logger = log.get(__name__)
# So few that a message that comes in meanwhile waits for a fraction of a second.
BATCH = 16
# A batch that was not finished is tried message by message. After so many tries a message, which may be what
# ended the process, keeps its old analysis.
ATTEMPTS = 3


def start_reanalysis(
    session: Session, *, user: User | None, since: datetime | None, until: datetime | None, now: datetime
) -> Reanalysis:
    """Have the messages sent from `since` to before `until` read again by the version at work.

    Raises: Conflict while another goes on, Invalid where there is nothing to read.
    """
    if session.scalar(_unfinished()) is not None:
        raise Conflict("messages are being read again already; wait for the end, or stop it")
    if since is not None and until is not None and since >= until:
        raise Invalid("the end must come after the beginning", field="until")
    made = Reanalysis(user_id=user.id if user else None, since=since, until=until, created_at=now)
    made.total = session.scalar(select(func.count()).where(*_in_range(made))) or 0
    if not made.total:
        raise Invalid("no message came in that time", field="since")
    session.add(made)
    session.flush()
    nudge(session, "reanalyse")
    return made


def stop_reanalysis(session: Session, now: datetime) -> Reanalysis:
    """End the one that goes on; what was read again stays. Raises: Conflict where none goes on."""
    running = session.scalar(_unfinished().with_for_update())
    if running is None:
        raise Conflict("no messages are being read again")
    running.finished_at, running.stopped = now, True
    return running


@dataclass(frozen=True, slots=True)
class _Batch:
    """Messages to be read, by id, and where the job stands before and after them."""

    job_id: int
    tries: int
    cursor: str | None
    next_cursor: str
    texts: dict[int, str]


def reanalyse(hub: Hub) -> int:
    """Read one batch of history again, unless a new message waits; how many messages.

    Raises what loading the model raises.
    """
    with hub.database.reading() as session:
        if session.scalar(_unfinished()) is None or session.scalar(_NEW):
            return 0
    scorer = hub.scorer
    batch = _claim(hub)
    if batch is None:
        return 0
    read = dict(zip(batch.texts, _score(scorer, batch), strict=True))
    with hub.database.session() as session:
        job = session.get_one(Reanalysis, batch.job_id, with_for_update=True)
        if job.finished_at is None and job.cursor == batch.cursor:
            _store(session, read)
            job.cursor, job.leased_until, job.tries = batch.next_cursor, None, 0
            job.done += len(read)
            job.skipped += sum(analysis is None for analysis in read.values())
    return len(read)


def _claim(hub: Hub) -> _Batch | None:
    """The next batch, which nobody else will take for a while; where there is none, the job is done."""
    now = utcnow()
    with hub.database.session() as session:
        job = session.scalar(
            _unfinished()
            .where(or_(Reanalysis.leased_until.is_(None), Reanalysis.leased_until < now))
            .with_for_update(skip_locked=True)
        )
        if job is None:
            return None
        messages = session.scalars(
            after(
                select(Message).where(*_in_range(job), Message.analysed_at.is_not(None)),
                (Message.sent_at, Message.id),
                (datetime, int),
                job.cursor,
                descending=True,
            ).limit(1 if job.tries else BATCH)
        ).all()
        if not messages:
            job.finished_at = now
            return None
        job.leased_until = now + timedelta(seconds=hub.settings.analysis_lease_seconds)
        job.tries += 1
        return _Batch(
            job.id,
            job.tries,
            job.cursor,
            encode_cursor((messages[-1].sent_at, messages[-1].id)),
            {message.id: words_of(message) for message in messages},
        )


def _score(scorer: Scorer, batch: _Batch) -> list[Analysis | None]:
    if batch.tries > ATTEMPTS:
        # It never came back from its last try.
        return [None]
    texts = list(batch.texts.values())
    try:
        return list(scorer.score(texts))
    except Exception:
        logger.exception("scoring_failed", messages=len(texts))
    return [_score_alone(scorer, text) for text in texts]


def _score_alone(scorer: Scorer, text: str) -> Analysis | None:
    try:
        return scorer.score([text])[0]
    except Exception:
        return None


def _store(session: Session, read: dict[int, Analysis | None]) -> None:
    now = utcnow()
    messages = session.scalars(
        select(Message)
        .where(Message.id.in_([message_id for message_id, analysis in read.items() if analysis]))
        .options(selectinload(Message.analysis))
        .order_by(Message.id)
        .with_for_update()
    ).all()
    rows = []
    for message in messages:
        analysis = read[message.id]
        if message.analysis is not None and analysis is not None:
            replace(message.analysis, analysis, now)
            rows.append(message.analysis)
    keep_corrections(session, rows)
    session.flush()
    ask_searches(session, messages)
    place_read(session, messages)


def _unfinished() -> Select[Reanalysis]:
    return select(Reanalysis).where(Reanalysis.finished_at.is_(None)).order_by(Reanalysis.id).limit(1)


def _in_range(job: Reanalysis) -> list[ColumnElement[bool]]:
    """What customers sent in the job's time."""
    bounds = [Message.direction == "incoming"]
    if job.since is not None:
        bounds.append(Message.sent_at >= job.since)
    if job.until is not None:
        bounds.append(Message.sent_at < job.until)
    return bounds


# Whether somebody waits for the model; a message that it broke on waits for its lease.
_NEW = (
    select(Message.id)
    .where(Message.direction == "incoming", Message.analysed_at.is_(None), Message.leased_until.is_(None))
    .limit(1)
)
