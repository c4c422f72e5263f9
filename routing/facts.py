"""The facts that a condition may ask: their names, their types, what they mean, and where each is read.

One table, from which come the guide (docs/policy.md), the check of a condition and its answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from routing.types import CHANNEL_KINDS, JOURNEY_STAGES, METRICS, STATUSES, URGENCIES, Facts
from sentiment.types import EMOTIONS, INTENTS, SENTIMENTS, Analysis, Intent, SentimentLabel

FactType = Literal["text", "number", "yes or no", "list"]
Value = str | float | bool | list[str]

# What a condition sees of what is not known: every comparison with such a number is false but `!=`.
ABSENT: Mapping[FactType, Value] = {"text": "", "number": math.nan, "yes or no": False, "list": []}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a condition may ask.

    `values` are all that it can be, empty where anything is possible; `within` the least and the most, of a
    number; `form` what a text looks like, as a regular expression and in words. `passing`: it changes by
    itself as time passes, so that only what is asked again and again may use it. `of_event`: it is of what
    happened, so that only automations may use it. `by_model`: it is known once the model has read the
    message. `read` gets the confidence below which the model is not believed, and gives None where it is not
    known.
    """

    name: str
    type: FactType
    meaning: str
    read: Callable[[Facts, float], Value | None]
    values: tuple[str, ...] = ()
    within: tuple[float, float] | None = None
    form: tuple[str, str] | None = None
    passing: bool = False
    of_event: bool = False
    by_model: bool = False


def sure_sentiment(analysis: Analysis | None, threshold: float) -> SentimentLabel | None:
    """The sentiment, where the model is as sure as `threshold`."""
    sure = analysis is not None and analysis.sentiment.confidence >= threshold
    return analysis.sentiment.label if analysis is not None and sure else None


def sure_language(analysis: Analysis | None, threshold: float) -> str | None:
    """The language's code, where the model is as sure as `threshold`."""
    sure = analysis is not None and analysis.language_confidence >= threshold
    return analysis.language if analysis is not None and sure else None


def sure_intents(analysis: Analysis | None, threshold: float) -> list[Intent]:
    """The intents of which the model is as sure as `threshold`."""
    return [i for i in analysis.intents if i.confidence >= threshold] if analysis is not None else []


def _taught(facts: Facts, threshold: float) -> list[str]:
    taught = facts.analysis.taught if facts.analysis else ()
    return [intent.name for intent in taught if intent.confidence >= threshold]


def _emotion(facts: Facts, threshold: float) -> str | None:
    emotion = facts.analysis.emotion if facts.analysis else None
    return emotion.label if emotion is not None and emotion.confidence >= threshold else None


def _confidence(facts: Facts, threshold: float) -> float | None:
    if facts.analysis is None or sure_sentiment(facts.analysis, threshold) is None:
        return None
    return facts.analysis.sentiment.confidence


def _expects_reply(facts: Facts, threshold: float) -> bool:
    return facts.analysis is not None and (facts.analysis.expects_reply or 0.0) >= threshold


