"""SKUs with lots in orders that go by a policy, name a bundle, or wait for what is to come."""

from datetime import timedelta

from libs.events.bundles import BundlesUnpacked
from libs.events.contract import Event
from libs.events.dates import BackorderDated
from libs.events.inventory import StockAllocated, StockIssued, StockReserved
from libs.events.lots import LotExpired
from libs.events.order import PickFrom
from libs.events.supply import ReceiveSupply
from services.inventory.stock import SkuPart
from tests.unit.inventory_lots import day, delivered, milk
from tests.unit.inventory_supply import expect
from tests.unit.inventory_trade import accepted, cancelled, dispatched, line, receive, routed
from tests.unit.inventory_world import World
from tests.unit.test_inventory_bundles import define
from tests.unit.test_inventory_policies import of, proven, status, take


def allocated(events: list[Event]) -> StockAllocated:
    [found] = [event for event in events if isinstance(event, StockAllocated)]
    return found


def test_each_shipment_of_an_order_has_the_lots_that_were_there_for_it() -> None:
    shop = of("partial")
    take(shop, milk(), delivered("L1", 2, 9), accepted("o1", ("MILK", 3)))
    first = allocated(take(shop, routed("o1", 1, N1=(line(1, "MILK", 2),))))
    assert first.picks == (PickFrom(node="N1", sku="MILK", quantity=2, lot="L1"),)
    told = take(shop, delivered("L2", 4, 5))
    [asked] = [event for event in told if isinstance(event, StockReserved)]
    second = allocated(take(shop, routed("o1", asked.round, N1=(line(1, "MILK", 1),))))
    assert second.picks == (PickFrom(node="N1", sku="MILK", quantity=1, lot="L2"),)
    [issued] = take(shop, dispatched("o1", 1, "N1", line(1, "MILK", 3)))
    assert isinstance(issued, StockIssued)
    assert {move.lot: move.quantity for move in issued.movements} == {"L1": 2, "L2": 1}
    proven(shop)


def test_units_of_a_lot_whose_time_is_up_are_given_to_nobody_who_waits_for_all() -> None:
    shop = of("all_or_nothing")
    take(shop, milk(), delivered("L1", 2, 1), accepted("o1", ("MILK", 3)))
    shop.now += timedelta(days=3)
    told = take(shop, delivered("L2", 2, 9))
    assert any(isinstance(event, LotExpired) for event in told)
    assert status(shop, "o1") == "waiting"
    take(shop, delivered("L2", 1, 9))
    assert status(shop, "o1") == "reserved"
    proven(shop)


def test_what_was_kept_for_who_gives_up_goes_on_to_who_is_behind() -> None:
    shop = World()
    take(shop, milk(), delivered("L1", 3, 9), accepted("o1", ("MILK", 3)))
    take(shop, routed("o1", 1, N1=(line(1, "MILK", 3),)), accepted("o2", ("MILK", 2)))
    take(shop, cancelled("o1"))
    assert status(shop, "o2") == "reserved"
    proven(shop)


def test_a_bundle_is_picked_by_the_lots_of_its_parts() -> None:
    shop = World()
    take(shop, milk(), delivered("NEW", 4, 9), delivered("OLD", 1, 2), receive("MUG", 2))
    take(shop, define(("MILK", 2), ("MUG", 1)))
    told = take(shop, accepted("o1", ("BOX", 1)))
    [unpacked] = [event for event in told if isinstance(event, BundlesUnpacked)]
    [parts] = [bundle.parts for bundle in unpacked.bundles]
    plan = tuple(line(part.line, part.sku, part.quantity) for part in parts)
    found = allocated(take(shop, routed("o1", 1, N1=plan)))
    assert found.picks is not None
    assert {(one.sku, one.lot): one.quantity for one in found.picks} == {
        ("MILK", "OLD"): 1,
        ("MILK", "NEW"): 1,
    }
    assert found.bundles == unpacked.bundles
    proven(shop)


def test_a_sku_that_is_told_of_lots_anew_keeps_who_waits_and_what_is_to_come() -> None:
    shop = World()
    take(shop, milk(), accepted("o1", ("MILK", 2)))
    tomorrow = shop.now + timedelta(days=1)
    told = take(shop, expect("MILK", "PO-1", 5, expected_at=tomorrow))
    [dated] = [event for event in told if isinstance(event, BackorderDated)]
    assert dated.usable_at == tomorrow
    take(shop, milk(shelf_days_min=2))
    part = shop.parts["sku/MILK"]
    assert isinstance(part, SkuPart)
    assert (part.supplied, part.wanted) == (5, 2)
    arrival = ReceiveSupply(
        sku="MILK", supply_id="PO-1", receipt_id="R-1", node="N1", quantity=5, lot="L1", expires_on=day(9)
    )
    take(shop, arrival)
    assert status(shop, "o1") == "reserved"
    proven(shop)
