"""Learning from labels: a calibration from labelled messages, a refit from what people corrected.

Both begin at the version at work, and are kept only where they make it better on messages that they did not
learn from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import cast

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.conversations.models import AnalysisRow, Message
from hub.errors import Conflict, Invalid
from hub.inbox.analyse import words_of
from hub.learning.corrections import Right, what_is_right
from hub.learning.models import Correction
from hub.learning.service import Learnt, Lesson, learn
from hub.learning.versions import Adaptable, adaptable
from hub.runtime import Hub
from sentiment.adaptation import (
    FEWEST_CORRECTIONS,
    FEWEST_HELD_BACK,
    Adaptation,
    AdaptationError,
    Refit,
    Seen,
    held_back,
)
from sentiment.adaptation import calibrate as fit_calibration
from sentiment.adaptation import refit as fit_head
from sentiment.heads import Affine, Array, sigmoid
from sentiment.types import INTENTS, SENTIMENTS, SentimentLabel

BATCH = 64
# Messages that nobody corrected hold a refit to what the model knows: so many for each correction.
OTHERS_EACH, FEWEST_OTHERS, MOST_OTHERS = 2, 200, 1000
Progress = Callable[[int], None]


def _nobody(read: int) -> None: ...


def calibrate(
    hub: Hub,
    labelled: Sequence[tuple[str, SentimentLabel]],
    *,
    source: str,
    user_id: int | None,
    keep: bool = True,
    force: bool = False,
    then: Progress = _nobody,
) -> Learnt:
    """Make the confidences of the sentiment right for messages like these; figures are by cross-validation.

    Not kept where nothing gets better, unless by `force`, or where `keep` is False. Raises: Invalid for too
    few labels, or where one sentiment has none; Conflict.
    """
    if not labelled:
        raise Invalid("there are no labelled messages", field="labels")

    def lesson(before: Adaptation) -> Lesson:
        seen = _see(_reader(hub, before), [text for text, _ in labelled], then)
        rows = _readable(seen)
        found = fit_calibration(seen.log_shares["sentiment"][rows], [labelled[row][1] for row in rows])
        return Lesson(
            "calibrate",
            replace(before, sentiment=_one_after(before.sentiment, found.affine)),
            source,
            {
                "labels": len(rows),
                "not_read": len(labelled) - len(rows),
                "before": asdict(found.before),
                "after": asdict(found.after),
            },
            improved=found.improved,
            keep=keep and (found.improved or force),
        )

    return _learnt(hub, user_id, lesson)


def labelled_by_people(session: Session) -> list[tuple[str, SentimentLabel]]:
    """The messages whose sentiment people corrected, for `calibrate`."""
    return [
        (text, cast("SentimentLabel", right.sentiment))
        for text, right in _corrected(session)
        if right.sentiment
    ]


def refit(
    hub: Hub, *, user_id: int | None, keep: bool = True, force: bool = False, then: Progress = _nobody
) -> Learnt:
    """Refit the heads to what people corrected; a share of that judges it and is never learnt from.

    A head that would get no better stays as it is, and nothing is kept where none would, unless by `force`.
    The figures are how often the model agrees with those corrections. Raises: Invalid for too few of them,
    Conflict.
    """
    with hub.database.reading() as session:
        corrected = _corrected(session)
        others = _not_corrected(session, len(corrected))
    held = [(text, right) for text, right in corrected if held_back(text)]
    heads = _heads_with_enough(corrected)

    def lesson(before: Adaptation) -> Lesson:
        reader = _reader(hub, before)
        texts = [text for text, _ in corrected] + others
        seen = _see(reader, texts, then)
        fitted = {name: _refitted(seen, name, texts, [told(r) for _, r in corrected]) for name, told in heads}
        better = {name for name, made in fitted.items() if made.improved}
        taken = {name: (made.weight, made.bias) for name, made in fitted.items() if force or name in better}
        adaptation = replace(
            before,
            heads={**before.heads, **taken},
            # What is fitted to a head at work has the head's calibration in it.
            sentiment=None if "sentiment" in taken else before.sentiment,
        )
        return Lesson(
            "refit",
            adaptation,
            " and ".join(taken),
            {
                "corrections": len(corrected),
                "held_back": len(held),
                "before": _agreement(reader, held),
                "after": _agreement(_reader(hub, adaptation), held),
            },
            improved=bool(better),
            keep=keep and bool(taken),
        )

    return _learnt(hub, user_id, lesson)


def _learnt(hub: Hub, user_id: int | None, lesson: Callable[[Adaptation], Lesson]) -> Learnt:
    try:
        adaptable(hub.base_scorer)
    except AdaptationError as error:
        raise Conflict(str(error)) from error
    try:
        return learn(hub, user_id, lesson)
    except AdaptationError as error:
        raise Invalid(str(error)) from error


def _reader(hub: Hub, adaptation: Adaptation) -> Adaptable:
    base = hub.base_scorer
    return adaptable(adaptable(base).adapted(adaptation, base.name))


def _see(scorer: Adaptable, texts: Sequence[str], then: Progress) -> Seen:
    parts = []
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        parts.append(scorer.see(batch))
        then(len(batch))
    return Seen(
        embeddings=np.concatenate([part.embeddings for part in parts]),
        inputs=_joined([part.inputs for part in parts]),
        log_shares=_joined([part.log_shares for part in parts]),
        heads=parts[0].heads,
        objections=tuple(objection for part in parts for objection in part.objections),
    )


def _joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _readable(seen: Seen) -> list[int]:
    return [row for row, objection in enumerate(seen.objections) if objection is None]


def _one_after(first: Affine | None, second: Affine) -> Affine:
    """Both maps as one."""
    if first is None:
        return second
    return Affine(second.scale * first.scale, second.scale * first.shift + second.shift)


def _sentiment_of(right: Right) -> Array | None:
    return None if right.sentiment is None else _marks(SENTIMENTS, [right.sentiment])


def _intents_of(right: Right) -> Array | None:
    return None if right.intents is None else _marks(INTENTS, right.intents)


def _marks(labels: Sequence[str], right: Sequence[str]) -> Array:
    return np.array([label in right for label in labels], np.float32)


Told = Callable[[Right], "Array | None"]
HEADS: tuple[tuple[str, Told], ...] = (("sentiment", _sentiment_of), ("intents", _intents_of))


def _heads_with_enough(corrected: Sequence[tuple[str, Right]]) -> list[tuple[str, Told]]:
    """Heads that enough corrections speak of. Raises: Invalid, where none is."""
    counts = {
        name: [held_back(text) for text, right in corrected if told(right) is not None]
        for name, told in HEADS
    }
    found = [
        (name, told)
        for name, told in HEADS
        if len(counts[name]) >= FEWEST_CORRECTIONS and sum(counts[name]) >= FEWEST_HELD_BACK
    ]
    if not found:
        so_far = ", ".join(f"{len(held)} of the {name} ({sum(held)})" for name, held in counts.items())
        raise Invalid(
            f"a refit takes {FEWEST_CORRECTIONS} corrections of one matter, {FEWEST_HELD_BACK} of them among "
            f"those that are kept to judge by; so far there are {so_far}"
        )
    return found


def _refitted(seen: Seen, name: str, texts: Sequence[str], told: Sequence[Array | None]) -> Refit:
    """A head fitted to what it was told of the first texts, held by what it says itself of the others."""
    rows = [row for row in _readable(seen) if row >= len(told) or told[row] is not None]
    head, log_shares = seen.heads[name], seen.log_shares[name]
    own = np.exp(log_shares) if head.head.kind == "one" else sigmoid(log_shares)
    truth = np.array([own[row] if row >= len(told) else told[row] for row in rows], np.float32)
    return fit_head(seen.inputs[name][rows], head, truth, [texts[row] for row in rows])


def _agreement(reader: Adaptable, held: Sequence[tuple[str, Right]]) -> dict[str, float]:
    """How often the model says what people said, of those that it never learns from."""
    said = reader.score([text for text, _ in held])
    moods = [
        each.sentiment.label == r.sentiment for each, (_, r) in zip(said, held, strict=True) if r.sentiment
    ]
    topics = [
        bool(each.intents) and each.intents[0].label == right.intents[0]
        for each, (_, right) in zip(said, held, strict=True)
        if right.intents
    ]
    found = {"sentiment_right": moods, "main_intent_right": topics}
    return {name: float(np.mean(marks)) for name, marks in found.items() if marks}


def _corrected(session: Session) -> list[tuple[str, Right]]:
    """What customers said in messages that people corrected, and what is right of it."""
    rights = what_is_right(session)
    corrected = select(Correction.message_id).where(Correction.withdrawn_at.is_(None))
    messages = session.scalars(select(Message).where(Message.id.in_(corrected)).order_by(Message.id))
    return [(words_of(message), rights[message.id]) for message in messages]


def _not_corrected(session: Session, corrected: int) -> list[str]:
    """What customers said last in messages that nobody corrected."""
    count = min(max(OTHERS_EACH * corrected, FEWEST_OTHERS), MOST_OTHERS)
    messages = session.scalars(
        select(Message)
        .join(AnalysisRow, AnalysisRow.message_id == Message.id)
        .where(AnalysisRow.said.is_(None))
        .order_by(Message.id.desc())
        .limit(count)
    )
    return [words_of(message) for message in messages]