_TABLE = (
    Fact("text", "text", "the words of the newest message by the customer", lambda f, _: f.text),
    Fact(
        "language",
        "text",
        "its language, as an ISO 639-1 code",
        lambda f, t: sure_language(f.analysis, t),
        # Of the few without a code of two letters the model tells three.
        form=("[a-z]{2,3}", 'an ISO 639-1 code such as "de"'),
        by_model=True,
    ),
    Fact(
        "sentiment",
        "text",
        "its mood",
        lambda f, t: sure_sentiment(f.analysis, t),
        values=SENTIMENTS,
        by_model=True,
    ),
    Fact(
        "sentiment_confidence",
        "number",
        "how sure the model is of the mood, 0 to 1",
        _confidence,
        within=(0, 1),
        by_model=True,
    ),
    Fact(
        "intents",
        "list",
        "what the customer wants",
        lambda f, t: [intent.label for intent in sure_intents(f.analysis, t)],
        values=INTENTS,
        by_model=True,
    ),
    Fact(
        "taught_intents",
        "list",
        "intents that you taught the hub, by the names you gave them",
        _taught,
        by_model=True,
    ),
    Fact("emotion", "text", "the feeling that shows most", _emotion, values=EMOTIONS, by_model=True),
    Fact("expects_reply", "yes or no", "a question or a call for help", _expects_reply, by_model=True),
    Fact("channel.name", "text", "the channel's name, as `hub channels` lists it", lambda f, _: f.channel),
    Fact(
        "channel.kind",
        "text",
        "what kind of channel it is",
        lambda f, _: f.channel_kind,
        CHANNEL_KINDS,
    ),
    Fact(
        "conversation.status",
        "text",
        "the conversation's status",
        lambda f, _: f.status,
        values=STATUSES,
    ),
    Fact(
        "conversation.priority",
        "text",
        "the priority that people or rules gave it; `normal` where nobody did",
        lambda f, _: f.urgency,
        values=URGENCIES,
    ),
    Fact("conversation.subject", "text", "its subject line", lambda f, _: f.subject),
    Fact("conversation.tags", "list", "its tags", lambda f, _: list(f.tags)),
    Fact("conversation.messages", "number", "how many messages it has", lambda f, _: f.messages),
    Fact(
        "conversation.first_reply_owed",
        "yes or no",
        "nobody of us has answered in it yet",
        lambda f, _: f.metric == "first_reply_time",
    ),
    Fact(
        "conversation.reopened",
        "yes or no",
        "it was solved, and the customer came back",
        lambda f, _: f.reopened,
    ),
    Fact(
        "conversation.waiting_minutes",
        "number",
        "how long the customer has waited for an answer",
        lambda f, _: f.waiting_minutes,
        passing=True,
    ),
    Fact(
        "customer.known",
        "yes or no",
        "the CRM has them, or they have written to us before",
        lambda f, _: f.known,
    ),
    Fact("customer.name", "text", "their name, or what they call themselves", lambda f, _: f.customer_name),
    Fact("customer.tier", "text", "their tier, as the policy spells it", lambda f, _: f.tier),
    Fact(
        "customer.spend_percentile",
        "number",
        "the share of buyers who spend no more than they, 0 to 100: at least 95 are the top 5 %",
        lambda f, _: f.spend_percentile,
        within=(0, 100),
    ),
    Fact(
        "customer.lifetime_value",
        "number",
        "what they ever bought, less returns, in the policy's currency",
        lambda f, _: f.lifetime_value,
    ),
    Fact("customer.followers", "number", "how many people read them", lambda f, _: f.followers),
    Fact(
        "customer.valence",
        "number",
        "how they have felt about you lately, from -1 (bad) to 1 (good)",
        lambda f, _: f.valence,
        within=(-1, 1),
    ),
    Fact(
        "customer.journey_stage",
        "text",
        "where they stand with you",
        lambda f, _: f.journey_stage,
        values=JOURNEY_STAGES,
    ),
    Fact(
        "customer.contacts",
        "number",
        "how many other conversations they began in the last 30 days",
        lambda f, _: f.contacts,
    ),
    Fact(
        "customer.language", "text", "the language that the CRM has of them", lambda f, _: f.customer_language
    ),
    Fact(
        "event.before",
        "text",
        "on `status_changed` and `priority_changed`: what it was before",
        lambda f, _: f.event.before if f.event else None,
        values=(*STATUSES, *URGENCIES),
        of_event=True,
    ),
    Fact(
        "event.tag",
        "text",
        "on `tag_added`: the tag",
        lambda f, _: f.event.tag if f.event else None,
        of_event=True,
    ),
    Fact(
        "event.promise",
        "text",
        "on `promise_broken`: what was promised",
        lambda f, _: f.event.promise if f.event else None,
        values=METRICS,
        of_event=True,
    ),
)

FACTS: Mapping[str, Fact] = {fact.name: fact for fact in _TABLE}
"""Every fact by its name, in the order of the guide."""


def values_of(
    facts: Facts, tier: str | None, threshold: float, names: Collection[str] | None = None
) -> dict[str, Value]:
    """What a condition sees, of all facts or of those named; `tier` as the policy spells it.

    What is not known is `ABSENT`.
    """
    values: dict[str, Value] = {}
    for name in FACTS if names is None else names:
        fact = FACTS[name]
        value = tier if name == "customer.tier" else fact.read(facts, threshold)
        if value is None:
            value = ABSENT[fact.type]
        elif fact.type == "number":
            value = float(value)  # type: ignore[arg-type]
        values[name] = value
    return values


def facts_table() -> str:
    """The facts as a table in Markdown, as docs/policy.md shows it."""
    rows = ["| fact | type | meaning |", "|---|---|---|"]
    for fact in _TABLE:
        known = f": {', '.join(f'`{value}`' for value in fact.values)}" if 0 < len(fact.values) <= 14 else ""
        rows.append(f"| `{fact.name}` | {fact.type} | {fact.meaning}{known} |")
    return "\n".join(rows)
