"""The arithmetic of dates: cut-offs, working days, clocks that are set, and what never may be."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from libs.events.delivery import (
    Way,
    WayDates,
    band,
    delivery,
    usable_at,
    usable_on,
    way,
    zone_exists,
)
from libs.events.order import Destination, Reason
from libs.events.places import MON_TO_FRI, WEEKDAYS, NodeOperations, TransitBand, TransitTerms
from libs.events.routing import NodeTerms

LONDON = {"time_zone": "Europe/London", "cut_off": "14:00"}
GB = Destination(country="GB")


def works(**more: Any) -> NodeOperations:
    return NodeOperations.model_validate(LONDON | more)


def node(operations: NodeOperations | None, **more: Any) -> NodeTerms:
    terms = {"node": "LON", "name": "London", "country": "GB", "latitude": 51.5, "longitude": -0.1}
    return NodeTerms.model_validate(terms | {"operations": operations} | more)


def transit(*bands: TransitBand, **more: Any) -> TransitTerms:
    return TransitTerms(service="standard", bands=bands or (TransitBand(days=2),), **more)


def found(operations: NodeOperations, ready_at: datetime, days: int = 2, **carrier: Any) -> WayDates:
    """The days of what is ready at the node then, by a service of so many days."""
    by = way(node(operations), "LON", transit(TransitBand(days=days), **carrier), "standard", GB)
    assert isinstance(by, Way)
    return by.dates(ready_at)


def leaves_on(operations: NodeOperations, ready_at: datetime) -> date:
    return found(operations, ready_at).leaves_on


@pytest.mark.parametrize(
    ("ready_at", "leaves"),
    [
        ("2026-03-02T14:00:00+00:00", "2026-03-02"),  # a Monday, at the cut-off
        ("2026-03-02T14:00:01+00:00", "2026-03-03"),
        ("2026-03-06T15:00:00+00:00", "2026-03-09"),  # a Friday, after it
        ("2026-03-07T09:00:00+00:00", "2026-03-09"),  # a Saturday
        ("2026-06-01T13:30:00+00:00", "2026-06-02"),  # summer: 14:30 in London
        ("2026-06-01T12:30:00+00:00", "2026-06-01"),
        ("2026-12-24T15:00:00+00:00", "2026-12-29"),  # Christmas, a week-end, Boxing Day in lieu
        ("2026-12-31T15:00:00+00:00", "2027-01-04"),  # the year ends
        ("2026-03-02T23:30:00-05:00", "2026-03-03"),  # an offset is only another way to write a moment
    ],
)
def test_what_comes_by_the_cut_off_of_a_working_day_leaves_on_it(ready_at: str, leaves: str) -> None:
    holidays = [date(2026, 12, 25), date(2026, 12, 28), date(2027, 1, 1)]
    assert leaves_on(works(holidays=holidays), datetime.fromisoformat(ready_at)) == date.fromisoformat(leaves)


def test_processing_and_transit_are_counted_in_the_working_days_of_who_does_them() -> None:
    operations = works(processing_days=1)
    friday = datetime(2026, 3, 6, 10, tzinfo=UTC)
    monday = found(operations, friday, 1, holidays=(date(2026, 3, 10),))
    assert (monday.worked_on, monday.leaves_on) == (date(2026, 3, 6), date(2026, 3, 9))
    assert monday.arrives_on == date(2026, 3, 11)
    on_saturdays = found(works(), friday, 1, working_days=(*MON_TO_FRI, "sat"))
    assert on_saturdays.arrives_on == date(2026, 3, 7)
    on_sundays = works(working_days=["sun"])
    assert found(on_sundays, friday, 0).leaves_on == date(2026, 3, 8)
    assert found(on_sundays, friday, 0).arrives_on == date(2026, 3, 9), "nobody collects on a Sunday"


def test_a_service_has_a_cut_off_and_processing_days_of_its_own_and_all_else_the_nodes() -> None:
    express = {"service": "express", "cut_off": "16:00", "processing_days": 0}
    late = {"service": "late", "cut_off": "20:00"}
    known = node(works(processing_days=1, services=(express, late)))
    at = datetime(2026, 3, 2, 15, tzinfo=UTC)  # a Monday, an hour after the node's cut-off

    def leaves(service: str) -> date:
        by = way(known, "LON", transit(), service, GB)
        assert isinstance(by, Way)
        return by.dates(at).leaves_on

    assert [leaves(one).day for one in ("express", "late", "standard")] == [2, 3, 4]


def test_a_clock_that_is_set_back_over_the_cut_off_does_not_make_a_later_order_earlier() -> None:
    at_night = works(cut_off="01:30", working_days=WEEKDAYS)
    before = datetime(2026, 10, 25, 0, 45, tzinfo=UTC)  # 01:45 in London, summer time
    after = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)  # 01:15 again, winter time
    assert leaves_on(at_night, before) == leaves_on(at_night, after) == date(2026, 10, 26)
    skipped = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # 00:30; 01:30 is skipped, and is 02:30
    assert leaves_on(at_night, skipped) == date(2026, 3, 29)
    assert leaves_on(at_night, skipped + timedelta(hours=2)) == date(2026, 3, 30)


def test_goods_are_usable_once_they_are_on_the_shelf() -> None:
    friday_night = datetime(2026, 3, 6, 23, 30, tzinfo=UTC)
    assert usable_at(works(), friday_night) == friday_night
    assert usable_on(works(receiving_days=1), friday_night) == date(2026, 3, 9)
    assert usable_at(works(receiving_days=1), friday_night) == datetime(2026, 3, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("destination", "days"),
    [
        (Destination(country="GB", postcode_area="IV"), 4),
        (Destination(country="GB", latitude=51.6, longitude=-0.2), 1),
        (Destination(country="GB", latitude=55.9, longitude=-3.2), 2),
        (GB, 2),
        (Destination(country="FR"), None),
    ],
)
def test_the_first_band_that_fits_counts(destination: Destination, days: int | None) -> None:
    terms = transit(
        TransitBand(nodes=("MAN",), days=9),
        TransitBand(postcode_areas=("IV", "KW"), days=4),
        TransitBand(countries=("GB",), km_max=100, days=1),
        TransitBand(countries=("GB", "IE"), days=2),
    )
    found = band(terms, node(None), destination)
    assert (found.days if found else None) == days


@pytest.mark.parametrize(
    ("known", "terms", "code"),
    [
        (None, transit(), "no_calendar"),
        (node(None), transit(), "no_calendar"),
        (node(works(), active=False), transit(), "not_served"),
        (node(works(), ships_to=("FR",)), transit(), "not_served"),
        (node(works()), None, "no_transit"),
        (node(works()), transit(TransitBand(countries=("FR",), days=2)), "no_transit"),
    ],
)
def test_without_all_of_it_there_is_no_way_and_it_says_what_lacks(
    known: NodeTerms | None, terms: TransitTerms | None, code: str
) -> None:
    found = way(known, "LON", terms, "standard", GB)
    assert isinstance(found, Reason)
    assert (found.code, "LON" in found.message or "standard" in found.message) == (code, True)


def test_a_date_says_why() -> None:
    by = way(node(works(processing_days=1)), "LON", transit(), "standard", GB)
    assert isinstance(by, Way)
    found = delivery(by, by.dates(datetime(2026, 3, 6, 14, 30, tzinfo=UTC)), 7)
    assert (found.ship_by, found.deliver_by) == (date(2026, 3, 10), date(2026, 3, 12))
    assert [one.code for one in found.why] == ["cut_off_missed", "processing", "transit"]
    assert "14:00 (Europe/London)" in found.why[0].message
    on_saturday = delivery(by, by.dates(datetime(2026, 3, 7, 9, tzinfo=UTC)), 7)
    assert [one.code for one in on_saturday.why] == ["not_working", "processing", "transit"]


def test_a_zone_is_of_the_database_or_is_none() -> None:
    assert zone_exists("Asia/Kathmandu")
    assert not any(
        zone_exists(name) for name in ("Europe/Atlantis", "Europe", "europe/../etc", "/etc/passwd")
    )


ZONES = (
    "Europe/London",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Africa/Casablanca",
    "America/Havana",
    "Pacific/Apia",
    "UTC",
)
OPERATIONS = st.builds(
    NodeOperations,
    time_zone=st.sampled_from(ZONES),
    working_days=st.sets(st.sampled_from(WEEKDAYS), min_size=1).map(tuple),
    holidays=st.sets(st.dates(date(2009, 12, 1), date(2027, 2, 1)), max_size=30).map(tuple),
    cut_off=st.sampled_from(["00:00", "00:30", "01:30", "02:30", "14:00", "23:59"]),
    processing_days=st.integers(0, 4),
    receiving_days=st.integers(0, 4),
)
MOMENTS = st.datetimes(datetime(2010, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))


@settings(deadline=None)
@forall(OPERATIONS, MOMENTS, st.timedeltas(timedelta(0), timedelta(days=3)))
def test_later_is_never_earlier_and_nobody_works_on_a_holiday(
    operations: NodeOperations, ready_at: datetime, later: timedelta
) -> None:
    carrier: Any = {"working_days": operations.working_days, "holidays": operations.holidays}
    first, second = (found(operations, at, **carrier) for at in (ready_at, ready_at + later))
    assert first.leaves_on <= second.leaves_on
    assert first.leaves_on < first.arrives_on <= second.arrives_on
    for day in (first.worked_on, first.leaves_on, first.arrives_on):
        assert WEEKDAYS[day.weekday()] in operations.working_days
        assert day not in operations.holidays
    same_day = found(operations, ready_at, 0, **carrier)
    assert same_day.arrives_on == same_day.leaves_on, "who works on the same days collects on the same day"
    assert usable_at(operations, ready_at) >= ready_at
    assert usable_at(operations, ready_at) <= usable_at(operations, ready_at + later)
