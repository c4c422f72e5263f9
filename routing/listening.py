"""What becomes of a message that nobody wrote to the brand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from routing.facts import sure_intents, sure_language, sure_sentiment
from routing.matching import Post, QuerySet
from routing.policy import ListeningRule, Policy
from routing.query import parse_query
from routing.targets import known_of
from routing.types import Facts


@dataclass(frozen=True, slots=True)
class Overheard:
    """A message that a search or a stream brought, and what is known of it once the model has read it.

    `authors` are the names by which its author goes.
    """

    text: str
    authors: tuple[str, ...]
    facts: Facts


def decide(overheard: Overheard, policy: Policy) -> ListeningRule | None:
    """The first rule that matches; None where none does, and the message is only counted."""
    facts = overheard.facts
    queries = _asked_together(tuple(rule.query for rule in policy.listening))
    found: set[int] = set()
    if queries is not None:
        threshold = policy.weights.confidence_threshold
        found.update(queries.matches(post_of(overheard.text, overheard.authors, facts, threshold)))
    known = known_of(facts, policy)
    for place, rule in enumerate(policy.listening):
        if (rule.query is None or place in found) and (rule.when is None or rule.when.holds(known)):
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


@lru_cache(maxsize=16)
def _asked_together(queries: tuple[str | None, ...]) -> QuerySet[int] | None:
    """The queries by the places of their rules, to be asked of a post at once; None where there are none."""
    asked = {place: parse_query(query) for place, query in enumerate(queries) if query is not None}
    return QuerySet(asked) if asked else None
