"""What happens by itself: which automations are asked when, which of them run, and where it ends.

Loops end by three bounds, whatever automations are written and whatever happens:

- An event that an automation caused does not set off that automation again: not directly, and not by way of
  others. So no chain is longer than there are automations, nor than `MOST_DEPTH`.
- In one conversation `MOST_RUNS` run within an hour at most. That ends what goes round by way of the world
  outside, such as another hub that answers each of our messages.
- One customer gets `MOST_REPLIES` automatic replies within a day at most, in all conversations together: a
  machine that does not say that it is one may begin a new conversation with each answer. RFC 3834, section 2,
  asks for such a limit: https://www.rfc-editor.org/rfc/rfc3834#section-2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from routing.automation_rules import Automation, Since
from routing.calendars import NeverOpen
from routing.clocks import ConversationState
from routing.conditions import Known
from routing.policy import Policy

MOST_DEPTH = 5
MOST_RUNS = 20
RUNS_WITHIN = timedelta(hours=1)
MOST_REPLIES = 3
REPLIES_WITHIN = timedelta(days=1)
# What was due longer ago when it is first seen is left: old conversations were brought in, the policy is new.
LATE = timedelta(hours=1)
# How soon a condition is asked again that may come to hold with no more than time: where the moment cannot
# be told, and where what it asks moves by days.
_HOURLY = timedelta(hours=1)
_DAILY = timedelta(days=1)
_BY_DAYS = frozenset(
    {
        "customer.contacts",
        "customer.journey_stage",
        "customer.known",
        "customer.spend_percentile",
        "customer.valence",
    }
)
_WAITING = "conversation.waiting_minutes"
_MOST_MINUTES = 60 * 24 * 3660


class Timer(NamedTuple):
    """When an automation is asked of a conversation: `due_at`, as what it counts is so since `since`.

    `asked`: it ran, or came too late; it is not asked again before what it counts begins anew. `missed`: its
    time had come, and its condition, of which this is the `mark`, did not hold: it is asked again at
    `again_at`. `chain` are the automations by which it is asked at once.
    """

    automation: str
    since: datetime
    due_at: datetime
    asked: bool = False
    missed: str = ""
    again_at: datetime | None = None
    chain: tuple[str, ...] = ()

    @property
    def next_at(self) -> datetime | None:
        """When it is to be asked; None where only a change has it asked again, or nothing."""
        if self.asked:
            return None
        return self.again_at if self.missed else self.due_at


def applies(automation: Automation, known: Known, chain: Sequence[str] = ()) -> bool:
    """Whether it is to run, but for the bounds. `chain` are the automations by which the event came about."""
    if chain and chain[-1] == automation.name:
        return False
    return automation.when is None or automation.when.holds(known)


def refusal(automation: Automation, chain: Sequence[str], lately: int) -> str | None:
    """Why it must not run although it applies; None where it may.

    `lately` is how many ran in the conversation within `RUNS_WITHIN`.
    """
    if automation.name in chain:
        way = " → ".join([*chain[chain.index(automation.name) :], automation.name])
        return f"automations set each other off: {way}"
    if len(chain) >= MOST_DEPTH:
        return f"{MOST_DEPTH} automations set each other off before it: {' → '.join(chain)}"
    if lately >= MOST_RUNS:
        return f"{MOST_RUNS} automations ran in this conversation within an hour"
    return None


def reply_refusal(lately: int) -> str | None:
    """Why a customer gets no automatic reply now; `lately` is how many they had within `REPLIES_WITHIN`."""
    if lately < MOST_REPLIES:
        return None
    return f"this customer had {lately} automatic replies within a day"


def since_when(since: Since, state: ConversationState, opened_at: datetime) -> datetime | None:
    """Since when it is so; None where it is not so."""
    status_since = state.history[-1].at if state.history else None
    if since == "opened":
        return opened_at if state.status not in ("solved", "closed") else None
    if since == "unanswered":
        return state.waiting_since
    if since == "waiting_on_customer":
        if state.status != "pending" or status_since is None:
            return None
        # A second answer has them wait anew.
        return max(status_since, state.last_replied_at or status_since)
    return status_since if state.status == since else None


def timers(
    policy: Policy,
    state: ConversationState,
    opened_at: datetime,
    now: datetime,
    before: Sequence[Timer] = (),
    chain: tuple[str, ...] = (),
) -> tuple[Timer, ...]:
    """The automations that wait for a time in this conversation; `before` are those of the last time.

    `chain` are the automations by which the conversation became as it is. One whose condition the policy
    has written anew is as new as one that was not there before.
    """
    known = {timer.automation: timer for timer in before}
    found = []
    for automation in policy.timed_automations:
        assert automation.since is not None
        since = since_when(automation.since, state, opened_at)
        if since is None:
            continue
        try:
            due_at = policy.calendar(automation.calendar).deadline(since, automation.time)
        except NeverOpen:
            continue
        same = known.get(automation.name)
        late = due_at < now - LATE
        if same is not None and same.since == since and same.missed in ("", mark(automation)):
            # A shorter time of a new policy may be long over.
            asked = same.asked or (late and same.due_at > now)
            same = same._replace(due_at=due_at, asked=asked)
            found.append(same if due_at <= now else same._replace(missed="", again_at=None, chain=()))
        else:
            by = chain if due_at <= now else ()
            found.append(Timer(automation.name, since, due_at, asked=late, chain=by))
    return tuple(found)


def missed(timer: Timer, automation: Automation, state: ConversationState, now: datetime) -> Timer:
    """The timer whose condition did not hold at its time: when it is asked again, but for changes."""
    if automation.when is None:
        return timer._replace(asked=True)
    return timer._replace(
        asked=False, missed=mark(automation), again_at=_holds_at(automation, state, now), chain=()
    )


def after_a_change(waiting: Iterable[Timer], now: datetime, chain: tuple[str, ...] = ()) -> tuple[Timer, ...]:
    """These timers once something changed in the conversation: what missed its time is asked again at once.

    `chain` are the automations by which it changed.
    """
    return tuple(
        timer._replace(again_at=now, chain=chain) if timer.missed and not timer.asked else timer
        for timer in waiting
    )


def mark(automation: Automation) -> str:
    """A few characters that differ where the condition does."""
    text = automation.when.text if automation.when else ""
    return hashlib.blake2s(text.encode(), digest_size=4).hexdigest()


def _holds_at(automation: Automation, state: ConversationState, now: datetime) -> datetime | None:
    """When the condition, which does not hold now, is asked again though nothing changes but the time."""
    assert automation.when is not None
    moments = [now + _DAILY] if automation.asks & _BY_DAYS else []
    if _WAITING in automation.asks and state.waiting_since is not None:
        limits = automation.when.thresholds(_WAITING)
        if limits is None:
            moments.append(now + _HOURLY)
        else:
            # A second after each, as some must be passed.
            passed = (
                state.waiting_since + timedelta(minutes=limit, seconds=1)
                for limit in limits
                if 0 <= limit < _MOST_MINUTES
            )
            moments += [at for at in passed if at > now]
    return min(moments, default=None)


def next_due(waiting: Sequence[Timer]) -> datetime | None:
    """When the next of them is to be asked."""
    return min((timer.next_at for timer in waiting if timer.next_at is not None), default=None)
