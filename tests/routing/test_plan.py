"""The plan: small cases worked out by hand, and what holds for every queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from heapq import heapreplace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.plan import aim, plan
from routing.plan_rules import PlanRules
from routing.types import Fullest, Place, Plan, Waiting
from tests.routing.plainly import plainly

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)
# No safety: work takes as long as expected, and nobody is early.
EXACT = PlanRules(early=0, room=1)
# The share of its target that work can fill before the plan doubts the estimate.
LARGEST = PlanRules().room_of_target


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def job(number: int, due: float, weight: float = 1, work: int = 10, target: float | None = None) -> Waiting:
    """A conversation promised by minute `due` that takes `work` minutes; its target is `due` if not given."""
    return Waiting(number, at(due), at(due + (due if target is None else target)), weight, work * 60)


def target_of(w: Waiting) -> float:
    given = (w.second_due_at - w.due_at).total_seconds()
    return given if w.target_seconds is None else w.target_seconds


def least_work(w: Waiting) -> float:
    """What must be left of a promise that is tried: work may be shorter than is expected, above all such as
    fills most of the target."""
    return min(0.75 * w.work_seconds, LARGEST * target_of(w))


def order(planned: Plan) -> list[int]:
    return [place.id for place in planned.places]


def reply_by(planned: Plan) -> dict[int, float]:
    return {place.id: (place.reply_by - NOON).total_seconds() / 60 for place in planned.places}


def test_an_empty_queue_needs_nobody() -> None:
    assert plan([], 3, NOON) == Plan((), 3, (), 0, Fullest(0.0, NOON))


def test_equal_worth_is_served_in_the_order_of_the_promises() -> None:
    planned = plan([job(1, 60), job(2, 30), job(3, 45)], 1, NOON)
    assert planned.places == (Place(2, at(30)), Place(3, at(45)), Place(1, at(60)))
    assert planned.breaking == ()
    assert planned.agents_needed == 1


def test_equal_promises_stand_in_order_of_their_ids() -> None:
    assert order(plan([job(3, 60), job(1, 60), job(2, 60)], 1, NOON)) == [1, 2, 3]


def test_valuable_ones_are_aimed_at_early_where_the_policy_says_so() -> None:
    """Worth 8 is aimed at after an eighth of the target, worth less than 1 at the promise."""
    jobs = [job(1, 80, weight=8), job(2, 35), job(3, 40, weight=0.1)]
    assert reply_by(plan(jobs, 1, NOON)) == {1: 10, 2: 35, 3: 40}
    assert reply_by(plan(jobs, 1, NOON, rules=PlanRules(early=0))) == {2: 35, 3: 40, 1: 80}
    assert aim(jobs[0]) == at(10)


def test_the_valuable_are_early_only_where_it_breaks_nothing_of_theirs() -> None:
    """The heavy one is first; the light one would come too late behind it, and has the least worth."""
    planned = plan([job(1, 15, weight=1, target=60), job(2, 60, weight=8)], 1, NOON)
    assert order(planned) == [2, 1]
    assert planned.breaking == (1,)
    assert plan([job(1, 15), job(2, 60, weight=8)], 1, NOON, rules=PlanRules(early=0)).breaking == ()


def test_the_least_worth_gives_way() -> None:
    planned = plan([job(1, 10, weight=1, target=60), job(2, 16, weight=8)], 1, NOON)
    assert planned.places == (Place(2, at(2)), Place(1, at(100), NOON, 1))
    assert planned.breaking == (1,)
    assert planned.agents_needed == 2


def test_worth_is_counted_per_minute_of_work() -> None:
    """Three at 2 that take ten minutes each are worth more than one at 4 that takes thirty."""
    short = [job(i, 30 + i, weight=2) for i in (1, 2, 3)]
    assert plan([job(9, 30, weight=4, work=30, target=60), *short], 1, NOON, rules=EXACT).breaking == (9,)


def test_more_agents_keep_more_promises() -> None:
    jobs = [job(i, 12) for i in range(6)]
    assert [len(plan(jobs, agents, NOON).breaking) for agents in (1, 2, 3, 6)] == [5, 4, 3, 0]


@pytest.mark.parametrize(("weight", "gives_way"), [(8, 2), (1.4, 2), (1.3, 1), (1, 1)])
def test_a_tight_promise_counts_by_how_many_of_such_are_kept(weight: float, gives_way: int) -> None:
    """Three of four: a tight one of weight 1.4 is worth more than a safe one of 1, one of 1.3 is not."""
    jobs = [job(1, 11, weight=weight, target=60), job(2, 16, weight=1, target=20)]
    assert plan(jobs, 1, NOON).breaking == (gives_way,)


def test_of_two_that_may_both_be_kept_none_gives_way() -> None:
    """The light one has room for work that takes longer; as long as expected, there is time for both."""
    jobs = [job(1, 11, weight=8, target=60), job(2, 22, weight=1, target=30)]
    assert plan(jobs, 1, NOON).breaking == ()


def test_who_gave_way_is_owed_an_answer_by_how_full_the_queue_was() -> None:
    """An hour of work for each agent; twice that is owed, in steps of a tenth, after the wait began."""
    lost = job(1, 5, target=10)
    rules = PlanRules(patience=2, least_patience=1)
    before = Fullest(3600, NOON - timedelta(hours=1))
    owed = reply_by(plan([lost], 1, NOON, rules=rules, before=before))[1] + 5
    assert 120 <= owed < 120 * 1.1
    assert reply_by(plan([lost], 1, NOON, rules=rules))[1] < 60


def test_the_fullest_of_late_fades() -> None:
    before = Fullest(8000, NOON - timedelta(days=6))
    assert plan([], 2, NOON, before=before).fullest == Fullest(2000, NOON)
    assert plan([job(1, 90, work=200)], 2, NOON, before=before).fullest == Fullest(12_000, NOON)
    assert plan([], 0, NOON, before=before).fullest == before


def test_what_is_promised_for_later_does_not_fill_the_queue() -> None:
    """A hundred mails for Monday do not put off who waits on a quiet Sunday."""
    today = [job(n, 30, work=10) for n in range(4)]
    monday = [job(10 + n, 20 * 60, work=15) for n in range(10)]
    full = plan([*today, *monday], 1, NOON).fullest
    assert full == Fullest(40 * 60, NOON)
    overdue = [job(10 + n, -5, work=15) for n in range(10)]
    assert plan([*today, *overdue], 1, NOON).fullest == Fullest(190 * 60, NOON)


def test_whoever_was_alone_in_the_morning_puts_off_nobody() -> None:
    """How full the queue was counts by the agents of now, not by how many there were when it was full."""
    lost = job(1, -30, target=15)
    alone = plan([lost, *(job(n, 60) for n in range(2, 62))], 1, NOON).fullest
    together = [replace(lost, gave_way_at=at(-30))]
    later = plan(together, 10, at(5), before=alone)
    assert reply_by(later) == reply_by(plan(together, 10, at(5), before=Fullest(61 * 600, NOON)))
    assert reply_by(later)[1] < reply_by(plan(together, 1, at(5), before=alone))[1]


def test_the_more_worth_the_sooner_an_answer_is_owed_to_who_gave_way() -> None:
    """Ten hours of work for each agent: twice that, or an eighth of it."""
    before = Fullest(36_000, NOON)
    rules = PlanRules(patience=2, least_patience=1)
    lost = [job(1, -30, target=15), job(8, -30, weight=8, target=15)]
    owed = reply_by(plan(lost, 1, NOON, rules=rules, before=before))
    waited = 45
    assert (owed[1] + waited) / (owed[8] + waited) == pytest.approx(8, rel=0.01)
    light = job(2, -30, weight=0.5, target=15)
    assert reply_by(plan([light], 1, NOON, rules=rules, before=before))[2] == owed[1]


def test_who_could_not_be_kept_anyway_gave_way_to_nobody() -> None:
    hopeless = job(1, 5, weight=2, target=60)
    planned = plan([hopeless, job(2, 60, weight=8), job(3, -20, weight=9)], 1, NOON)
    assert {p.id: p.gave_way_to for p in planned.places if p.gave_way_at} == {1: 0, 3: 0}


def test_whom_nothing_delays_is_kept_although_what_is_owed_comes_later() -> None:
    kept = [job(1, 30, weight=9), job(2, 60, weight=9)]
    hopeless = [job(8, 5, target=7), job(7, 6, target=6)]
    planned = plan([*hopeless, *kept], 1, NOON)
    assert order(planned) == [1, 2, 8, 7]
    assert planned.breaking == (8, 7)


def test_who_waited_long_enough_goes_before_all_but_the_most_valuable() -> None:
    """The promise is a day past: it stands a quarter of an hour away at most, whatever comes new."""
    long_lost = job(1, -24 * 60, target=60)
    planned = plan([long_lost, job(2, 15, weight=8), job(3, 120)], 10, NOON)
    assert order(planned)[-1] == 3
    assert reply_by(planned)[1] < 15


def test_a_weekend_in_the_target_does_not_put_off_what_is_owed() -> None:
    over_the_weekend = Waiting(1, at(-70 * 60), at(-5), 1, 600)
    assert reply_by(plan([over_the_weekend], 1, NOON))[1] <= 15


def test_a_night_after_the_promise_brings_it_no_nearer() -> None:
    """A mail of half past four, an hour promised of office time, the next one of which ends at nine."""
    mail = Waiting(1, at(60), at(16 * 60), 8, 300, target_seconds=3600)
    assert aim(mail) == at(7.5)
    assert order(plan([mail, job(2, 15, weight=8)], 1, NOON)) == [2, 1]


def test_a_promise_returns_only_with_room_to_spare() -> None:
    gave_way_at = at(-40)
    waiting = replace(job(1, 20, target=60), gave_way_at=gave_way_at, gave_way_to=4)
    assert plan([waiting], 1, NOON).places == (Place(1, at(110), gave_way_at, 4),)
    assert plan([waiting], 1, at(-30)).places == (Place(1, at(20)),)


def test_a_promise_returns_only_with_less_weight() -> None:
    """One of the two can be kept: at half its weight the 3 loses against the 2."""
    jobs = [replace(job(1, 20, weight=3), gave_way_at=NOON), job(2, 20, weight=2)]
    rules = PlanRules(early=0, room=1, room_to_return=0)
    assert plan(jobs, 1, NOON, 0.5, rules).breaking == ()
    tight = [replace(w, work_seconds=900) for w in jobs]
    assert plan(tight, 1, NOON, 0.5, rules).breaking == (1,)
    assert plan(tight, 1, NOON, 1.0, rules).breaking == (2,)


def test_nobody_gives_way_for_a_promise_that_returns() -> None:
    rules = PlanRules(early=0, room=1, room_to_return=0)
    light, heavy = job(2, 11), replace(job(1, 15, weight=8), gave_way_at=at(-5))
    assert plan([light, heavy], 1, NOON, 0.5, rules).breaking == (1,)
    assert plan([light, replace(heavy, due_at=at(20))], 1, NOON, 0.5, rules).breaking == ()


def test_who_gives_way_sees_how_many_of_more_weight_come_before() -> None:
    jobs = [job(1, 10, weight=2, target=60), job(2, 11, weight=5), job(3, 22, weight=8), job(4, 33, weight=1)]
    rules = PlanRules(early=0, room=1)
    assert [(p.id, p.gave_way_to) for p in plan(jobs, 1, NOON, rules=rules).places] == [
        (2, 0),
        (3, 0),
        (4, 0),
        (1, 2),
    ]


@pytest.mark.parametrize("agents", [0, -1])
def test_with_nobody_on_duty_all_stand_at_their_promises(agents: int) -> None:
    planned = plan([job(1, 30), job(2, 10), replace(job(3, -20), gave_way_at=NOON)], agents, NOON)
    assert planned.places == (Place(3, at(-20)), Place(2, at(10)), Place(1, at(30)))
    assert planned.agents == 0
    assert set(planned.breaking) == {1, 2, 3}
    assert planned.agents_needed == 1


@pytest.mark.parametrize(
    ("dues", "work", "needed"),
    [
        ([], 10, 0),
        ([10], 10, 1),
        ([10, 10], 10, 2),
        ([10, 20, 30], 10, 1),
        ([19, 19, 29, 29], 10, 2),
        ([15] * 12, 10, 12),
        ([20] * 12, 10, 6),
        ([5], 10, 0),
        ([61] * 50, 10, 0),
        ([-5, 60], 10, 1),
    ],
)
def test_agents_needed_for_the_hour(dues: list[int], work: int, needed: int) -> None:
    jobs = [job(i, due, work=work, target=30) for i, due in enumerate(dues)]
    assert plan(jobs, 1, NOON).agents_needed == needed


@st.composite
def queues(draw: st.DrawFn) -> list[Waiting]:
    size = draw(st.integers(0, 14))
    return [
        Waiting(
            number,
            due := at(draw(st.integers(-120, 180))),
            due + timedelta(minutes=draw(st.integers(1, 120))),
            draw(st.sampled_from([0.1, 1, 1.37, 2, 8])),
            draw(st.integers(10, 1200)),
            draw(st.none() | st.just(at(-7))),
            target_seconds=draw(st.none() | st.integers(60, 7200)),
        )
        for number in range(size)
    ]


def serve(places: Sequence[Place], jobs: dict[int, Waiting], agents: int) -> dict[int, float]:
    """When each is answered, in minutes from now, if every free agent takes the first of the queue."""
    free_at = [0.0] * agents
    answered = {}
    for place in places:
        answered[place.id] = free_at[0] + jobs[place.id].work_seconds / 60
        heapreplace(free_at, answered[place.id])
    return answered


few_agents = st.integers(1, 6)


@given(queues(), few_agents)
def test_everybody_has_one_place_in_the_order_of_reply_by(queue: list[Waiting], agents: int) -> None:
    planned = plan(queue, agents, NOON)
    assert sorted(order(planned)) == [w.id for w in queue]
    assert list(planned.places) == sorted(planned.places, key=lambda p: (p.reply_by, p.id))
    assert planned.breaking == tuple(p.id for p in planned.places if p.gave_way_at is not None)
    assert planned.fullest is not None


@given(st.data(), queues(), few_agents)
def test_the_order_they_are_given_in_does_not_matter(
    data: st.DataObject, queue: list[Waiting], agents: int
) -> None:
    assert plan(data.draw(st.permutations(queue)), agents, NOON) == plan(queue, agents, NOON)


@given(queues(), few_agents)
def test_a_promise_that_stands_is_kept(queue: list[Waiting], agents: int) -> None:
    planned = plan(queue, agents, NOON)
    jobs = {w.id: w for w in queue}
    answered = serve(planned.places, jobs, agents)
    for place in planned.places:
        if place.gave_way_at is None:
            one = jobs[place.id]
            assert place.reply_by == aim(one) <= one.due_at
            begun = answered[place.id] * 60 - one.work_seconds
            assert begun + least_work(one) <= (one.due_at - NOON).total_seconds() + 1e-6


@given(queues())
def test_with_an_agent_each_nothing_gives_way_that_need_not(queue: list[Waiting]) -> None:
    fresh = [replace(w, gave_way_at=None) for w in queue]
    lost = {w.id for w in fresh if w.due_at < NOON + timedelta(seconds=least_work(w))}
    agents = sum(w.work_seconds for w in fresh) or 1
    assert set(plan(fresh, agents, NOON).breaking) == lost


@given(queues(), few_agents)
def test_who_is_gone_does_not_break_a_promise(queue: list[Waiting], agents: int) -> None:
    """Once the first of the queue is taken, no standing promise gives way for it."""
    fresh = [replace(w, gave_way_at=None) for w in queue]
    before = plan(fresh, agents, NOON)
    if before.breaking or not fresh:
        return
    first = before.places[0].id
    assert plan([w for w in fresh if w.id != first], agents, NOON).breaking == ()


@given(queues(), few_agents)
def test_agents_needed_is_enough_and_not_more(queue: list[Waiting], agents: int) -> None:
    needed = plan(queue, agents, NOON).agents_needed
    hour = {
        w.id: w
        for w in queue
        if NOON + timedelta(seconds=w.work_seconds) <= w.due_at <= NOON + timedelta(hours=1)
    }
    by_promise = [Place(w.id, w.due_at) for w in sorted(hour.values(), key=lambda w: (w.due_at, w.id))]

    def all_kept(crew: int) -> bool:
        answered = serve(by_promise, hour, crew) if crew else {}
        return all(place.id in answered and at(answered[place.id]) <= place.reply_by for place in by_promise)

    assert all_kept(needed)
    assert needed == 0 or not all_kept(needed - 1)


@given(queues(), few_agents)
def test_a_plan_made_again_at_once_is_the_same(queue: list[Waiting], agents: int) -> None:
    """What gave way stays so, and nobody's place moves: no flicker where nothing happened."""
    first = plan(queue, agents, NOON)
    places = {place.id: place for place in first.places}
    again = [
        replace(w, gave_way_at=places[w.id].gave_way_at, gave_way_to=places[w.id].gave_way_to) for w in queue
    ]
    second = plan(again, agents, NOON, before=first.fullest)
    assert {p.id for p in second.places if p.gave_way_at} >= {
        p.id for p in first.places if p.gave_way_at == NOON
    } - {w.id for w in queue if w.gave_way_at is not None}
    assert second.fullest == first.fullest


