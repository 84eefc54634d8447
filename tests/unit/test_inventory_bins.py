"""Bins as sentences: where a node keeps a SKU stands on allocation and work, and moves nothing."""

from libs.events.fulfillment import FulfillmentReleased
from libs.events.inventory import StockAllocated
from libs.events.items import ItemPlaced, PlaceItem
from libs.events.order import PickFrom
from services.fulfillment import domain as fulfillment
from services.inventory import domain
from tests.spec import Spec, given
from tests.unit.inventory_lots import dairy
from tests.unit.inventory_stage import sku, stocked
from tests.unit.inventory_supply import rules
from tests.unit.inventory_trade import accepted, line, routed


def place(bin_: str | None, node: str = "N1", name: str = "MUG") -> PlaceItem:
    return PlaceItem(sku=name, node=node, bin=bin_)


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
