"""What a policy says of the plan: how carefully promises are made, and how long those wait who gave way."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from routing.policy_fields import STRICT, Duration, Share


class PlanRules(BaseModel):
    """How the plan weighs promises against each other. The defaults are the best found (docs/plan.md)."""

    model_config = STRICT

    early: Annotated[float, Field(ge=0, le=4)] = 1.0
    """How much earlier than promised valuable conversations are aimed at: one of weight w after the share
    1 / w^early of its target. At 0 everybody is served in the order of the promises."""
    room: Annotated[float, Field(ge=1, le=20)] = 2.5
    """A promise is safe while this many times its expected work is left of it; with less it is kept only
    where that endangers no safe one."""
    room_of_target: Share = 0.7
    """But no more than this share of the target need be left, even of work that seems to take longer."""
    room_to_return: Annotated[float, Field(ge=0, le=20)] = 2.0
    """A promise that gave way returns only with so many times its expected work to spare besides."""
    patience: Annotated[float, Field(ge=0, le=20)] = 2.1
    """Who gave way is owed an answer after at most so many times as long as the agents on duty would need for
    everybody who waited, at the fullest of late; who weighs w, more than 1, after the share 1 / w of that.
    Less is fairer and keeps fewer promises."""
    least_patience: Annotated[float, Field(ge=1, le=20)] = 2.5
    """But not before so many targets have passed."""
    behind: Duration = timedelta(minutes=15)
    """Who waited so long stands behind those aimed at within this time, and before everybody else."""
    memory: Duration = timedelta(days=3)
    """The fullest of late counts half as much after this time."""


DEFAULT_RULES = PlanRules()
