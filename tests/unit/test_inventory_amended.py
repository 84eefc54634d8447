"""Inventory as sentences: an amended order keeps its stock, and its place, while it is planned anew."""

from libs.events.amendments import AllocationOutdated, OrderAmended, StockDeallocated
from libs.events.inventory import StockAllocated, StockBackordered, StockReserved
from libs.events.order import Destination, NodeLines
from tests.unit.inventory_stage import order, sku, stocked
from tests.unit.inventory_trade import accepted, cancelled, due, lines, moves, promised, receive, routed

AWAY = Destination(country="IE")
TWO = lines(("A", 2))


def amended(order_id: str, n: int = 1, **terms: object) -> OrderAmended:
    return OrderAmended.model_validate({"order_id": order_id, "amendment_id": f"{order_id}-A{n}", **terms})


def test_a_plan_for_the_former_destination_is_void() -> None:
    spec = stocked(A=2).heard(accepted("o1", ("A", 2)))
    spec.when(amended("o1", destination=AWAY, service="express")).then_one(
        StockReserved, round=2, destination=AWAY, service="express", movements=()
    )
    spec.when(routed("o1", 1, N1=TWO)).then_nothing()
    spec.when(routed("o1", 2, N1=TWO)).then_one(StockAllocated, destination=AWAY, service="express")


def test_heard_of_before_its_order_it_is_accepted_as_amended() -> None:
    spec = stocked(A=2).when(amended("o1", destination=AWAY)).then_nothing()
    spec.when(amended("o1", 2, service="express")).then_nothing()
    spec.when(accepted("o1", ("A", 2))).then_one(StockReserved, destination=AWAY, service="express")
    spec.when(amended("o1", 3, destination=AWAY, service="express")).then_nothing()


def test_allocated_units_stay_its_own_though_others_wait() -> None:
    spec = stocked(A=2).heard(accepted("o1", ("A", 2)), routed("o1", 1, N1=TWO))
    spec.heard(accepted("o2", ("A", 1)), amended("o1", destination=AWAY))
    at = (NodeLines(node="N1", lines=TWO),)
    answer = spec.when(AllocationOutdated(order_id="o1", round=1, nodes=at))
    answer.then_types(StockDeallocated, StockReserved)
    freed, again = answer.events
    assert isinstance(freed, StockDeallocated)
    assert freed.movements == (moves("A", 5, 2, "allocated", "on_hand", "N1"), promised("A", 6, 2))
    assert isinstance(again, StockReserved)
    assert (again.round, again.destination, again.movements, again.queue) == (2, AWAY, (), None)
    assert order(spec, "o1").allocated == {}
    spec.when(due("sku/A", "free")).then_nothing()
    assert sku(spec, "A").claims["o2"].held == 0
    spec.when(routed("o1", 2, N1=TWO)).then_types(StockAllocated)


def test_who_waits_is_told_so_for_where_it_goes_now_and_keeps_its_place() -> None:
    spec = stocked(A=1).heard(accepted("o1", ("A", 2)))
    since = sku(spec, "A").claims["o1"].since
    spec.when(amended("o1", destination=AWAY)).then_one(StockBackordered, round=1, destination=AWAY)
    assert sku(spec, "A").claims["o1"].since == since
    spec.when(receive("A", 1))
    spec.when(due("o1", "claims")).then_one(StockReserved, destination=AWAY)


def test_a_cancelled_order_takes_nothing_back() -> None:
    spec = stocked(A=2).heard(accepted("o1", ("A", 2)), routed("o1", 1, N1=TWO), cancelled("o1", *TWO))
    at = (NodeLines(node="N1", lines=TWO),)
    spec.when(AllocationOutdated(order_id="o1", round=1, nodes=at)).then_nothing()
    spec.when(amended("o1", destination=AWAY)).then_nothing()
    assert sku(spec, "A").free == 2
