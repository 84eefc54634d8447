"""Bins as sentences: where a node keeps a SKU, and what was put away beside it, stands on allocation and
work, and moves nothing."""

from typing import Any

from libs.events.bundles import AssembleKit, KitTakenApart, TakeKitApart
from libs.events.fulfillment import FulfillmentReleased
from libs.events.inventory import StockAdjusted, StockAllocated
from libs.events.items import BinChange, BinsMoved, ItemPlaced, MoveBetweenBins, PlaceItem
from libs.events.order import PickFrom
from services.fulfillment import domain as fulfillment
from services.inventory import domain
from services.inventory.bins import of_sku
from services.inventory.proof import prove
from tests.spec import NOON, Spec, given
from tests.unit.inventory_logs import nth_event, tampered, violation
from tests.unit.inventory_lots import dairy
from tests.unit.inventory_stage import sku, stocked
from tests.unit.inventory_supply import rules
from tests.unit.inventory_trade import accepted, adjust, cancelled, due, line, receive, routed
from tests.unit.inventory_world import Logged, World
from tests.unit.test_inventory_bundles import define


def place(bin_: str | None, node: str = "N1", name: str = "MUG") -> PlaceItem:
    return PlaceItem(sku=name, node=node, bin=bin_)


def put(quantity: int, to: str | None = None, source: str | None = None) -> MoveBetweenBins:
    return MoveBetweenBins(sku="MUG", node="N1", quantity=quantity, source=source, target=to)


def bins(cause: Any, up_to: int, **changes: int) -> BinsMoved:
    told = tuple(BinChange(bin=bin_, delta=delta) for bin_, delta in changes.items())
    return BinsMoved(sku="MUG", node="N1", cause=cause, changes=told, up_to=up_to)


def lies(spec: Spec) -> list[tuple[str | None, int]]:
    return [(place.bin, place.units) for place in of_sku(sku(spec, "MUG"), "N1")]


def allocated(spec: Spec, name: str, units: int) -> StockAllocated:
    """An order of one SKU, allocated at N1."""
    spec.heard(accepted("o1", (name, units)))
    [event] = spec.when(routed("o1", 1, N1=(line(1, name, units),))).events
    assert isinstance(event, StockAllocated)
    return event


def test_a_sku_is_placed_moved_and_in_no_bin_any_more() -> None:
    spec = stocked(MUG=3)
    before = sku(spec, "MUG")
    spec.when(place("A-12")).then(ItemPlaced(sku="MUG", node="N1", bin="A-12"))
    spec.when(place("A-12")).then_nothing()
    spec.heard(place("B-1"), place("C-7", "N2"))
    after = sku(spec, "MUG")
    assert after.bins == {"N1": "B-1", "N2": "C-7"}
    assert (after.position, after.on_hand) == (before.position, before.on_hand)
    spec.heard(place(None), place(None, "N2"))
    assert sku(spec, "MUG").bins is None
    spec.when(place(None)).then_nothing()


def test_a_sku_that_has_never_had_a_unit_may_be_placed_at_a_node_that_is_known() -> None:
    spec = given(domain).heard(rules(new_skus=False, nodes=("N1",)))
    spec.when(place("A-12")).then_types(ItemPlaced)
    spec.when(place("A-12", "N9")).then_refused("unknown_node")


def test_the_allocation_names_the_bin() -> None:
    spec = stocked(MUG=3).heard(place("A-12"))
    assert allocated(spec, "MUG", 2).picks == (PickFrom(node="N1", sku="MUG", quantity=2, bin="A-12"),)
    assert allocated(stocked(MUG=3).heard(place("C-7", "N2")), "MUG", 2).picks is None
    assert allocated(stocked(MUG=3), "MUG", 2).picks is None


def test_the_nodes_work_names_bins_and_lots() -> None:
    spec = dairy(("OLD", 4, 3), ("NEW", 6, 9)).heard(place("COLD-1", name="MILK"))
    event = allocated(spec, "MILK", 7)
    [released] = given(fulfillment).when(event).events
    assert isinstance(released, FulfillmentReleased)
    assert released.picks == (
        PickFrom(node="N1", sku="MILK", quantity=4, lot="OLD", bin="COLD-1"),
        PickFrom(node="N1", sku="MILK", quantity=3, lot="NEW", bin="COLD-1"),
    )
    plain = event.model_copy(update={"picks": None})
    given(fulfillment).when(plain).then_one(FulfillmentReleased, picks=None)


def test_units_are_put_away_moved_on_and_fetched() -> None:
    spec = stocked(MUG=10).heard(place("A"))
    before = sku(spec, "MUG")
    spec.when(put(6, "R1")).then(bins("moved", 1, R1=6))
    spec.when(put(2, "R2", "R1")).then(bins("moved", 1, R1=-2, R2=2))
    assert lies(spec) == [("A", 4), ("R1", 4), ("R2", 2)]
    spec.when(put(2, source="R2")).then(bins("moved", 1, R2=-2))
    spec.when(put(1, "A", "R1")).then(bins("moved", 1, R1=-1))
    assert lies(spec) == [("A", 7), ("R1", 3)]
    after = sku(spec, "MUG")
    assert (after.position, after.on_hand) == (before.position, before.on_hand)


