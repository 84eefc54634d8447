"""Bundles on the read side: the ordered line stands where its last part stands, whatever comes first."""

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.fulfillment import FulfillmentCancelled
from libs.events.order import LineQuantity
from services.console.customer_view import returnable
from services.console.order_view import order_view, preview_cancel
from services.console.projection import fold
from services.console.rules import SHIPPED
from services.console.standing import line_standings, part_standings, returned_units, status
from services.console.stock import BalanceKey, ReservationKey, balance_changes, reservation_changes
from tests.console_bundles import boxed, made
from tests.console_parts import TENANT, envelopes
from tests.unit.test_console_orders import ORDER, folded, in_order, interleavings, published, until


def test_a_box_is_on_its_way_as_long_as_one_of_its_parts_is() -> None:
    state = folded(in_order(boxed(ORDER)))
    box, mug = line_standings(state)
    assert (box.sku, box.ordered, dict(box.units)) == ("BOX", 2, {"shipped": 2})
    assert dict(mug.units) == {"delivered": 1}
    parts = {(part.line, part.sku): dict(part.units) for part in part_standings(state)}
    assert parts == {(3, "MUG"): {"shipped": 3, "delivered": 1}, (4, "TEA"): {"delivered": 2}}
    assert status(state) == "shipped"


def test_units_of_an_ordered_line_add_up_at_every_moment() -> None:
    life = boxed(ORDER)
    for inventory in (0, 1, 2):
        for fulfillment in range(len(life["fulfillment"]) + 1):
            state = until(life, intake=1, inventory=inventory, fulfillment=fulfillment)
            if inventory:
                for line in line_standings(state):
                    assert sum(line.units.values()) == line.ordered, (inventory, fulfillment, line)


@given(st.data())
@settings(deadline=None)
def test_whatever_topic_comes_first_it_is_the_same_order(data: st.DataObject) -> None:
    stages = published(boxed(ORDER))
    assert folded(data.draw(interleavings(stages))) == folded([e for events in stages for e in events])


def test_what_came_back_and_may_come_back_is_told_of_whole_boxes() -> None:
    life = boxed(ORDER)
    arrived = until(life, intake=1, inventory=2, fulfillment=7, returns=1)
    assert returnable(arrived) == {2: 1, 3: 1, 4: 2}, "one mug is there, and no whole box"
    assert returned_units(folded(in_order(life))) == {3: 1}


def test_the_page_shows_the_parts_beside_the_line_that_was_bought() -> None:
    box, mug = order_view(ORDER, folded(in_order(boxed(ORDER))), SHIPPED).lines
    assert [(part.sku, part.ordered) for part in box.parts] == [("MUG", 4), ("TEA", 2)]
    assert box.amount == "£20.00"
    assert not mug.parts


def test_a_preview_counts_boxes_once() -> None:
    told = preview_cancel(until(boxed(ORDER), intake=1, inventory=2))
    assert told.details == ("2 of BOX reserved: can be stopped", "1 of MUG reserved: can be stopped")


def test_an_order_that_was_cancelled_as_it_was_ordered_is_cancelled() -> None:
    stopped = FulfillmentCancelled(order_id=ORDER, lines=(LineQuantity(line=1, sku="BOX", quantity=2),))
    life = boxed(ORDER)
    before = in_order({"intake": life["intake"], "inventory": life["inventory"]})
    state = folded([*before, *envelopes("fulfillment", [stopped])])
    assert dict(line_standings(state)[0].units) == {"cancelled": 2}
    assert part_standings(state) == ()


def test_what_is_wanted_moves_from_the_box_to_its_parts() -> None:
    wanted: dict[str, int] = {}
    for envelope in in_order(boxed(ORDER)):
        for key, units in reservation_changes(envelope):
            assert key == ReservationKey(TENANT, ORDER, key.sku)
            wanted[key.sku] = wanted.get(key.sku, 0) + units.wanted
    assert wanted == {"BOX": 0, "MUG": 5, "TEA": 2}


def test_kits_move_stock() -> None:
    sums: dict[BalanceKey, int] = {}
    for envelope in envelopes("inventory", made()):
        for key, units in balance_changes(envelope):
            sums[key] = sums.get(key, 0) + units
    assert sums[BalanceKey(TENANT, "KIT", "LON", "on_hand")] == 1
    assert sums[BalanceKey(TENANT, "TEA", "LON", "on_hand")] == -3


def test_the_timeline_tells_of_it() -> None:
    told = [row.sentence for row in fold(in_order(boxed(ORDER)), {}).timeline]
    assert "Unpacked 2 of BOX into 6 units." in told
