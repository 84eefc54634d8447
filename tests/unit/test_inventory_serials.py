"""Serial numbers as sentences: each unit comes, goes and comes back with its own."""

from collections.abc import Iterable
from typing import Any

import pytest

from libs.events.bundles import AssembleKit, BundlePart, DefineBundle
from libs.events.conditions import StockMoved
from libs.events.contract import Command, Event
from libs.events.inventory import (
    ReceiveStock,
    StockAdjusted,
    StockAllocated,
    StockBackordered,
    StockIssued,
    StockPegged,
    StockReceived,
    StockReturned,
    StockShorted,
)
from libs.events.items import DefineItem, ItemDefined
from libs.events.measure import Unnamed
from libs.events.order import PickFrom
from libs.events.serials import SerialsCorrected
from libs.events.set_aside import ReturnQuarantined
from libs.events.stocktaking import CountRecorded
from libs.events.supply import (
    CloseTransfer,
    SupplyReceived,
    TransferClosed,
    TransferDispatched,
    TransferReceived,
)
from services.inventory import domain
from services.inventory.ledger import movements
from tests.spec import Answer, given
from tests.unit.inventory_serials import (
    CAM,
    adjusted,
    back,
    came,
    cameras,
    corrected,
    sent,
    shop,
    sold,
    where,
)
from tests.unit.inventory_stage import sku, stocked
from tests.unit.inventory_supply import (
    approve,
    arrive,
    count,
    expect,
    feed,
    land,
    lost,
    move,
    rules,
    send,
    told,
)
from tests.unit.inventory_trade import accepted, line, receive, routed, shorted

Moves = list[tuple[str, str, tuple[str, ...] | None]]


def moved(answer: Answer, kind: type[Event]) -> Moves:
    """(source, target, numbers) at nodes of the answer's event of this kind."""
    [event] = [one for one in answer.events if isinstance(one, kind)]
    return [(str(m.source), str(m.target), m.serials) for m in movements(event) if m.node != "*"]


def with_serials(body: Any, serials: Iterable[str], damaged: Iterable[str] = ()) -> Any:
    more = {"damaged_serials": tuple(damaged)} if damaged else {}
    return body.model_copy(update={"serials": tuple(serials), **more})


def test_a_sku_asks_for_serial_numbers_before_its_first_unit_and_not_later() -> None:
    spec = given(domain)
    spec.when(cameras()).then(ItemDefined(sku=CAM, item_version=1, serialised=True))
    spec.when(cameras()).then_nothing()
    spec.when(DefineItem(sku=CAM)).then_types(ItemDefined)
    spec.heard(cameras(), came("A")).when(DefineItem(sku=CAM)).then_refused("has_moved")
    stocked(MUG=1).when(cameras("MUG")).then_refused("has_moved")
    both = DefineItem(sku="PILL", serialised=True, lot_controlled=True)
    given(domain).when(both).then_refused("lots_or_serials")


def test_each_unit_comes_leaves_and_comes_back_with_its_number() -> None:
    spec = given(domain).heard(cameras())
    assert moved(spec.when(came("A", "B")), StockReceived) == [("supplier", "on_hand", ("A", "B"))]
    spec.heard(accepted("o1", (CAM, 1)))
    plan = spec.when(routed("o1", 1, N1=(line(1, CAM, 1),)))
    assert moved(plan, StockAllocated) == [("on_hand", "allocated", None)], "which unit is known at the pick"
    [allocated] = plan.events
    assert isinstance(allocated, StockAllocated)
    assert allocated.picks == (PickFrom(node="N1", sku=CAM, quantity=1, serialised=True),)
    assert moved(spec.when(sent("o1", 1, "B")), StockIssued) == [("allocated", "issued", ("B",))]
    assert where(spec, "A") == ("shelf", "N1", "")
    assert where(spec, "B") == ("issued", "N1", "o1")
    assert moved(spec.when(back("o1", "B", node="N2")), StockReturned) == [
        ("issued", "transfer", ("B",)),
        ("transfer", "on_hand", ("B",)),
    ]
    assert where(spec, "B") == ("shelf", "N2", "")
    assert sku(spec, CAM).on_hand == {"N1": 1, "N2": 1}


