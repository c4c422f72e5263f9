"""Spend of the last 365 days, and its percentile, as events arrive and as the window moves."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlalchemy.orm import Session

from hub.customers.models import Customer, Event
from hub.customers.spend import WINDOW, refresh_expired, refresh_spend, spend_percentiles
from tests.factories import NOW, customer, event

DAY = timedelta(days=1)


def test_purchases_count_and_returns_are_taken_off(session: Session) -> None:
    ann = customer(session)
    event(session, ann, "purchase", "100.00", at=NOW - 30 * DAY)
    event(session, ann, "return", "30.50", at=NOW - 20 * DAY)
    event(session, ann, "check_in", None)
    assert ann.spend_12m == Decimal("69.50")
    assert ann.spend_until == NOW - 30 * DAY + WINDOW


@pytest.mark.parametrize(
    ("age", "counts"),
    [(timedelta(0), True), (WINDOW - timedelta(seconds=1), True), (WINDOW, False), (WINDOW + DAY, False)],
)
def test_the_window_is_365_days(session: Session, age: timedelta, counts: bool) -> None:
    ann = customer(session)
    event(session, ann, amount="40.00", at=NOW - age)
    assert ann.spend_12m == (Decimal("40.00") if counts else 0)


def test_an_old_purchase_leaves_as_time_passes(session: Session) -> None:
    ann = customer(session)
    event(session, ann, amount="40.00", at=NOW - 300 * DAY)
    event(session, ann, amount="5.00", at=NOW - 10 * DAY)
    leaves_at = NOW - 300 * DAY + WINDOW
    assert refresh_expired(session, leaves_at - timedelta(seconds=1)) == 0
    assert refresh_expired(session, leaves_at) == 1
    assert (ann.spend_12m, ann.spend_until) == (Decimal("5.00"), NOW - 10 * DAY + WINDOW)
    assert ann.changed_at == leaves_at
    assert refresh_expired(session, leaves_at) == 0
    assert refresh_expired(session, NOW + 2 * WINDOW) == 1
    assert (ann.spend_12m, ann.spend_until) == (0, None)


def test_a_purchase_of_tomorrow_counts_tomorrow(session: Session) -> None:
    ann = customer(session)
    event(session, ann, amount="40.00", at=NOW + DAY)
    assert (ann.spend_12m, ann.spend_until) == (0, NOW + DAY)
    assert refresh_expired(session, NOW + DAY) == 1
    assert (ann.spend_12m, ann.spend_until) == (Decimal("40.00"), NOW + DAY + WINDOW)


def test_what_changed_nothing_leaves_the_queue_alone(session: Session) -> None:
    ann = customer(session)
    event(session, ann, amount="40.00")
    refresh_spend(session, [ann.id], NOW + DAY)
    assert ann.changed_at == NOW


def test_percentile_is_the_share_of_buyers_who_spend_no_more(session: Session) -> None:
    people = [customer(session, f"Buyer {amount}") for amount in range(4)]
    stranger = customer(session, "Never bought")
    for person, amount in zip(people, ("10.00", "20.00", "20.00", "80.00"), strict=True):
        event(session, person, amount=amount)
    percentiles = spend_percentiles(session, [*people, stranger])
    assert [percentiles[person.id] for person in people] == [25, 75, 75, 100]
    assert stranger.id not in percentiles


def test_percentile_follows_every_event(session: Session) -> None:
    ann, ben = customer(session, "Ann"), customer(session, "Ben")
    event(session, ann, amount="50.00", at=NOW - 350 * DAY)
    event(session, ben, amount="40.00", at=NOW - DAY)
    assert spend_percentiles(session, [ann, ben]) == {ann.id: 100, ben.id: 50}
    event(session, ben, amount="20.00", at=NOW - DAY)
    assert spend_percentiles(session, [ann, ben]) == {ann.id: 50, ben.id: 100}
    event(session, ben, "return", "60.00", at=NOW)
    assert spend_percentiles(session, [ann, ben]) == {ann.id: 100}
    event(session, ben, amount="1.00", at=NOW)
    refresh_expired(session, NOW + 20 * DAY)
    assert spend_percentiles(session, [ann, ben]) == {ben.id: 100}


amounts = st.decimals("0.01", "9999.99", places=2)
happenings = st.lists(
    st.tuples(st.sampled_from(("purchase", "return")), amounts, st.integers(-500, 100)), max_size=6
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(happenings=happenings, later=st.integers(0, 500))
def test_swept_or_counted_anew_is_the_same(
    session: Session, happenings: list[tuple[str, Decimal, int]], later: int
) -> None:
    """However the window moves, sweeping only when `spend_until` says so gives what a full count gives."""
    session.execute(delete(Event))
    session.execute(delete(Customer))
    ann = customer(session)
    for kind, amount, days in happenings:
        event(session, ann, kind, str(amount), at=NOW + days * DAY)
    then = NOW + later * DAY
    while refresh_expired(session, then):
        session.flush()
    swept = ann.spend_12m, ann.spend_until
    refresh_spend(session, [ann.id], then)
    assert (ann.spend_12m, ann.spend_until) == swept
    window = [(k, a) for k, a, d in happenings if then - WINDOW < NOW + d * DAY <= then]
    assert ann.spend_12m == sum((a if k == "purchase" else -a for k, a in window), Decimal(0))
