"""Who waits is pegged to what is to come, and told a date; again only when it changes."""

from datetime import datetime, timedelta, timezone

import pytest

from libs.events.contract import Event
from libs.events.dates import BackorderDated, SupplyPegged
from libs.events.fulfillment import FulfillmentCancelled
from libs.events.policy import DefineReservationPolicies, PolicyRule, PriorityClass
from libs.events.promise import DefinePromiseTerms
from libs.events.supply import CancelSupply
from libs.events.timer import Timer
from services.inventory import domain, pegging
from services.inventory.places import NO_PLACES
from services.inventory.queue import as_text
from tests.spec import NOON, Spec, given
from tests.unit.inventory_dates import FACTS, GB, day
from tests.unit.inventory_supply import arrive, expect, land, send
from tests.unit.inventory_trade import accepted, adjust, receive
from tests.unit.inventory_world import World

TUESDAY, FRIDAY = NOON + timedelta(days=1), NOON + timedelta(days=4)
SHELVED = datetime.fromisoformat("2026-03-04T00:00:00+00:00")
"""What comes on Tuesday can be sold from Wednesday on."""


def world(*facts: Event) -> World:
    started = World()
    for fact in facts:
        started.take(fact)
    return started


def settle(known: World, until: datetime | None = None) -> list[Event]:
    """Let every reminder come due that is; the dates that were told meanwhile."""
    told: list[Event] = []
    while due := [one for one in known.timers.values() if one.due_at <= max(known.now, until or known.now)]:
        told += [event for event in known.due(min(due, key=lambda one: one.due_at)) if _dates(event)]
    return told


def _dates(event: Event) -> bool:
    return isinstance(event, BackorderDated | SupplyPegged)


def orders(told: list[Event]) -> dict[str, datetime | None]:
    """Who was told what, in this order."""
    return {event.order_id: event.usable_at for event in told if isinstance(event, BackorderDated)}


def test_an_order_that_waits_is_told_when_its_supply_is_known() -> None:
    shop = world(*FACTS)
    shop.take(accepted("o1", ("A", 2)).model_copy(update={"destination": GB}))
    assert settle(shop) == [], "nothing is to come, and nothing is told"
    shop.take(expect("A", "PO-1", 5, expected_at=TUESDAY))
    pegged, dated = settle(shop)
    assert isinstance(pegged, SupplyPegged)
    assert isinstance(dated, BackorderDated)
    assert [(one.order_id, one.supply_id, one.quantity) for one in pegged.pegs] == [("o1", "PO-1", 2)]
    assert pegged.check_at == TUESDAY
    assert (dated.usable_at, dated.told_before) == (SHELVED, None)
    assert dated.promised is not None
    assert (dated.promised.ship_by, dated.promised.deliver_by) == (day(2), day(4))
    assert [one.code for one in dated.promised.why] == ["inbound", "transit"]


def test_without_calendars_it_is_told_when_the_goods_come_and_why_no_more() -> None:
    shop = world()
    shop.take(accepted("o1", ("A", 2)))
    shop.take(expect("A", "PO-1", 5, expected_at=TUESDAY))
    [_, dated] = settle(shop)
    assert isinstance(dated, BackorderDated)
    assert dated.promised is not None
    assert (dated.usable_at, dated.promised.deliver_by) == (TUESDAY, None)
    assert dated.promised.why[0].code == "no_calendar"


def test_the_queue_is_served_in_its_order_and_only_whom_a_change_concerns_is_told() -> None:
    shop = world()
    for name in ("o1", "o2", "o3"):
        shop.take(accepted(name, ("A", 2)))
    shop.take(expect("A", "PO-1", 4, expected_at=TUESDAY))
    assert orders(settle(shop)) == {"o1": TUESDAY, "o2": TUESDAY}
    shop.take(expect("A", "PO-2", 9, expected_at=FRIDAY))
    assert orders(settle(shop)) == {"o3": FRIDAY}
    shop.take(expect("A", "PO-1", 3, expected_at=TUESDAY, stated=1))
    assert orders(settle(shop)) == {"o2": FRIDAY}, "one fewer comes on Tuesday"
    shop.take(expect("A", "PO-3", 1, expected_at=FRIDAY))
    assert settle(shop) == [], "nothing changes for anybody"


def test_late_supply_is_no_date_any_more_and_its_arrival_serves() -> None:
    shop = world()
    shop.take(accepted("o1", ("A", 2)))
    shop.take(accepted("o2", ("A", 1)))
    shop.take(expect("A", "PO-1", 2, expected_at=TUESDAY))
    shop.take(expect("A", "PO-2", 1, expected_at=FRIDAY))
    assert orders(settle(shop)) == {"o1": TUESDAY, "o2": FRIDAY}
    told = settle(shop, until=TUESDAY)
    assert orders(told) == {"o1": None, "o2": None}, "what comes on Friday is the older order's, and too few"
    assert [event.lost for event in told if isinstance(event, SupplyPegged)] == [("o1", "o2")]
    shop.take(arrive("A", "PO-1", "R-1", 2))
    assert orders(settle(shop)) == {"o2": FRIDAY}
    assert shop.parts["o1"].status == "reserved"  # type: ignore[union-attr]