def test_a_sku_without_serial_numbers_has_none_on_anything() -> None:
    spec = stocked(MUG=2)
    spec.heard(accepted("o1", ("MUG", 1)))
    [allocated] = spec.when(routed("o1", 1, N1=(line(1, "MUG", 1),))).events
    assert isinstance(allocated, StockAllocated)
    assert allocated.picks is None
    assert all(move.serials is None for move in allocated.movements)
    assert sku(spec, "MUG").astray is None


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (receive(CAM, 1), "serials_required"),
        (with_serials(receive(CAM, 2), ("C",)), "serials_required"),
        (with_serials(receive(CAM, 1), ("C", "D")), "too_many_serials"),
        (came("C", "C"), "serial_twice"),
        (came("C" * 65), "serial_too_long"),
        (came("A"), "serial_in_stock"),
        (came("A", node="N2"), "serial_in_stock"),
        (came("OUT"), "serial_sold"),
        (with_serials(receive(CAM, 1001), ()), "too_many_at_once"),
        (came("C", sku="MUG"), "no_serials"),
        (adjusted(1), "serials_required"),
        (adjusted(1, "A"), "serial_in_stock"),
        (adjusted(-1), "serials_required"),
        (adjusted(-1, "Q"), "serial_not_there"),
        (adjusted(-1, "NEW"), "serial_not_there"),
        (move(CAM, 1, "on_hand", "damaged"), "serials_required"),
        (with_serials(move(CAM, 1, "on_hand", "damaged"), ("Q",)), "serial_not_there"),
        (with_serials(move(CAM, 1, "quarantine", "on_hand"), ("A",)), "serial_not_there"),
        (with_serials(move("MUG", 1, "on_hand", "damaged"), ("A",)), "no_serials"),
        (arrive(CAM, "PO", "GR", 1), "serials_required"),
        (with_serials(arrive(CAM, "PO", "GR", 1, 1), ("C",), ("C",)), "serial_twice"),
        (with_serials(arrive(CAM, "PO", "GR", 1, 1), ("C", "D")), "too_many_serials"),
        (send(CAM, "T", 1), "serials_required"),
        (with_serials(send(CAM, "T", 1), ("Q",)), "serial_not_there"),
        (with_serials(land(CAM, "T9", "R", 1), ("A",)), "unknown_transfer"),
        (told(CAM, 3), "serials_required"),
        (count(CAM, "C1", 1, 2, 0), "serials_required"),
        (with_serials(count(CAM, "C1", 3, 2, 0), ("A",)), "serial_in_stock"),
        (corrected("NEW", right=("C",)), "serial_not_there"),
        (corrected("A", right=("B",)), "serial_in_stock"),
        (corrected("A", right=("A",)), "serial_twice"),
        (corrected("A"), "serials_are_there"),
    ],
)
def test_what_cannot_be_of_a_unit_is_refused(command: Command, code: str) -> None:
    spec = shop("A", "B", "Q", "OUT").heard(receive("MUG", 3), feed())
    spec = sold(spec, "o1").heard(sent("o1", 1, "OUT"))
    spec = spec.heard(with_serials(move(CAM, 1, "on_hand", "quarantine"), ("Q",)))
    spec.when(command).then_refused(code)


def test_corrections_counts_and_conditions_name_the_unit() -> None:
    spec = shop("A", "B", "C", "D")
    assert moved(spec.when(adjusted(-1, "A")), StockAdjusted) == [("on_hand", "written_off", ("A",))]
    assert moved(spec.when(adjusted(1, "A")), StockAdjusted) == [("adjustment", "on_hand", ("A",))]
    spec.heard(with_serials(move(CAM, 1, "on_hand", "quarantine"), ("B",)))
    spec.heard(with_serials(move(CAM, 1, "quarantine", "damaged"), ("B",)))
    assert where(spec, "B") == ("damaged", "N1", "")
    spec.heard(with_serials(move(CAM, 1, "damaged", "scrapped"), ("B",)))
    assert where(spec, "B") == ("scrapped", "N1", "")
    at = sku(spec, CAM).position
    short = spec.when(with_serials(count(CAM, "C1", 2, 3, at), ("C",)))
    assert moved(short, CountRecorded) == [("on_hand", "written_off", ("C",))]
    more = spec.when(with_serials(count(CAM, "C2", 3, 2, at + 1, at=spec.at), ("C",)))
    more.then_refused("superseded")
    later = spec.after(minutes=1).when(with_serials(count(CAM, "C3", 3, 2, at + 1, at=spec.at), ("C",)))
    assert moved(later, CountRecorded) == [("adjustment", "on_hand", ("C",))]


