"""What becomes of a message that nobody wrote to the brand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from routing.matching import Post, Reading, Test, compile_query
from routing.policy import ListeningRule, Policy, WhenOverheard
from routing.priority import holds, sure_intents, sure_language, sure_sentiment
from routing.query import parse_query
from routing.types import Facts


@dataclass(frozen=True, slots=True)
class Overheard:
    """A message that a search or a stream brought, and what is known of it once the model has read it.

    `authors` are the names by which its author goes. `known_customer`: the CRM has them, or they have spoken
    with us.
    """

    text: str
    authors: tuple[str, ...]
    facts: Facts
    known_customer: bool


def decide(overheard: Overheard, policy: Policy) -> ListeningRule | None:
    """The first rule that matches; None where none does, and the message is only counted."""
    threshold = policy.weights.confidence_threshold
    facts = overheard.facts
    tier = policy.known_tier(facts.tier)
    reading = Reading(post_of(overheard.text, overheard.authors, facts, threshold))
    for rule in policy.listening:
        if holds(rule.when, facts, tier, threshold) and _overheard(rule.when, overheard, reading, threshold):
            return rule
    return None


def post_of(text: str, authors: tuple[str, ...], facts: Facts, threshold: float) -> Post:
    """What a query may ask of a message: of what the model says, that of which it is sure."""
    return Post(
        text=text,
        language=sure_language(facts.analysis, threshold),
        channel=facts.channel,
        authors=authors,
        followers=facts.followers,
        sentiment=sure_sentiment(facts.analysis, threshold),
        intents=tuple(intent.label for intent in sure_intents(facts.analysis, threshold)),
    )


def _overheard(when: WhenOverheard, overheard: Overheard, reading: Reading, threshold: float) -> bool:
    analysis = overheard.facts.analysis
    asks = analysis is not None and (analysis.expects_reply or 0.0) >= threshold
    return (
        (when.known_customer is None or when.known_customer == overheard.known_customer)
        and (when.expects_reply is None or when.expects_reply == asks)
        and (when.query is None or _test(when.query)(reading))
    )


@lru_cache(maxsize=1000)
def _test(query: str) -> Test:
    return compile_query(parse_query(query))