@given(
    queues(),
    few_agents,
    st.sampled_from([EXACT, PlanRules(), PlanRules(patience=6, least_patience=1, early=0.5, behind="20m")]),
    st.none() | st.builds(Fullest, st.integers(0, 90_000), st.just(at(-300))),
)
def test_it_is_what_the_plain_telling_of_it_says(
    queue: list[Waiting], agents: int, rules: PlanRules, before: Fullest | None
) -> None:
    expected = plainly(queue, agents, NOON, 0.5, rules, before)
    assert list(plan(queue, agents, NOON, 0.5, rules, before).places) == expected


def test_nobody_waits_for_ever() -> None:
    """One agent, and heavier conversations without end: the light one is let down, and yet has its turn."""
    light = job(0, 10, weight=1, target=30)
    now, minute, before = NOON, 0, None
    while minute < 60 * 24 * 30:
        heavy = [replace(job(i, 0, weight=4), due_at=now + timedelta(minutes=11)) for i in (1, 2)]
        queue = [light, *(replace(w, second_due_at=w.due_at + timedelta(minutes=11)) for w in heavy)]
        planned = plan(queue, 1, now, before=before)
        before = planned.fullest
        if planned.places[0].id == 0:
            break
        minute += 10
        now = at(minute)
    assert 60 < minute < 60 * 30
