"""Comparing two versions on stored messages: on which do they differ, and in what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields

from sqlalchemy import select

from hub.conversations.models import Message
from hub.inbox.analyse import words_of
from hub.runtime import Hub
from sentiment.types import Analysis

BATCH = 64
SNIPPET = 120


@dataclass(frozen=True, slots=True)
class Word:
    """What a version says of a message, in words: `unsure` and `none` where it says nothing."""

    sentiment: str
    topic: str
    other_intents: str
    taught: str

    @classmethod
    def of(cls, said: Analysis) -> Word:
        """The words of an analysis."""
        intents = [intent.label for intent in said.intents]
        return cls(
            sentiment=said.sentiment.label or "unsure",
            topic=intents[0] if intents else "none",
            other_intents=", ".join(sorted(intents[1:])) or "none",
            taught=", ".join(sorted(each.name for each in said.taught)) or "none",
        )


MATTERS = tuple(each.name for each in fields(Word))


@dataclass(frozen=True, slots=True)
class Difference:
    """A message on which the versions differ."""

    message_id: int
    conversation_id: int
    text: str
    a: Word
    b: Word

    @property
    def matters(self) -> list[tuple[str, str, str]]:
        """In what they differ: the matter, the word of `a`, the word of `b`."""
        one, other = asdict(self.a), asdict(self.b)
        return [(matter, one[matter], other[matter]) for matter in MATTERS if one[matter] != other[matter]]


@dataclass(slots=True)
class Comparison:
    """Two versions, by the names that analyses have of them, on so many messages.

    `pairs` counts messages by the matter that they differ in, and the word of each. `examples` are the first
    that differ, the newest first.
    """

    a: str
    b: str
    messages: int = 0
    differing: int = 0
    pairs: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    examples: list[Difference] = field(default_factory=list)


def compare(
    hub: Hub,
    a: str,
    b: str,
    *,
    limit: int | None,
    examples: int = 10,
    then: Callable[[int], None] = lambda read: None,
) -> Comparison:
    """Read the newest messages by two versions, each named by its number, `base` or `active`.

    `limit` is how many at most, None for all; `then` is told how many more are read, batch by batch. Raises:
    NotFound.
    """
    base = hub.base_scorer
    one, other = (hub.versions.named(base, name).scorer for name in (a, b))
    result = Comparison(one.name, other.name)
    for batch in _messages(hub, limit):
        texts = [text for _, _, text in batch]
        for (message_id, conversation_id, text), said, also_said in zip(
            batch, one.score(texts), other.score(texts), strict=True
        ):
            found = Difference(
                message_id,
                conversation_id,
                " ".join(text[: 4 * SNIPPET].split())[:SNIPPET],
                Word.of(said),
                Word.of(also_said),
            )
            if found.matters:
                result.differing += 1
                result.pairs.update(found.matters)
                if len(result.examples) < examples:
                    result.examples.append(found)
        result.messages += len(batch)
        then(len(batch))
    return result


def _messages(hub: Hub, limit: int | None) -> Iterator[list[tuple[int, int, str]]]:
    """Ids of messages and conversations, and what was said, in batches, the newest first."""
    before: int | None = None
    given = 0
    while limit is None or given < limit:
        query = select(Message).where(Message.direction == "incoming").order_by(Message.id.desc())
        if before is not None:
            query = query.where(Message.id < before)
        size = BATCH if limit is None else min(BATCH, limit - given)
        with hub.database.reading() as session:
            batch = [
                (message.id, message.conversation_id, words_of(message))
                for message in session.scalars(query.limit(size))
            ]
        if not batch:
            return
        yield batch
        given += len(batch)
        before = batch[-1][0]