def test_what_does_not_lie_there_is_not_taken() -> None:
    spec = stocked(MUG=10).heard(place("A"), put(6, "R1"))
    spec.when(put(5, "R2")).then_refused("not_in_bin")
    spec.when(put(7, source="R1")).then_refused("not_in_bin")
    spec.when(put(1, "A")).then_refused("same_bin")
    spec.when(put(1, "R1", "R1")).then_refused("same_bin")
    lots = dairy(("OLD", 4, 3))
    lots.when(put(1, "R1").model_copy(update={"sku": "MILK"})).then_refused("bins_of_lots")
    for number in range(199):
        spec.heard(receive("MUG", 1), put(1, f"C-{number:03}"))
    spec.when(put(1, "C-999")).then_refused("too_many_bins")
    spec.when(put(1, "C-001")).then_types(BinsMoved)


def test_an_order_takes_what_lies_where_the_sku_is_kept_first() -> None:
    spec = stocked(MUG=10).heard(place("A"), put(4, "R1"), put(3, "R2"))
    event = allocated(spec, "MUG", 8)
    assert event.picks == (
        PickFrom(node="N1", sku="MUG", quantity=3, bin="A"),
        PickFrom(node="N1", sku="MUG", quantity=4, bin="R1", put_away=True),
        PickFrom(node="N1", sku="MUG", quantity=1, bin="R2", put_away=True),
    )
    assert lies(spec) == [("R2", 2)]
    [released] = given(fulfillment).when(event).events
    assert isinstance(released, FulfillmentReleased)
    assert released.picks == event.picks
    spec.heard(cancelled("o1", line(1, "MUG", 8)))
    assert lies(spec) == [("A", 8), ("R2", 2)], "what an order gives up is put where the SKU is kept"


def test_what_leaves_for_another_reason_is_not_in_its_bin_any_more() -> None:
    spec = stocked(MUG=10).heard(place("A"), put(4, "R1"), put(3, "R2"))
    spec.when(adjust("MUG", -2)).then_types(StockAdjusted)
    adjusted, gone = spec.when(adjust("MUG", -3)).events
    assert isinstance(adjusted, StockAdjusted)
    assert gone == bins("gone", 3, R2=-2)
    assert lies(spec) == [("R1", 4), ("R2", 1)]


def test_a_bin_in_which_the_node_keeps_it_from_now_on_is_none_beside_it() -> None:
    spec = stocked(MUG=10).heard(place("A"), put(4, "R1"))
    spec.when(place("R1")).then(ItemPlaced(sku="MUG", node="N1", bin="R1"), bins("kept", 1, R1=-4))
    assert lies(spec) == [("R1", 10)]


def test_what_kits_use_up_or_were_is_not_in_its_bin_any_more() -> None:
    spec = stocked(MUG=10, TEA=9).heard(
        place("A"), put(8, "R1"), define(("MUG", 2), ("TEA", 1), kept="assembled")
    )
    [made] = spec.when(AssembleKit(sku="BOX", node="N1", quantity=3)).events
    assert [(timer.stream, timer.name) for timer in domain.timers(made, NOON)] == [
        ("sku/MUG", "bins"),
        ("sku/TEA", "bins"),
    ]
    spec.when(due("sku/TEA", "bins")).then_nothing()
    spec.when(due("sku/MUG", "bins")).then(bins("gone", 2, R1=-4))
    spec.heard(receive("MUG", 3))
    assert lies(spec) == [("A", 3), ("R1", 4)], "what arrives lies where the SKU is kept"
    box = MoveBetweenBins(sku="BOX", node="N1", quantity=3, target="K1")
    apart, gone = spec.heard(box).when(TakeKitApart(sku="BOX", node="N1", quantity=2)).events
    assert isinstance(apart, KitTakenApart)
    assert gone == BinsMoved(
        sku="BOX", node="N1", cause="gone", changes=(BinChange(bin="K1", delta=-2),), up_to=2
    )


def a_log() -> list[Logged]:
    """Six of ten are put away; two orders take seven; what is left is put away and fetched again."""
    world = World()
    for body in (receive("MUG", 10), place("A"), put(6, "R1")):
        world.take(body)
    for order_id, units in (("o1", 5), ("o2", 2)):
        world.take(accepted(order_id, ("MUG", units)))
        world.take(routed(order_id, 1, N1=(line(1, "MUG", units),)))
    for body in (put(3, source="R1"), receive("MUG", 2)):
        world.take(body)
    return world.log


def test_an_order_that_is_sent_to_a_bin_for_more_than_lies_there_is_found() -> None:
    log = a_log()

    def less(payload: dict[str, Any]) -> None:
        payload["changes"][0]["delta"] = 2

    for key in (lambda row: 0, lambda row: row.lane, lambda row: -row.lane):  # lanes one by one, too
        assert prove(sorted(log, key=key)).holds
        wrong = sorted(tampered(log, nth_event(log, BinsMoved.TYPE), less), key=key)
        assert violation(prove(wrong)) == "takes 2 units of MUG from bin R1 at N1, where 1 lie"


def test_an_order_that_is_sent_to_a_bin_where_it_has_nothing_is_found() -> None:
    log = a_log()

    def elsewhere(payload: dict[str, Any]) -> None:
        payload["picks"][-1]["node"] = "N9"

    wrong = tampered(log, nth_event(log, StockAllocated.TYPE), elsewhere)
    assert violation(prove(wrong)) == "sends to bin R1 at N9, where it allocates no MUG"