def test_cancelled_supply_is_told_and_an_order_that_left_the_queue_is_not() -> None:
    shop = world()
    shop.take(accepted("o1", ("A", 2)))
    shop.take(accepted("o2", ("A", 2)))
    shop.take(expect("A", "PO-1", 9, expected_at=TUESDAY))
    settle(shop)
    shop.take(FulfillmentCancelled(order_id="o1", lines=(), reason="", cause="cancelled"))
    told = settle(shop)
    assert [event.done for event in told if isinstance(event, SupplyPegged)] == [("o1",)]
    assert orders(told) == {}
    shop.take(CancelSupply(sku="A", supply_id="PO-1"))
    assert orders(settle(shop)) == {"o2": None}


def test_an_order_of_several_skus_waits_for_the_last_of_them() -> None:
    shop = world()
    shop.take(accepted("o1", ("A", 2), ("B", 1)))
    shop.take(expect("A", "PO-1", 2, expected_at=FRIDAY))
    assert orders(settle(shop)) == {}, "of B nothing is known"
    shop.take(receive("B", 5, "N2"))
    shop.take(send("B", "T-1", 1, source="N2", target="N1", due=TUESDAY))
    told = settle(shop)
    assert orders(told) == {}, "B is promised, and of A it has been told nothing new"
    shop.take(land("B", "T-1", "R-1", 1))
    assert orders(settle(shop)) == {}


def test_who_waits_for_units_that_terms_keep_from_it_waits_for_more() -> None:
    shop = world()
    shop.take(DefinePromiseTerms(sku="A", safety_stock=3))
    shop.take(accepted("o1", ("A", 2)))
    shop.take(expect("A", "PO-1", 4, expected_at=TUESDAY))
    assert orders(settle(shop)) == {}
    shop.take(expect("A", "PO-2", 1, expected_at=FRIDAY))
    assert orders(settle(shop)) == {"o1": FRIDAY}


def test_a_plain_receipt_moves_the_rest_of_the_queue_up() -> None:
    shop = world()
    shop.take(accepted("o1", ("A", 2)))
    shop.take(accepted("o2", ("A", 2)))
    shop.take(expect("A", "PO-1", 2, expected_at=TUESDAY))
    shop.take(expect("A", "PO-2", 2, expected_at=FRIDAY))
    assert orders(settle(shop)) == {"o1": TUESDAY, "o2": FRIDAY}
    shop.take(receive("A", 2))
    assert orders(settle(shop)) == {"o2": TUESDAY}


def test_who_stands_far_back_is_told_once_it_has_moved_up() -> None:
    spec: Spec = given(domain)
    crowd = pegging.QUEUE_MAX + 1
    spec.heard(accepted("o1", ("A", 1)), expect("A", "PO-1", 9, expected_at=TUESDAY))
    part, supply = spec.parts["sku/A"], spec.parts["supply/A"]
    claim = part.claims["o1"]
    many = {f"o{number:05}": claim for number in range(crowd)}
    queue = type(part)(part.position, {}, {}, 0, crowd, many)
    bought = type(supply)(
        expected={"PO-1": type(supply.expected["PO-1"])("N1", crowd, 0, crowd, TUESDAY, NOON)}
    )
    told = pegging.peg_supply("A", queue, bought, NO_PLACES, NOON)
    assert [len(event.pegs) for event in told if isinstance(event, SupplyPegged)] == [500] * 4
    assert pegging.timers(told[0], NOON)[-1] == Timer("sku/A", "late", TUESDAY)


def test_who_waits_and_loses_other_units_to_a_count_is_told_the_later_date() -> None:
    shop = world(*FACTS)
    shop.take(receive("B", 1, "LON"))
    shop.take(expect("A", "PO-1", 2, expected_at=TUESDAY))
    shop.take(expect("B", "PO-2", 1, expected_at=FRIDAY))
    shop.take(accepted("o1", ("A", 2), ("B", 1)))
    assert orders(settle(shop)) == {"o1": SHELVED}
    shop.take(adjust("B", -1, "LON"))
    told = settle(shop, shop.now + timedelta(seconds=1))
    [dated] = [event for event in told if isinstance(event, BackorderDated)]
    assert dated.usable_at is not None
    assert (dated.told_before, dated.usable_at > FRIDAY) == (SHELVED, True)
    assert [one.supply_id for one in dated.skus] == ["PO-1", "PO-2"]


@pytest.mark.parametrize("before", [False, True])
def test_who_loses_units_that_nobody_brings_again_has_no_date_any_more(before: bool) -> None:
    shop = world(*FACTS)
    shop.take(receive("B", 1, "LON"))
    shop.take(expect("A", "PO-1", 2, expected_at=TUESDAY))
    if before:  # what comes is for somebody else
        express = PolicyRule(service="express", priority="express")
        classes = (PriorityClass(name="express", rank=10),)
        shop.take(DefineReservationPolicies(classes=classes, rules=(express,)))
        shop.take(expect("B", "PO-2", 1, expected_at=FRIDAY))
    shop.take(accepted("o1", ("A", 2), ("B", 1)))
    if before:
        shop.take(accepted("o2", ("B", 1)).model_copy(update={"service": "express"}))
    assert orders(settle(shop))["o1"] == SHELVED
    shop.take(adjust("B", -1, "LON"))
    [dated] = settle(shop, shop.now + timedelta(seconds=1))
    assert isinstance(dated, BackorderDated)
    assert (dated.usable_at, dated.told_before) == (None, SHELVED)


@pytest.mark.parametrize(
    "since",
    [NOON, NOON + timedelta(microseconds=1), NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))],
)
def test_since_when_somebody_waits_is_written_as_parts_have_always_had_it(since: datetime) -> None:
    assert as_text(since) == since.isoformat().replace("+00:00", "Z")
