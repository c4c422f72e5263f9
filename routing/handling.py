"""How long an agent works on one conversation: what the policy says of it, and what is learnt.

Of each intent the mean of the newest cases is kept. Where there are few it is drawn towards the policy's
number, and that number towards what all intents together have shown: where everything takes twice as long as
the policy says, an intent that nobody has seen yet is expected to. What took many times longer than expected
counts as no more than that, since the agent may have done something else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field

from routing.policy_fields import STRICT, Duration
from sentiment.types import IntentLabel

# The policy's number counts as so many cases, and the newest so many count besides.
_PRIOR = 10.0
_MEMORY = 200.0
# Longer than so many times the expected is not believed.
_MOST = 5.0


class Handling(BaseModel):
    """How long an agent works on one conversation."""

    model_config = STRICT

    default: Duration
    by_intent: dict[IntentLabel, Duration] = {}
    """Of several intents the longest counts."""
    factor: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    """What all of it is multiplied by; the plan's room is what is careful of work that takes longer."""
    learn: bool = True
    """Whether what agents really work takes the place of these numbers, the more the more cases there are."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What was seen of one intent: so many `cases` in all, and `seconds`, the mean of the newest, as few or
    many as `weight` says."""

    cases: int
    weight: float
    seconds: float


class Expected(NamedTuple):
    """The work that is expected, in seconds, and the intent that says so; None where no intent is known."""

    seconds: float
    intent: IntentLabel | None

    @property
    def whole_seconds(self) -> int:
        """At least 1, as the planner wants it."""
        return max(math.ceil(self.seconds), 1)


class HandlingTimes:
    """What is expected of each intent, by a policy and by what was learnt. None is no known intent."""

    def __init__(self, rules: Handling, learnt: Mapping[IntentLabel | None, Learnt] | None = None) -> None:
        self._rules = rules
        self._learnt = dict(learnt or {})
        self._ratio = self._overall()

    @property
    def learnt(self) -> Mapping[IntentLabel | None, Learnt]:
        """What was seen so far, whether the policy heeds it or not."""
        return self._learnt

    def told(self, intent: IntentLabel | None) -> float:
        """What the policy says, in seconds."""
        rules = self._rules
        duration = rules.by_intent.get(intent, rules.default) if intent is not None else rules.default
        return duration.total_seconds() * rules.factor

    def seconds(self, intent: IntentLabel | None) -> float:
        """What is expected."""
        return self._drawn(intent) if self._rules.learn else self.told(intent)

    def of(self, intents: Iterable[IntentLabel]) -> Expected:
        """What is expected of a message with these intents, of which the model is sure: of those that the
        policy names or cases are known of the longest, or else of the first."""
        given = tuple(intents)
        known = [each for each in given if each in self._rules.by_intent or self._heeds(each)]
        if known:
            longest = max(known, key=self.seconds)
            return Expected(self.seconds(longest), longest)
        intent = given[0] if given else None
        return Expected(self.seconds(intent), intent)

    def saw(self, intent: IntentLabel | None, seconds: float) -> None:
        """Learn that an agent worked so long on a conversation that was expected to be of this intent."""
        believed = min(seconds, _MOST * self._drawn(intent))
        before = self._learnt.get(intent, Learnt(0, 0.0, 0.0))
        weight = before.weight * (1 - 1 / _MEMORY) + 1
        mean = before.seconds + (believed - before.seconds) / weight
        self._learnt[intent] = Learnt(before.cases + 1, weight, mean)
        self._ratio = self._overall()

    def _heeds(self, intent: IntentLabel) -> bool:
        return self._rules.learn and intent in self._learnt

    def _drawn(self, intent: IntentLabel | None) -> float:
        prior, seen = self.told(intent) * self._ratio, self._learnt.get(intent)
        return (
            prior if seen is None else (_PRIOR * prior + seen.weight * seen.seconds) / (_PRIOR + seen.weight)
        )

    def _overall(self) -> float:
        """By how much all that was seen differs from what the policy says."""
        weight = _PRIOR + sum(seen.weight for seen in self._learnt.values())
        times = sum(seen.weight * seen.seconds / self.told(intent) for intent, seen in self._learnt.items())
        return (_PRIOR + times) / weight
