"""Opening hours: cases worked out by hand, and properties in zones that change their clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from routing.calendars import Calendar, HolidaySource, Interval, NeverOpen

# One hour, half an hour (Lord Howe), clocks changed at midnight (Santiago), a day left out (Apia, 2011),
# another offset in the month of fasting (Casablanca), an offset of 45 minutes (Chatham), none any more
# (Tehran).
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Pacific/Chatham",
    "Asia/Tehran",
]

NINE_TO_FIVE = Interval(9 * 60, 17 * 60)
NIGHT = Interval(22 * 60, 30 * 60)
OFFICE_WEEK = [[NINE_TO_FIVE]] * 5 + [[], []]
LUNCH_WEEK = [[Interval(9 * 60, 12 * 60 + 30), Interval(13 * 60 + 30, 18 * 60)]] * 7
NIGHT_WEEK = [[NIGHT]] * 7
WHOLE_WEEK = [[Interval(0, 1440)]] * 7


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


BERLIN = Calendar("Europe/Berlin", OFFICE_WEEK)
BAVARIA = Calendar("Europe/Berlin", OFFICE_WEEK, HolidaySource("DE", "BY"))
LUNCH = Calendar("Europe/Berlin", LUNCH_WEEK)
NIGHTS = Calendar("Europe/Berlin", NIGHT_WEEK)
FRIDAY_NIGHT = Calendar("Europe/Berlin", [[], [], [], [], [NIGHT], [], []])
WHOLE_DAYS = Calendar("Europe/Berlin", WHOLE_WEEK)
XMAS = Calendar(
    "Europe/Berlin",
    OFFICE_WEEK,
    HolidaySource("DE"),
    {
        date(2026, 12, 24): [Interval(540, 720)],
        date(2026, 12, 25): [Interval(600, 660)],
        date(2026, 12, 28): [],
    },
)


@pytest.mark.parametrize(
    ("calendar", "start", "hours", "end"),
    [
        pytest.param(BERLIN, "2026-11-16T10:00+01:00", 2, "2026-11-16T12:00+01:00", id="same day"),
        pytest.param(BERLIN, "2026-11-16T15:00+01:00", 2, "2026-11-16T17:00+01:00", id="ends at closing"),
        pytest.param(BERLIN, "2026-11-16T16:00+01:00", 2, "2026-11-17T10:00+01:00", id="over night"),
        pytest.param(BERLIN, "2026-11-20T16:00+01:00", 2, "2026-11-23T10:00+01:00", id="over the weekend"),
        pytest.param(BERLIN, "2026-11-21T12:00+01:00", 1, "2026-11-23T10:00+01:00", id="begins when closed"),
        pytest.param(BERLIN, "2026-11-16T09:00+01:00", 40, "2026-11-20T17:00+01:00", id="a whole week"),
        pytest.param(
            BERLIN, "2026-03-27T16:00+01:00", 2, "2026-03-30T10:00+02:00", id="over the jump forward"
        ),
        pytest.param(BERLIN, "2026-10-23T16:00+02:00", 2, "2026-10-26T10:00+01:00", id="over the jump back"),
        pytest.param(LUNCH, "2026-11-16T12:00+01:00", 1, "2026-11-16T14:00+01:00", id="over lunch"),
        pytest.param(NIGHTS, "2026-11-16T23:00+01:00", 8, "2026-11-17T23:00+01:00", id="night shifts"),
        pytest.param(NIGHTS, "2026-03-28T22:00+01:00", 7, "2026-03-29T06:00+02:00", id="a short night"),
        pytest.param(NIGHTS, "2026-10-24T22:00+02:00", 9, "2026-10-25T06:00+01:00", id="a long night"),
        pytest.param(
            FRIDAY_NIGHT, "2026-11-20T22:00+01:00", 9, "2026-11-27T23:00+01:00", id="one night a week"
        ),
        pytest.param(
            WHOLE_DAYS, "2026-03-29T00:00+01:00", 23, "2026-03-30T00:00+02:00", id="a day of 23 hours"
        ),
        pytest.param(
            WHOLE_DAYS, "2026-10-25T00:00+02:00", 25, "2026-10-26T00:00+01:00", id="a day of 25 hours"
        ),
        pytest.param(
            BAVARIA, "2026-01-05T16:00+01:00", 2, "2026-01-07T10:00+01:00", id="Epiphany in Bavaria"
        ),
        pytest.param(
            BERLIN, "2026-01-05T16:00+01:00", 2, "2026-01-06T10:00+01:00", id="no Epiphany in Berlin"
        ),
        pytest.param(
            XMAS, "2026-12-24T11:00+01:00", 3, "2026-12-29T10:00+01:00", id="exceptions and holidays"
        ),
        pytest.param(Calendar.always(), "2026-12-31T23:00+00:00", 2, "2027-01-01T01:00+00:00", id="always"),
    ],
)
def test_time_counts_only_while_open(calendar: Calendar, start: str, hours: int, end: str) -> None:
    assert calendar.deadline(utc(start), timedelta(hours=hours)) == utc(end)
    assert calendar.elapsed(utc(start), utc(end)) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("calendar", "at", "is_open"),
    [
        (BERLIN, "2026-11-16T09:00+01:00", True),
        (BERLIN, "2026-11-16T17:00+01:00", False),
        (BERLIN, "2026-11-21T12:00+01:00", False),
        (NIGHTS, "2026-11-17T05:59+01:00", True),
        (NIGHTS, "2026-11-17T06:00+01:00", False),
        (XMAS, "2026-12-24T11:59+01:00", True),
        (XMAS, "2026-12-25T10:30+01:00", True),
        (XMAS, "2026-12-28T10:30+01:00", False),
        (BAVARIA, "2026-01-06T10:00+01:00", False),
    ],
)
def test_an_interval_has_its_start_and_not_its_end(calendar: Calendar, at: str, is_open: bool) -> None:
    assert calendar.is_open(utc(at)) is is_open


def test_a_night_shift_before_a_holiday_is_worked_to_its_end() -> None:
    nights = Calendar("Europe/Berlin", NIGHT_WEEK, HolidaySource("DE"))
    assert nights.is_open(utc("2026-12-25T05:00+01:00"))
    assert not nights.is_open(utc("2026-12-25T23:00+01:00"))


@pytest.mark.parametrize(
    ("zone", "hours", "start", "end", "opened"),
    [
        pytest.param(
            "Europe/Berlin", (130, 170), "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00", 0, id="all"
        ),
        pytest.param(
            "Europe/Berlin", (60, 150), "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00", 60, id="end"
        ),
        pytest.param(
            "Europe/Berlin", (150, 240), "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00", 60, id="start"
        ),
        pytest.param(
            "Australia/Lord_Howe",
            (105, 180),
            "2026-10-04T00:00+10:30",
            "2026-10-05T00:00+11:00",
            45,
            id="half an hour",
        ),
        pytest.param(
            "America/Santiago", (0, 90), "2026-09-05T12:00-04:00", "2026-09-06T12:00-03:00", 30, id="midnight"
        ),
        pytest.param(
            "Pacific/Apia", (540, 1020), "2011-12-30T00:00-10:00", "2012-01-01T00:00+14:00", 480, id="a day"
        ),
    ],
)
def test_nobody_works_in_a_time_that_is_not_there(
    zone: str, hours: tuple[int, int], start: str, end: str, opened: int
) -> None:
    calendar = Calendar(zone, [[Interval(*hours)]] * 7)
    assert calendar.elapsed(utc(start), utc(end)) == timedelta(minutes=opened)


def test_offices_stayed_closed_on_the_saturday_after_the_friday_that_was_left_out() -> None:
    samoa = Calendar("Pacific/Apia", OFFICE_WEEK)
    thursday, monday = utc("2011-12-29T16:00-10:00"), utc("2012-01-02T10:00+14:00")
    assert samoa.deadline(thursday, timedelta(hours=2)) == monday
    assert samoa.elapsed(thursday, monday) == timedelta(hours=2)


def test_overlapping_intervals_count_once() -> None:
    twice = Calendar("UTC", [[Interval(540, 720), Interval(600, 780)]] * 7)
    assert twice.elapsed(utc("2026-11-16T00:00+00:00"), utc("2026-11-17T00:00+00:00")) == timedelta(hours=4)


def test_a_deadline_too_far_away_is_an_error() -> None:
    with pytest.raises(NeverOpen, match="five years"):
        Calendar("UTC", [[]] * 7).deadline(utc("2026-11-16T00:00+00:00"), timedelta(seconds=1))


def test_naive_times_are_refused() -> None:
    with pytest.raises(TypeError):
        BERLIN.elapsed(datetime(2026, 11, 16), utc("2026-11-16T00:00+00:00"))  # noqa: DTZ001


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    start = draw(st.integers(0, 1439))
    return Interval(start, start + draw(st.integers(1, 1440)))


days = st.lists(intervals(), max_size=3)
calendars = st.builds(
    Calendar,
    st.sampled_from(ZONES),
    st.lists(days, min_size=7, max_size=7).filter(any),
    st.sampled_from([None, HolidaySource("DE", "BY"), HolidaySource("US")]),
    st.dictionaries(st.dates(date(2010, 12, 1), date(2012, 12, 1)), days, max_size=3),
)


def jumps() -> list[datetime]:
    """Every clock change of these zones from 2010 to 2030, to the hour."""
    begin, found = utc("2010-12-01T00:00Z"), []
    for zone in map(ZoneInfo, ZONES):
        offsets = [(begin + timedelta(hours=6 * n)).astimezone(zone).utcoffset() for n in range(4 * 365 * 20)]
        found += [
            begin + timedelta(hours=6 * n) for n in range(1, len(offsets)) if offsets[n - 1] != offsets[n]
        ]
    return sorted(set(found))


# Anywhere in the years of clock changes; and, more often than chance would have it, near one of them.
moments = st.one_of(
    st.timedeltas(timedelta(0), timedelta(days=1800)).map(lambda after: utc("2010-12-01T00:00Z") + after),
    st.builds(
        lambda jump, near: jump + near,
        st.sampled_from(jumps()),
        st.timedeltas(timedelta(hours=-30), timedelta(hours=30)),
    ),
)
durations = st.timedeltas(timedelta(0), timedelta(days=40))


@given(calendars, moments, durations)
def test_elapsed_undoes_deadline(calendar: Calendar, start: datetime, duration: timedelta) -> None:
    try:
        end = calendar.deadline(start, duration)
    except NeverOpen:
        assert calendar.elapsed(start, start + timedelta(days=5 * 365)) < duration
        return
    assert end >= start
    assert calendar.elapsed(start, end) == duration


@given(calendars, moments, st.timedeltas(timedelta(0), timedelta(days=300)))
def test_deadline_undoes_elapsed(calendar: Calendar, start: datetime, span: timedelta) -> None:
    end = start + span
    elapsed = calendar.elapsed(start, end)
    deadline = calendar.deadline(start, elapsed)
    assert deadline <= end
    assert calendar.elapsed(deadline, end) == timedelta(0)
    assert elapsed <= span


spans = st.timedeltas(timedelta(0), timedelta(days=300))


@given(calendars, moments, spans, spans)
def test_elapsed_adds_up(calendar: Calendar, first: datetime, one: timedelta, another: timedelta) -> None:
    middle, last = first + one, first + one + another
    assert calendar.elapsed(first, last) == calendar.elapsed(first, middle) + calendar.elapsed(middle, last)
    if one + another:
        assert calendar.elapsed(last, first) == timedelta(0)


@given(calendars, moments)
def test_open_time_passes_exactly_while_open(calendar: Calendar, at: datetime) -> None:
    instant = timedelta(microseconds=1)
    assert calendar.elapsed(at, at + instant) == (instant if calendar.is_open(at) else timedelta(0))


@given(st.sampled_from(ZONES), st.lists(days, min_size=7, max_size=7), moments)
def test_open_is_what_the_wall_clock_says(zone: str, week: list[list[Interval]], at: datetime) -> None:
    """Also beside and on the days on which the clock changes, but for times that it shows twice."""
    local = at.astimezone(ZoneInfo(zone))
    # An interval that ends in an hour that comes twice ends at its first time, and one of the day before too.
    assume(not any(_turned_back(at + timedelta(hours=hours), local.tzinfo) for hours in range(-50, 50)))
    minute = local.hour * 60 + local.minute
    expected = any(i.start <= minute < i.end for i in week[local.weekday()])
    before = local.date() - timedelta(days=1)
    if _is_there(before, local.tzinfo):
        expected = expected or any(i.start <= minute + 1440 < i.end for i in week[before.weekday()])
    assert Calendar(zone, week).is_open(at) == expected


def _turned_back(at: datetime, zone: tzinfo | None) -> bool:
    before, after = at.astimezone(zone).utcoffset(), (at + timedelta(hours=1)).astimezone(zone).utcoffset()
    assert before is not None
    assert after is not None
    return after < before


def _is_there(day: date, zone: tzinfo | None) -> bool:
    """Whether the clock shows any time of that date."""
    noon = datetime.combine(day, time(12), tzinfo=zone)
    return noon.astimezone(UTC).astimezone(zone).date() == day
