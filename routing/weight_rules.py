"""The part of a policy that says what a conversation is worth."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from routing.policy_fields import STRICT, Factor, Share
from routing.types import JourneyStage, Urgency
from sentiment.types import IntentLabel, SentimentLabel


class _Part(BaseModel):
    model_config = STRICT


class SpendBand(_Part):
    """The customers who spend most."""

    top: Annotated[float, Field(gt=0, le=100)]
    """Percent of customers, counted from the one who spends most."""
    factor: Factor


class LifetimeBand(_Part):
    """Customers who have bought so much in all the time."""

    at_least: Annotated[float, Field(ge=0)]
    """In the policy's currency."""
    factor: Factor


class CountBand(_Part):
    """Those with so many: readers of an author, conversations of a customer."""

    at_least: Annotated[int, Field(ge=0)]
    factor: Factor


class ValenceBand(_Part):
    """Customers who have felt so badly about the brand lately, or worse."""

    at_most: Annotated[float, Field(ge=-1, le=1)]
    """From -1, bad, to 1, good."""
    factor: Factor


class Weights(_Part):
    """What multiplies the worth of a conversation; what is not named counts 1."""

    tier: dict[str, Factor] = {}
    priority: dict[Urgency, Factor] = {}
    """The priority that people or rules gave the conversation."""
    spend: tuple[SpendBand, ...] = ()
    """The narrowest band that fits counts."""
    lifetime_value: tuple[LifetimeBand, ...] = ()
    """The highest band that fits counts."""
    followers: tuple[CountBand, ...] = ()
    """The highest band that fits counts."""
    contacts: tuple[CountBand, ...] = ()
    """Other conversations that the customer began in the last 30 days; the highest band that fits counts."""
    valence: tuple[ValenceBand, ...] = ()
    """The lowest band that fits counts."""
    journey_stage: dict[JourneyStage, Factor] = {}
    sentiment: dict[SentimentLabel, Factor] = {}
    intent: dict[IntentLabel, Factor] = {}
    """Of several intents the one with the highest factor counts."""
    confidence_threshold: Share = 0.6
    """What the model is less sure of is left out, of weights and conditions alike."""