def test_a_count_that_waits_for_a_person_is_booked_by_a_correction() -> None:
    spec = shop("A", "B").heard(rules(count_approval_units=0))
    spec.when(count(CAM, "C1", 1, 2, 1)).then_one(CountRecorded, outcome="held")
    spec.when(approve(CAM, "C1")).then_refused("serials_required")
    spec.heard(adjusted(-1, "B"), approve(CAM, "C1", yes=False))
    assert sku(spec, CAM).on_hand == {"N1": 1}


def test_a_purchase_order_arrives_with_the_numbers_of_good_and_broken_units() -> None:
    spec = given(domain).heard(cameras(), expect(CAM, "PO", 2))
    came_in = spec.when(with_serials(arrive(CAM, "PO", "GR", 2, 1), ("A", "B"), ("X",)))
    assert moved(came_in, SupplyReceived) == [
        ("inbound", "on_hand", ("A", "B")),
        ("supplier", "damaged", ("X",)),
    ]
    assert where(spec, "X") == ("damaged", "N1", "")


def test_a_transfer_names_what_left_what_came_and_what_is_lost() -> None:
    spec = shop("A", "B", "C", "D")
    spec.when(land(CAM, "T", "R0", 1)).then_refused("unknown_transfer")
    left = spec.when(with_serials(send(CAM, "T", 3), ("A", "B", "C")))
    assert moved(left, TransferDispatched) == [
        ("on_hand", "transfer", ("A", "B", "C")),
        ("transfer", "in_transit", ("A", "B", "C")),
    ]
    assert where(spec, "A") == ("in_transit", "N2", "")
    spec.when(with_serials(land(CAM, "T", "R1", 1), ("D",))).then_refused("serial_not_there")
    spec.when(with_serials(land(CAM, "T", "R1", 1, final=True), ("A",))).then_refused("serials_required")
    too_many = with_serials(land(CAM, "T", "R1", 4), ("A", "B", "C", "D"))
    spec.when(too_many).then_refused("more_than_sent")
    landed = spec.when(with_serials(land(CAM, "T", "R1", 1, 1), ("A",), ("B",)))
    assert moved(landed, TransferReceived) == [
        ("in_transit", "on_hand", ("A",)),
        ("in_transit", "damaged", ("B",)),
    ]
    spec.when(lost(CAM, "T")).then_refused("serials_required")
    closed = CloseTransfer(sku=CAM, transfer_id="T", outcome="lost", serials=("C",))
    assert moved(spec.when(closed), TransferClosed) == [("in_transit", "missing", ("C",))]
    spec.when(came("C")).then_types(StockReceived)


def test_a_number_that_is_not_on_the_nodes_shelf_is_not_believed() -> None:
    spec = sold(sold(shop("A", "B").heard(came("FAR", node="N2")), "o1"), "o2")
    [first] = spec.when(sent("o1", 1, "FAR")).events
    assert isinstance(first, StockIssued)
    assert first.unnamed == (Unnamed(sku=CAM, quantity=1, serials=("FAR",)),)
    assert where(spec, "FAR") == ("shelf", "N2", "")
    assert sku(spec, CAM).astray == {"shelf/N1": 1}
    [second] = spec.when(sent("o2", 1, "A")).events
    assert isinstance(second, StockIssued)
    assert second.unnamed is None
    spec.when(corrected("B")).then_types(SerialsCorrected)
    assert sku(spec, CAM).astray == {}
    assert sku(spec, CAM).on_hand == {"N2": 1}


def test_a_number_that_left_with_one_order_is_not_issued_to_another() -> None:
    spec = sold(sold(shop("A", "B"), "o1"), "o2").heard(sent("o1", 1, "A"))
    [again] = spec.when(sent("o2", 1, "A")).events
    assert isinstance(again, StockIssued)
    assert again.unnamed == (Unnamed(sku=CAM, quantity=1, serials=("A",)),)
    assert where(spec, "A") == ("issued", "N1", "o1")


def test_a_unit_that_left_without_a_number_comes_back_with_one_that_nobody_has_heard_of() -> None:
    spec = sold(shop("A"), "o1")
    spec.heard(sent("o1", 1, "A1"))
    assert moved(spec.when(back("o1", "A1")), StockReturned) == [("issued", "on_hand", ("A1",))]
    assert where(spec, "A1") == ("shelf", "N1", "")
    spec.when(corrected("A")).then_types(SerialsCorrected)
    assert sku(spec, CAM).astray == {}
    assert where(spec, "A")[0] == "adjustment"


