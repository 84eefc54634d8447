"""What orders lack, folded from inventory's events: what its queue has them lack, whatever is cancelled."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.backorders import BackorderRefused, Backorders
from libs.events.changes import LinesCancelled
from libs.events.contract import Contract, Event
from libs.events.intake import OrderAccepted
from libs.events.policy import DefineReservationPolicies, PolicyRule
from libs.events.promise import DefinePromiseTerms
from services.console.projection import fold
from services.inventory import queue
from services.inventory.stock import SkuPart
from tests.console_parts import envelopes
from tests.unit.inventory_trade import accepted, cancelled, line, receive
from tests.unit.inventory_world import World

SKUS = ("A", "B", "C")
Step = tuple[str, int, int, int]
Lacking = dict[tuple[str, str], int]
PARTIAL = DefineReservationPolicies(rules=(PolicyRule(policy="partial"),))
CAPPED = DefinePromiseTerms(sku="A", backorders=Backorders(units_max=3))


def lines_cancelled(order_id: str, number: int, sku: str, units: int) -> LinesCancelled:
    """Units that have no node."""
    return LinesCancelled(
        order_id=order_id, cancellation_id=f"{order_id}-C{number}", lines=(line(number, sku, units),)
    )


class Shop:
    """An inventory, and what intake told the console meanwhile."""

    def __init__(self, *terms: Contract) -> None:
        self.world, self.intake = World(), list[Event]()
        self.left: dict[tuple[str, int], int] = {}
        """By order and line, units that are not cancelled."""
        for one in terms:
            self.world.take(one)

    def take(self, *bodies: Contract) -> None:
        for body in bodies:
            answer = self.world.take(body)
            if isinstance(body, OrderAccepted):
                self.intake.append(body)
                self.left |= {(body.order_id, one.line): one.quantity for one in body.lines}
            for event in answer:
                if isinstance(event, BackorderRefused):
                    self.left |= {(event.order_id, one.line): 0 for one in event.lines}
            while soon := [timer for timer in self.world.timers.values() if timer.due_at <= self.world.now]:
                self.world.due(soon[0])

    def step(self, step: Step) -> None:
        what, one, two, units = step
        order_id, sku = f"o{one}", SKUS[two]
        known = (order_id, two + 1) in self.left
        if what == "order" and not known:
            self.take(accepted(order_id, *((name, units + two) for name in SKUS)))
        elif what == "receive":
            self.take(receive(sku, units))
        elif what == "cut" and known and (cut := min(units, self.left[order_id, two + 1])):
            self.left[order_id, two + 1] -= cut
            self.take(lines_cancelled(order_id, two + 1, sku, cut))
        elif what == "cancel" and known:
            self.left |= {(order_id, number): 0 for number in (1, 2, 3)}
            self.take(cancelled(order_id))

    def folded(self) -> Lacking:
        """As the console has it."""
        told = [event for _, event in self.world.folded if event.TYPE.startswith("oms.inventory.")]
        found = fold([*envelopes("intake", self.intake), *envelopes("inventory", told)], {}).reservations
        lacks = {
            (key.order_id, key.sku): of.wanted - of.held - of.allocated - of.issued - of.released
            for key, of in found.items()
        }
        return {place: units for place, units in lacks.items() if units}

    def waiting(self) -> Lacking:
        """As inventory's queue has it."""
        parts = {name: self.world.parts.get(f"sku/{name}") for name in SKUS}
        return {
            (order_id, sku): units
            for sku, part in parts.items()
            if isinstance(part, SkuPart)
            for order_id, units in queue.lacking(part.claims, part.turns)
        }


def test_a_line_that_was_cancelled_while_it_lacked_lacks_no_more() -> None:
    shop = Shop()
    shop.take(accepted("o1", ("A", 4), ("B", 2)), receive("A", 1))
    assert shop.folded() == {("o1", "A"): 3, ("o1", "B"): 2}
    shop.take(lines_cancelled("o1", 1, "A", 2))
    assert shop.folded() == {("o1", "A"): 1, ("o1", "B"): 2}
    shop.take(lines_cancelled("o1", 1, "A", 2))
    assert shop.folded() == {("o1", "B"): 2} == shop.waiting()


def test_a_line_that_may_not_be_waited_for_lacks_nothing() -> None:
    shop = Shop(CAPPED)
    shop.take(accepted("o1", ("A", 4), ("B", 2)))
    assert shop.folded() == {("o1", "B"): 2} == shop.waiting()


STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from(("order", "receive", "cut", "cut", "cancel")),
        st.integers(1, 3),
        st.integers(0, 2),
        st.integers(1, 4),
    ),
    max_size=14,
)


@pytest.mark.parametrize("terms", [(), (CAPPED,), (PARTIAL,)], ids=["plain", "capped", "partial"])
@settings(max_examples=40)
@given(steps=STEPS)
def test_what_is_folded_lacks_what_inventorys_queue_says(
    terms: Sequence[Contract], steps: list[Step]
) -> None:
    shop = Shop(*terms)
    for step in [("order", 1, 0, 2), *steps]:
        shop.step(step)
        assert shop.folded() == shop.waiting()
