"""Our own order: the queue as a policy's plan places it."""

from __future__ import annotations

from routing.plan import plan
from routing.policy import Policy
from routing.replay.disciplines import planned
from routing.replay.simulator import Discipline

# Planned anew when so many of those who wait are new: a tenth of the time, and no worse (docs/replay.md).
REPLAN_SHARE = 0.05


def ours(policy: Policy, share: float = REPLAN_SHARE) -> Discipline:
    """The earliest `reply_by` first; planned anew when more than `share` of those who wait are new.

    Where the policy says so, handling times are learnt from the beginning on, as the hub learns them.
    """
    factor = policy.second_promise.weight_factor
    return planned(plan, factor, share=share, rules=policy.plan, handling=policy.handling)