def test_a_unit_comes_back_without_a_number_to_be_scrapped() -> None:
    spec = sold(shop("A"), "o1").heard(sent("o1", 1, "A"))
    [event] = spec.when(back("o1", units=1, disposition="scrap")).events
    assert isinstance(event, StockReturned)
    assert event.unnamed == (Unnamed(sku=CAM, quantity=1),)


def test_a_unit_set_aside_keeps_its_number() -> None:
    spec = sold(shop("A"), "o1").heard(sent("o1", 1, "A"))
    answer = spec.when(back("o1", "A", node="N2", disposition="quarantine"))
    answer.then_types(StockReturned, ReturnQuarantined)
    assert moved(answer, ReturnQuarantined) == [
        ("issued", "transfer", ("A",)),
        ("transfer", "quarantine", ("A",)),
    ]
    assert where(spec, "A") == ("quarantine", "N2", "")


def test_a_return_that_overtakes_its_shipment_is_answered_with_the_numbers_of_both() -> None:
    spec = sold(shop("A"), "o1").heard(back("o1", "A"))
    answer = spec.when(sent("o1", 1, "A"))
    answer.then_types(StockIssued, StockReturned)
    assert moved(answer, StockReturned) == [("issued", "on_hand", ("A",))]
    assert where(spec, "A") == ("shelf", "N1", "")


def test_a_pick_that_found_nothing_leaves_a_number_that_somebody_clears_up() -> None:
    spec = sold(shop("A", "B"), "o1", 2).heard(sent("o1", 1, "B"))
    spec.when(shorted("o1", 2, "N1", line(1, CAM, 1))).then_types(StockShorted, StockBackordered)
    assert sku(spec, CAM).astray == {"shelf/N1": 1}
    spec.when(corrected("A")).then_types(SerialsCorrected)
    spec.when(came("A")).then_types(StockReceived, StockPegged)


def test_a_misread_number_is_corrected_on_the_shelf() -> None:
    spec = shop("SN-7", "B")
    fixed = spec.when(corrected("SN-7", right=("SN-1",)))
    assert moved(fixed, SerialsCorrected) == [
        ("adjustment", "on_hand", ("SN-1",)),
        ("on_hand", "adjustment", ("SN-7",)),
    ]
    assert sku(spec, CAM).on_hand == {"N1": 2}
    spec.when(came("SN-7")).then_types(StockReceived)


def test_kits_are_not_made_of_units_with_numbers() -> None:
    kit = DefineBundle(sku="SET", parts=(BundlePart(sku=CAM, quantity=1),), kept="assembled")
    spec = shop("A").heard(kit)
    spec.when(AssembleKit(sku="SET", node="N1", quantity=1)).then_refused("kit_of_serials")


def test_units_of_measure_come_with_a_number_for_each_base_unit() -> None:
    spec = given(domain).heard(
        DefineItem.model_validate({"sku": CAM, "serialised": True, "units": [{"unit": "box", "holds": 2}]})
    )
    box = ReceiveStock(sku=CAM, node="N1", quantity=1, unit="box", serials=("A",))
    spec.when(box).then_refused("serials_required")
    spec.when(with_serials(box, ("A", "B"))).then_types(StockReceived)


def test_a_unit_that_is_found_damaged_at_the_pick_names_its_number_where_it_can_be_read() -> None:
    spec = sold(shop("A", "B", "C"), "o1", 3)
    short = shorted("o1", 1, "N1", line(1, CAM, 2), reason="damaged")
    [one] = short.lines
    told = short.model_copy(update={"lines": (one.model_copy(update={"serials": ("B",)}),)})
    assert moved(spec.when(told), StockShorted) == [
        ("allocated", "damaged", ("B",)),
        ("allocated", "damaged", None),
    ]
    assert where(spec, "B") == ("damaged", "N1", "")
    assert sku(spec, CAM).astray == {"shelf/N1": 1, "damaged/N1": -1}
    spec.when(move(CAM, 1, "damaged", "on_hand")).then_refused("serials_required")
    spec.when(move(CAM, 2, "damaged", "scrapped")).then_refused("serials_required")
    spec.when(move(CAM, 1, "damaged", "scrapped")).then_types(StockMoved)
    spec.when(with_serials(move(CAM, 1, "damaged", "scrapped"), ("B",))).then_types(StockMoved)
    assert sku(spec, CAM).astray == {"shelf/N1": 1}
