"""Saved searches: every message that comes in is asked all of them at once, and history once for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session, joinedload

from hub.accounts.models import User
from hub.clock import utcnow
from hub.conversations.models import AnalysisRow, Message
from hub.database import insert_missing, nudge
from hub.errors import Conflict, Invalid, NotFound
from hub.listening.models import LONGEST_NAME, SavedSearch, SearchHit
from hub.listening.queries import Tally
from hub.listening.search import posts_of, read_query, search
from hub.period import Range, look_back
from hub.policies.service import active_policy
from hub.runtime import Hub
from routing.matching import QuerySet
from routing.query import parse_query

# So many are asked of each message that comes in.
MOST = 200
# How far back history is asked, and how much of it is stored at a time.
HISTORY = timedelta(days=90)
BATCH = 500


def save_search(session: Session, name: str, query: str, *, user: User | None, now: datetime) -> SavedSearch:
    """Keep a query by a name: it counts what comes in from now on, and what was said in the last 90 days.

    Raises: Invalid, with the place of a mistake in the query; Conflict where the name is taken.
    """
    name = _name(session, name)
    read_query(query)
    if (session.scalar(select(func.count()).select_from(SavedSearch)) or 0) >= MOST:
        raise Conflict(f"there are {MOST} saved searches already; remove one first")
    saved = SavedSearch(
        name=name, query=query.strip(), user_id=user.id if user else None, created_at=now, looked_until=now
    )
    session.add(saved)
    session.flush()
    nudge(session, "fill")
    return saved


def rename_search(session: Session, saved: SavedSearch, name: str) -> None:
    """Give it another name. Raises: Invalid, Conflict."""
    if " ".join(name.split()) != saved.name:
        saved.name = _name(session, name)
        session.flush()


def remove_search(session: Session, saved: SavedSearch) -> None:
    """Count it no more. What it found stays where it was said."""
    session.delete(saved)
    session.flush()


def find_search(session: Session, search_id: int) -> SavedSearch:
    """One saved search. Raises: NotFound."""
    saved = session.get(SavedSearch, search_id)
    if saved is None:
        raise NotFound(f"no saved search {search_id}")
    return saved


def named_search(session: Session, name: str) -> SavedSearch:
    """The saved search of this name. Raises: NotFound."""
    saved = session.scalar(select(SavedSearch).where(SavedSearch.name == " ".join(name.split())))
    if saved is None:
        raise NotFound(f"no saved search {name!r}")
    return saved


def list_searches(session: Session) -> Sequence[SavedSearch]:
    """All of them, by name."""
    return session.scalars(
        select(SavedSearch).options(joinedload(SavedSearch.user)).order_by(func.lower(SavedSearch.name))
    ).all()


@dataclass(frozen=True, slots=True)
class Found:
    """What a saved search found in a range, by sentiment, and how many in the range before."""

    saved: SavedSearch
    tally: Tally
    before: int
    over_time: Sequence[int]


def found_by_searches(session: Session, range_: Range, now: datetime) -> Sequence[Found]:
    """What each saved search found in the range, in hours or days of the policy's time zone; by name."""
    searches = list_searches(session)
    if not searches:
        return []
    period = look_back(range_, active_policy(session).policy.time_zone, now)
    step = period.index_of(SearchHit.sent_at)
    rows = session.execute(
        select(SearchHit.search_id, step.label("step"), AnalysisRow.sentiment, func.count())
        .join(Message, Message.id == SearchHit.message_id)
        .outerjoin(AnalysisRow, AnalysisRow.message_id == SearchHit.message_id)
        .where(period.holds(SearchHit.sent_at), Message.deleted_at.is_(None))
        .group_by(SearchHit.search_id, "step", AnalysisRow.sentiment)
    )
    tallies = {saved.id: Tally() for saved in searches}
    times = {saved.id: [0] * len(period.starts) for saved in searches}
    for search_id, index, label, count in rows:
        tallies[search_id].add(label, count)
        times[search_id][index] += count
    before = session.execute(
        select(SearchHit.search_id, func.count())
        .join(Message, Message.id == SearchHit.message_id)
        .where(
            SearchHit.sent_at >= period.before,
            SearchHit.sent_at < period.since,
            Message.deleted_at.is_(None),
        )
        .group_by(SearchHit.search_id)
    )
    earlier: dict[int, int] = {row.search_id: row[1] for row in before}
    return [Found(saved, tallies[saved.id], earlier.get(saved.id, 0), times[saved.id]) for saved in searches]


def ask_searches(session: Session, read: Sequence[Message]) -> None:
    """Note which saved searches find these messages, which a model or a person has just read anew."""
    said = [message for message in read if message.direction == "incoming" and not message.automatic]
    searches = session.execute(select(SavedSearch.id, SavedSearch.query).order_by(SavedSearch.id)).all()
    if not said or not searches:
        return
    queries = _compiled(tuple((row.id, row.query) for row in searches))
    ids = [message.id for message in said]
    session.execute(delete(SearchHit).where(SearchHit.message_id.in_(ids)))
    posts = posts_of(session, ids)
    insert_missing(
        session,
        SearchHit,
        [
            {"search_id": search_id, "message_id": message.id, "sent_at": message.sent_at}
            for message in said
            if message.id in posts
            for search_id in queries.matches(posts[message.id])
        ],
    )


def fill_searches(hub: Hub) -> int:
    """Ask a piece of history of a search that has not seen all of it; 0 where there is none.

    Two that do so at once find the same, and store it once.
    """
    with hub.database.reading() as session:
        saved = session.scalar(_unfilled())
        if saved is None:
            return 0
        search_id, cursor, until = saved.id, saved.cursor, saved.created_at - HISTORY
        found = search(session, read_query(saved.query), cursor=cursor, limit=BATCH)
        hits = [
            {"search_id": search_id, "message_id": message.id, "sent_at": message.sent_at}
            for message, _ in found.items
            if message.sent_at >= until
        ]
    done = found.next_cursor is None or (found.looked_until is not None and found.looked_until < until)
    with hub.database.session() as session:
        row = session.get(SavedSearch, search_id, with_for_update=True)
        if row is not None and row.cursor == cursor and row.filled_at is None:
            insert_missing(session, SearchHit, hits)
            row.cursor = found.next_cursor
            row.looked_until = found.looked_until or row.looked_until
            row.filled_at = utcnow() if done else None
    return 1


def _unfilled() -> Select[SavedSearch]:
    return select(SavedSearch).where(SavedSearch.filled_at.is_(None)).order_by(SavedSearch.id).limit(1)


def _name(session: Session, name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME:
        raise Invalid(f"a name has 1 to {LONGEST_NAME} characters", field="name")
    if session.scalar(select(SavedSearch.id).where(func.lower(SavedSearch.name) == name.lower())):
        raise Conflict(f"there is a saved search {name!r} already", field="name")
    return name


@lru_cache(maxsize=4)
def _compiled(queries: tuple[tuple[int, str], ...]) -> QuerySet[int]:
    return QuerySet({search_id: parse_query(query) for search_id, query in queries})
