"""The clocks of a stored conversation, told as stories in minutes after noon.

`c5` a customer message, `c5@9` one that reached us at 9; `r10` a reply from the hub, `v10` one written in the
vendor's pages; `n10` a note; `a10` an automatic answer, `k10` one by the customer's side; `f15` the newest
reply could not be delivered, `d15` the oldest; `m20` `g20` what failed is marked as sent, is sent again;
`s10` `p10` `h10` `o10` `x10` solved, pending, on hold, open, closed; `z10-40` snoozed until 40; `w40` the
sweep looks. A social channel promises two hours, always.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import Batch
from hub.accounts.models import User
from hub.channels.models import Channel
from hub.conversations.clocks import reply_failed
from hub.conversations.delivery import mark_sent, send_again
from hub.conversations.models import Conversation, Message, Promise
from hub.conversations.service import get_conversation, note, reply, set_status
from hub.inbox.service import receive
from hub.policies.service import activate, active_policy
from hub.queue.service import place
from hub.queue.sweep import pass_time
from routing.policy import DEFAULT_POLICY
from tests.factories import NOW, channel, inbound, user
from tests.hub.conftest import ON_SQLITE

STATUS = {"s": "solved", "p": "pending", "h": "on_hold", "o": "open", "x": "closed", "z": "snoozed"}


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


@ON_SQLITE
@pytest.mark.parametrize(
    ("steps", "state", "promises"),
    [
        pytest.param("c0", "new, waits since 0, by 120", ["first 0-120"], id="a message waits"),
        pytest.param("c0 c5", "new, waits since 0, by 120", ["first 0-120"], id="the oldest counts"),
        pytest.param("c0 r10", "pending", ["first 0-120 met 10"], id="a reply in time"),
        pytest.param("c0 r120", "pending", ["first 0-120 met 120"], id="at the last moment"),
        pytest.param(
            "c0 r135", "pending", ["first 0-120 met 135 late 15"], id="a late reply breaks the promise"
        ),
        pytest.param(
            "c0 w130 r135", "pending", ["first 0-120 met 135 late 15"], id="found late before it was answered"
        ),
        pytest.param("c0 w130", "new, waits since 0, by 120", ["first 0-120 late"], id="late and unanswered"),
        pytest.param("c0 n10 a11", "new, waits since 0, by 120", ["first 0-120"], id="notes answer nothing"),
        pytest.param("c0 r1 k5", "pending", ["first 0-120 met 1"], id="the customer is out of office"),
        pytest.param(
            "c0 r10 c20",
            "open, waits since 20, by 140",
            ["first 0-120 met 10", "next 20-140"],
            id="the next message has a promise of its own",
        ),
        pytest.param(
            "c0 r10 c20 r30",
            "pending",
            ["first 0-120 met 10", "next 20-140 met 30"],
            id="and the next reply meets it",
        ),
        pytest.param("c0 r10 r20", "pending", ["first 0-120 met 10"], id="a second reply meets nothing"),
        pytest.param("c0 s10", "solved", ["first 0-120 cancelled 10"], id="solving ends the wait"),
        pytest.param("c0 s130", "solved", ["first 0-120 late 10 cancelled 130"], id="but not the breach"),
        pytest.param("c0 s10 o20", "open, waits since 0, by 120", ["first 0-120"], id="solving taken back"),
        pytest.param(
            "c0 s10 c20",
            "open, waits since 20, by 140",
            ["first 0-120 cancelled 10", "first 20-140"],
            id="solved, and the customer writes again",
        ),
        pytest.param(
            "c0 s10 c20 s30 o40",
            "open, waits since 20, by 140",
            ["first 0-120 cancelled 10", "first 20-140"],
            id="only the last solving is taken back",
        ),
        pytest.param("c0 x10", "closed", ["first 0-120 cancelled 10"], id="closing ends the wait"),
        pytest.param("c0 p10", "pending, waits since 0", ["first 0-120"], id="pending waits on"),
        pytest.param("c0 p10 w130", "pending, waits since 0", ["first 0-120 late"], id="and breaks promises"),
        pytest.param("c0 h10 c20", "open, waits since 0, by 120", ["first 0-120"], id="on hold reopens"),
        pytest.param("c0 z10-40", "snoozed, waits since 0", ["first 0-120"], id="snoozed"),
        pytest.param("c0 z10-40 w39", "snoozed, waits since 0", ["first 0-120"], id="still snoozed"),
        pytest.param("c0 z10-40 w40", "open, waits since 0, by 120", ["first 0-120"], id="awake again"),
        pytest.param("c0 r5 z10-40 w40", "open", ["first 0-120 met 5"], id="awake with nothing owed"),
        pytest.param(
            "c0 r10 f15", "open, waits since 0, by 120", ["first 0-120"], id="a reply that never arrived"
        ),
        pytest.param(
            "c0 r10 s12 f15", "open, waits since 0, by 120", ["first 0-120"], id="solved with such a reply"
        ),
        pytest.param(
            "c0 r10 c12 f15",
            "open, waits since 0, by 120",
            ["first 0-120"],
            id="what was written since belongs to the same wait",
        ),
        pytest.param(
            "c0 r5 c8 r10 f15",
            "open, waits since 8, by 128",
            ["first 0-120 met 5", "next 8-128"],
            id="the second reply never arrived",
        ),
        pytest.param(
            "c0 r130 f135", "open, waits since 0, by 120", ["first 0-120 late"], id="late and never arrived"
        ),
        pytest.param("c0 r10 x11 f15", "closed", ["first 0-120 met 10"], id="closed stays closed"),
        pytest.param(
            "c0 r5 r10 f15", "open", ["first 0-120 met 5"], id="the failed one had answered nothing"
        ),
        pytest.param("c0 r5 r10 d15", "pending", ["first 0-120 met 10"], id="another reply did arrive"),
        pytest.param(
            "c0 r5 r10 c12 d15",
            "open, waits since 12, by 132",
            ["first 0-120 met 10", "next 12-132"],
            id="and the customer has gone on",
        ),
        pytest.param("c0 r10 f15 m20", "pending", ["first 0-120 met 10"], id="it did arrive after all"),
        pytest.param(
            "c0 r10 c12 f15 m20",
            "open, waits since 12, by 132",
            ["first 0-120 met 10", "next 12-132"],
            id="it did arrive, before the next message",
        ),
        pytest.param("c0 r10 f15 g20", "pending", ["first 0-120 met 20"], id="sent again"),
        pytest.param("c0 r10 c12 f15 g20", "pending", ["first 0-120 met 20"], id="answers what was there"),
        pytest.param(
            "c0 r10 f15 g20 f25", "open, waits since 0, by 120", ["first 0-120"], id="sent again in vain"
        ),
        pytest.param("c0 r10 x11 f15 g20", "closed", ["first 0-120 met 10"], id="sent again when closed"),
        pytest.param("c0 v10", "open", ["first 0-120 met 10"], id="a reply elsewhere"),
        pytest.param("c0 v10@30", "open", ["first 0-120 met 10"], id="that we hear of later"),
        pytest.param(
            "c0 c20 v10@30",
            "open, waits since 20, by 140",
            ["first 0-120 met 10", "next 20-140"],
            id="a reply elsewhere answers what was written before it",
        ),
        pytest.param(
            "c0 v10 c5@20", "open", ["first 0-120 met 10"], id="answered elsewhere before we saw it"
        ),
        pytest.param(
            "c0 r10 c5@20",
            "open, waits since 5, by 125",
            ["first 0-120 met 10", "next 5-125"],
            id="nobody here had read it",
        ),
        pytest.param("c10 c0@11", "new, waits since 0, by 120", ["first 0-120"], id="out of order"),
        pytest.param(
            "c10 w131 c0@132", "new, waits since 0, by 120", ["first 0-120 late"], id="late, and even later"
        ),
        pytest.param(
            "c10 v5@11 c3@12",
            "open, waits since 10, by 130",
            ["next 10-130"],
            id="the first reply was one that we did not know",
        ),
        pytest.param(
            "c0 r5 c10 r12 c10@15",
            "open, waits since 10, by 130",
            ["first 0-120 met 5", "next 10-130"],
            id="another message of the same moment",
        ),
    ],
)
def test_the_clocks(session: Session, steps: str, state: str, promises: list[str]) -> None:
    story = Story(session)
    for step in steps.split():
        story.play(step)
    assert story.state() == state
    assert story.promises() == promises


EVERYTHING = DEFAULT_POLICY.replace(
    "    next_reply_time: {platinum: 15m, gold: 30m, silver: 60m, default: 2h}\n",
    "    next_reply_time: {platinum: 15m, gold: 30m, silver: 60m, default: 2h}\n"
    "    periodic_update_time: {default: 100m}\n    resolution_time: {default: 300m}\n",
)


@ON_SQLITE
@pytest.mark.parametrize(
    ("steps", "state", "promises"),
    [
        pytest.param(
            "c0",
            "new, waits since 0, by 120",
            ["first 0-120", "resolution 0-300"],
            id="a message is to be resolved",
        ),
        pytest.param(
            "c0 r10",
            "pending",
            ["first 0-120 met 10", "resolution 0-300 paused 10", "periodic_update 10-110 paused 10"],
            id="on the customer, both clocks stand still",
        ),
        pytest.param(
            "c0 r10 c70",
            "open, waits since 70, by 190",
            ["first 0-120 met 10", "resolution 0-360", "periodic_update 10-170", "next 70-190"],
            id="and go on as they write",
        ),
        pytest.param(
            "c0 r10 c70 w151",
            "open, waits since 70, by 170",
            ["first 0-120 met 10", "resolution 0-360", "periodic_update 10-170", "next 70-190"],
            id="an update is owed before the answer",
        ),
        pytest.param(
            "c0 r10 o11 w90",
            "open",
            ["first 0-120 met 10", "resolution 0-301", "periodic_update 10-111"],
            id="an update, not yet",
        ),
        pytest.param(
            "c0 r10 o11 w91",
            "open, by 111",
            ["first 0-120 met 10", "resolution 0-301", "periodic_update 10-111"],
            id="an update is owed",
        ),
        pytest.param(
            "c0 r10 h11 w91",
            "on hold, by 111",
            ["first 0-120 met 10", "resolution 0-301", "periodic_update 10-111"],
            id="also while it is on hold",
        ),
        pytest.param(
            "c0 r10 h11 w91 r100",
            "pending",
            [
                "first 0-120 met 10",
                "resolution 0-301 paused 100",
                "periodic_update 10-111 met 100",
                "periodic_update 100-200 paused 100",
            ],
            id="and given",
        ),
        pytest.param(
            "c0 r10 h11 r130",
            "pending",
            [
                "first 0-120 met 10",
                "resolution 0-301 paused 130",
                "periodic_update 10-111 met 130 late 19",
                "periodic_update 130-230 paused 130",
            ],
            id="too late",
        ),
        pytest.param(
            "c0 r10 z11-200 w91",
            "snoozed",
            ["first 0-120 met 10", "resolution 0-301", "periodic_update 10-111"],
            id="who sleeps is not disturbed",
        ),
        pytest.param(
            "c0 r10 s20",
            "solved",
            ["first 0-120 met 10", "resolution 0-300 met 20", "periodic_update 10-110 cancelled 20"],
            id="resolved",
        ),
        pytest.param(
            "c0 r10 o11 s320",
            "solved",
            [
                "first 0-120 met 10",
                "resolution 0-301 met 320 late 19",
                "periodic_update 10-111 late 209 cancelled 320",
            ],
            id="resolved too late",
        ),
        pytest.param(
            "c0 r10 s20 c80",
            "open, waits since 80, by 200",
            ["first 0-120 met 10", "resolution 0-370", "periodic_update 10-180", "next 80-200"],
            id="reopened: the same resolution, without the time it was solved",
        ),
        pytest.param(
            "c0 r10 s20 c80 r90 s95",
            "solved",
            [
                "first 0-120 met 10",
                "resolution 0-370 met 95",
                "periodic_update 10-180 met 90",
                "next 80-200 met 90",
                "periodic_update 90-190 cancelled 95",
            ],
            id="and resolved again",
        ),
        pytest.param(
            "c0 p10 o280",
            "open, waits since 0, by 120",
            ["first 0-120", "resolution 0-570"],
            id="a first reply does not pause",
        ),
        pytest.param(
            "c0 r10 o11 c250 w250",
            "open, waits since 250, by 111",
            ["first 0-120 met 10", "resolution 0-301", "periodic_update 10-111 late", "next 250-370"],
            id="the update is overdue first",
        ),
        pytest.param(
            "c0 w301 x310",
            "closed",
            ["first 0-120 late 190 cancelled 310", "resolution 0-300 met 310 late 10"],
            id="closed",
        ),
    ],
)
def test_updates_and_resolution(session: Session, steps: str, state: str, promises: list[str]) -> None:
    activate(session, EVERYTHING, NOW)
    story = Story(session)
    for step in steps.split():
        story.play(step)
    assert story.state().replace("on_hold", "on hold") == state
    assert story.promises() == promises


class Story:
    """One conversation, played step by step."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.channel: Channel = channel(session)
        self.agent: User = user(session)
        self.conversation: Conversation | None = None

    def play(self, step: str) -> None:
        what, minutes, written_at, until = re.fullmatch(r"(\w)(\d+)(?:@(\d+))?(?:-(\d+))?", step).groups()  # type: ignore[union-attr]
        sent, now = at(int(minutes)), at(int(written_at or minutes))
        if what in "ckva":
            self._arrives(what, sent, now)
        elif what == "r":
            reply(self.session, self._locked(), user=self.agent, text="Here.", now=now)
        elif what == "n":
            note(self.session, self._locked(), user=self.agent, text="Look.", now=now)
        elif what in "fd":
            replies = self._replies()
            failed = replies[-1] if what == "f" else replies[0]
            conversation = self._locked()
            failed.delivery = "failed"
            reply_failed(self.session, conversation, failed, now)
            place(self.session, [conversation], active_policy(self.session), now)
        elif what in "mg":
            (failed,) = [each for each in self._replies() if each.delivery == "failed"]
            (mark_sent if what == "m" else send_again)(self.session, failed, now)
        elif what == "w":
            pass_time(self.session, now)
        else:
            set_status(
                self.session,
                self._locked(),
                STATUS[what],
                user=self.agent,
                now=now,
                snoozed_until=at(int(until)) if until else None,
            )
        self.session.flush()
        self.session.expire_all()

    def state(self) -> str:
        conversation = self._locked()
        told = [conversation.status]
        if conversation.waiting_since is not None:
            told.append(f"waits since {_minutes(conversation.waiting_since)}")
        if conversation.reply_by is not None:
            told.append(f"by {_minutes(conversation.reply_by)}")
        owed = [p for p in self._promises() if p.is_open]
        # At most one promise of a kind is open: a reply where a customer waits, and it governs unless
        # something else that is owed is due before it.
        replies = [p for p in owed if p.metric.endswith("reply_time")]
        assert len(replies) == (conversation.waiting_since is not None)
        assert len({p.metric for p in owed}) == len(owed)
        governs = conversation.promise
        assert governs is None or governs in owed
        assert not replies or (governs is not None and governs.due_at <= replies[0].due_at)
        assert conversation.reply_by is None or (
            governs is not None and conversation.reply_by == governs.due_at
        )
        ended = [p for p in self._promises() if not p.is_open]
        assert not any(p.asks_at or p.paused_at for p in ended)
        return ", ".join(told)

    def promises(self) -> list[str]:
        return [self._told(promise) for promise in self._promises()]

    def _promises(self) -> list[Promise]:
        return list(self.session.scalars(select(Promise).order_by(Promise.started_at, Promise.id)))

    def _told(self, promise: Promise) -> str:
        words = [
            promise.metric.removesuffix("_time").removesuffix("_reply"),
            f"{_minutes(promise.started_at)}-{_minutes(promise.due_at)}",
        ]
        if promise.met_at:
            words += ["met", str(_minutes(promise.met_at))]
        if promise.breached_at:
            assert promise.breached_at == promise.due_at
            late = promise.late_by_seconds
            words += ["late"] if late is None else ["late", str(late // 60)]
        else:
            assert promise.late_by_seconds is None
        if promise.cancelled_at:
            words += ["cancelled", str(_minutes(promise.cancelled_at))]
        if promise.paused_at:
            words += ["paused", str(_minutes(promise.paused_at))]
        answered = promise.met_at is not None and promise.metric.endswith("reply_time")
        assert (promise.reply_id is not None) == answered
        return " ".join(words)

    def _arrives(self, what: str, sent: datetime, now: datetime) -> None:
        item = inbound(
            author="ann" if what in "ck" else None,
            incoming=what in "ck",
            automatic=what in "ak",
            thread_key="T",
            sent_at=sent,
        )
        receive(self.session, self.channel.id, Batch((item,)), now)
        self.conversation = self.session.scalars(select(Conversation)).one()

    def _replies(self) -> list[Message]:
        ours = select(Message).where(Message.user_id.is_not(None), Message.delivery.is_not(None))
        return list(self.session.scalars(ours.order_by(Message.id)))

    def _locked(self) -> Conversation:
        assert self.conversation is not None
        return get_conversation(self.session, self.conversation.id)


def _minutes(moment: datetime) -> int:
    return round((moment - NOW).total_seconds() / 60)
