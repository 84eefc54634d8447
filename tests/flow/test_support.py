"""Support changes orders under way: lines are cancelled, holds placed, whatever else happens meanwhile."""

import random
from collections import Counter

import pytest

from libs.events.amendments import AmendOrder, OrderAmended
from libs.events.changes import (
    CancelLines,
    HoldDeclined,
    LineCancellationDeclined,
    LineUnits,
    PlaceHold,
)
from libs.events.contract import Command
from libs.events.fulfillment import (
    ConfirmPick,
    FulfillmentCompleted,
    FulfillmentReleased,
    Pick,
    ShipmentDelivered,
)
from libs.events.intake import (
    CancelOrder,
    HeldOrderCancelled,
    OrderAccepted,
    OrderClosed,
    OrderHeld,
    PaymentState,
    ReleaseHold,
    SubmitOrder,
)
from libs.events.inventory import ReceiveStock
from libs.events.notifications import MessageRequested
from libs.events.order import Charge, Destination, Sealed
from libs.events.refusal import CommandRefused
from libs.events.returns import RefundRequested, VoidRequested
from tests.flow.oracle import balances, check
from tests.flow.people import Warehouse, open_shop, order
from tests.flow.terms import released_by_others
from tests.flow.test_lives import issued, on_hand, outcomes, shop
from tests.flow.world import World

CONTACT = Sealed(subject="c:7", nonce="A" * 16, ciphertext="A" * 24)
PLACES = (
    Destination(country="GB", latitude=53.5, longitude=-2.2),
    Destination(country="IE", latitude=53.3, longitude=-6.2),
)
POSTAGE = (Charge(kind="postage", amount_minor=500),)


def cancel(of: SubmitOrder, *lines: tuple[int, int]) -> CancelLines:
    units = tuple(LineUnits(line=line, quantity=quantity) for line, quantity in lines)
    return CancelLines(order_id=of.order_id, lines=units, reason="changed mind")


def refunds(world: World) -> list[tuple[str, int]]:
    found = [event for event in world.events(RefundRequested) if isinstance(event, RefundRequested)]
    return [(event.cause, event.amount_minor) for event in found]


def refused(world: World) -> list[str]:
    return [event.code for event in world.events(CommandRefused) if isinstance(event, CommandRefused)]


@pytest.mark.parametrize("moment", ["submitted", "backordered", "held", "released"])
async def test_a_cancelled_line_is_not_shipped_and_what_was_paid_for_it_goes_back(moment: str) -> None:
    world = await shop({"LON": {"TEA": 5, "MUG": 1 if moment == "backordered" else 5}})
    paid = "pending" if moment == "held" else "paid"
    bought = order("1", {"TEA": 2, "MUG": 2}, contact=CONTACT, charges=POSTAGE, payment=paid)
    await world.send(bought)
    if moment != "submitted":
        await world.settle()
    await world.send(cancel(bought, (2, 2), (1, 1)))
    await world.settle()
    if moment == "held":
        await world.send(ReleaseHold(order_id=bought.order_id, hold="payment"))
        await world.settle()
    assert refunds(world) == [("cancelled", 3000)]
    told = [e for e in world.events(MessageRequested) if isinstance(e, MessageRequested)]
    [letter] = [e for e in told if e.milestone == "cancelled"]
    assert {fact.value for fact in letter.facts if fact.name == "sku"} == {"TEA", "MUG"}
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "partly_delivered"}
    assert (issued(world, "TEA"), issued(world, "MUG"), on_hand(world, "TEA")) == (1, 0, 4)
    assert refunds(world) == [("cancelled", 3000)]
    check(world)


@pytest.mark.parametrize("turns", range(14))
async def test_cancelling_a_line_in_the_middle_of_anything_leaves_stock_exact(turns: int) -> None:
    world = await shop({"LON": {"TEA": 1, "MUG": 1}, "MAN": {"TEA": 2}})
    bought = order("1", {"TEA": 3, "MUG": 1})
    await world.send(bought)
    await world.turns(turns)
    await world.send(cancel(bought, (1, 2)))
    await world.settle()
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "partly_delivered"}
    assert (on_hand(world, "TEA"), issued(world, "TEA"), issued(world, "MUG")) == (2, 1, 1)
    check(world)


async def test_what_is_picked_stays_and_says_why() -> None:
    world = await shop({"LON": {"TEA": 5}})
    bought = order("1", {"TEA": 2})
    await world.send(bought)
    await world.settle()
    warehouse = Warehouse(world)
    await warehouse.pick()
    await world.send(cancel(bought, (1, 1)))
    await world.settle()
    [declined] = world.events(LineCancellationDeclined)
    assert isinstance(declined, LineCancellationDeclined)
    assert [(kept.quantity, kept.code) for kept in declined.lines] == [(1, "picked")]
    assert "return" in declined.reason
    await warehouse.everything()
    assert outcomes(world) == {bought.order_id: "delivered"}
    await world.send(cancel(bought, (1, 1)))
    await world.settle()
    assert refused(world) == ["already_closed"]
    check(world)


async def test_a_pick_that_a_cancellation_overtook_is_told_what_to_put_back() -> None:
    world = await shop({"LON": {"TEA": 5, "MUG": 1}})
    bought = order("1", {"TEA": 3, "MUG": 1})
    await world.send(bought)
    await world.settle()
    await world.send(cancel(bought, (1, 1)))
    await world.settle()
    picks = (Pick(line=1, picked=3), Pick(line=2, picked=1))
    id_ = f"{bought.order_id}-F1"
    await world.send(ConfirmPick(order_id=bought.order_id, fulfillment_order_id=id_, picks=picks))
    await world.settle()
    [told] = world.events(CommandRefused)
    assert isinstance(told, CommandRefused)
    assert (told.code, "1 of line 1 (TEA)" in told.next_step) == ("lines_cancelled", True)
    await Warehouse(world).everything()
    assert (issued(world, "TEA"), on_hand(world, "TEA")) == (2, 3)
    check(world)


async def test_the_same_line_twice_is_cancelled_once_and_the_rest_is_the_order() -> None:
    world = await shop({"LON": {"TEA": 5, "MUG": 1}})
    bought = order("1", {"TEA": 2, "MUG": 1}, charges=POSTAGE)
    await world.send(bought)
    await world.settle()
    await world.send(cancel(bought, (2, 1)), cancel(bought, (2, 1)), cancel(bought, (3, 1)))
    await world.settle()
    assert refused(world) == ["not_that_many", "unknown_line"]
    await world.send(cancel(bought, (1, 2)))
    await world.settle()
    assert outcomes(world) == {bought.order_id: "cancelled"}
    assert refunds(world) == [("cancelled", 1000), ("cancelled", 2500)]
    assert (on_hand(world, "TEA"), on_hand(world, "MUG")) == (5, 1)
    check(world)


async def test_two_cancellations_that_together_leave_nothing_end_the_order() -> None:
    world = await shop({"LON": {"TEA": 5}})
    bought = order("1", {"TEA": 2}, charges=POSTAGE)
    await world.send(bought)
    await world.settle()
    await Warehouse(world).pick(short={"TEA": 1})
    await world.send(cancel(bought, (1, 1)))
    await world.settle()
    await Warehouse(world).everything()
    assert set(outcomes(world).values()) <= {"delivered", "partly_delivered"}
    check(world)


async def test_cancelling_the_line_that_no_node_may_ship_lets_the_others_go() -> None:
    world = await shop({"LON": {"TEA": 1}})
    bought = order("1", {"TEA": 1, "MUG": 1})
    await world.send(bought)
    await world.settle()
    await world.send(cancel(bought, (2, 1)))
    await world.settle()
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "partly_delivered"}
    check(world)


async def test_a_hold_keeps_an_order_from_the_nodes_until_it_is_released() -> None:
    world = await shop({"LON": {"TEA": 5, "MUG": 5}})
    bought = order("1", {"TEA": 2, "MUG": 1})
    await world.send(bought)
    await world.turn(["intake"])
    for name in ("fraud_review", "customer_request"):
        await world.send(PlaceHold(order_id=bought.order_id, hold=name, message="Ask first."))
    await world.settle()
    assert not world.events(FulfillmentReleased)
    assert on_hand(world, "TEA") == 3, "its stock is kept for it"
    await world.send(cancel(bought, (1, 1)))
    await world.send(ReleaseHold(order_id=bought.order_id, hold="fraud_review"))
    await world.settle()
    assert (on_hand(world, "TEA"), len(world.events(FulfillmentReleased))) == (4, 0)
    await world.send(ReleaseHold(order_id=bought.order_id, hold="customer_request"))
    await world.settle()
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "partly_delivered"}
    assert issued(world, "TEA") == 1
    check(world)


async def test_a_hold_after_the_release_is_declined_with_what_can_be_done() -> None:
    world = await shop({"LON": {"TEA": 5}})
    bought = order("1", {"TEA": 2})
    await world.send(bought)
    await world.settle()
    await world.send(PlaceHold(order_id=bought.order_id, hold="fraud_review", message="Ask first."))
    await world.settle()
    [declined] = world.events(HoldDeclined)
    assert isinstance(declined, HoldDeclined)
    assert "Cancel" in declined.reason
    await world.send(ReleaseHold(order_id=bought.order_id, hold="fraud_review"))
    await world.settle()
    assert refused(world) == ["not_held"]
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "delivered"}
    check(world)


async def test_a_held_order_takes_another_hold_and_waits_for_both() -> None:
    world = await shop({"LON": {"TEA": 5}})
    bought = order("1", {"TEA": 2}, payment="pending")
    await world.send(bought, PlaceHold(order_id=bought.order_id, hold="fraud_review", message="Ask."))
    await world.send(ReleaseHold(order_id=bought.order_id, hold="payment"))
    await world.settle()
    assert not world.events(OrderAccepted)
    await world.send(ReleaseHold(order_id=bought.order_id, hold="fraud_review"))
    await world.settle()
    await Warehouse(world).everything()
    assert outcomes(world) == {bought.order_id: "delivered"}
    check(world)


@pytest.mark.parametrize(("paid", "confirmed"), [("paid", False), ("pending", True), ("pending", False)])
async def test_money_of_an_order_cancelled_while_it_was_held_is_let_go_once(
    paid: PaymentState, confirmed: bool
) -> None:
    world = await shop({"LON": {"TEA": 5}})
    bought = order("1", {"TEA": 2}, charges=POSTAGE, payment=paid, total_minor=2600)
    await world.send(bought)
    if confirmed:
        await world.send(ReleaseHold(order_id=bought.order_id, hold="payment"))
    stop = CancelOrder(order_id=bought.order_id)
    await world.send(stop, stop)
    await world.settle()
    owed = [("cancelled", 2600)] if paid == "paid" or confirmed else []
    voids = [e.amount_minor for e in world.events(VoidRequested) if isinstance(e, VoidRequested)]
    assert (refunds(world), voids) == (owed, [] if owed else [2600])
    assert outcomes(world) == {bought.order_id: "cancelled"}
    check(world)


@pytest.mark.parametrize("seed", range(25))
async def test_whatever_support_does_units_money_and_ends_agree(seed: int) -> None:
    """Orders, changes, picks, short picks and parcels in any order; stages take turns at random."""
    world = await World().start()
    stock = {"LON": {"TEA": 6, "MUG": 3}, "MAN": {"TEA": 4, "MUG": 2, "JAM": 2}, "DUB": {"JAM": 1}}
    await open_shop(world, stock)
    dice, warehouse = random.Random(f"support {seed}"), Warehouse(world)
    bought: list[SubmitOrder] = []
    for n in range(40):
        await _something(world, dice, warehouse, bought, n)
        for _ in range(dice.randint(0, 6)):
            await world.turn([dice.choice(list(world.processes))])
    await _come_to_rest(world, warehouse)
    check(world)
    assert list(released_by_others(world.events(OrderAmended, FulfillmentReleased))) == []
    _books_balance(world, bought)


async def _something(
    world: World, dice: random.Random, warehouse: Warehouse, bought: list[SubmitOrder], n: int
) -> None:
    world.clock.advance(seconds=1)
    if not bought or dice.random() < 0.3:
        lines = [(dice.choice(("TEA", "MUG", "JAM")), dice.randint(1, 3)) for _ in range(dice.randint(1, 3))]
        paid = dice.choice(("paid", "paid", "on_account", "pending"))
        bought.append(order(str(n), lines, charges=POSTAGE, payment=paid, contact=CONTACT))
        await world.send(bought[-1])
        return
    of = dice.choice(bought[-3:])
    line = dice.choice(of.lines)
    what: list[Command] = [
        cancel(of, (line.line, dice.randint(1, line.quantity))),
        cancel(of, (line.line, dice.randint(1, line.quantity))),
        cancel(of, (line.line, line.quantity)),
        CancelOrder(order_id=of.order_id),
        PlaceHold(order_id=of.order_id, hold=dice.choice(("fraud", "wait")), message="Ask."),
        ReleaseHold(order_id=of.order_id, hold=dice.choice(("fraud", "wait", "payment"))),
        ReceiveStock(sku=dice.choice(("TEA", "MUG", "JAM")), node="DUB", quantity=dice.randint(1, 3)),
        AmendOrder(order_id=of.order_id, destination=dice.choice(PLACES), contact=CONTACT),
        AmendOrder(order_id=of.order_id, service=dice.choice(("express", "standard"))),
    ]
    match dice.randint(0, 12):
        case 0:
            await warehouse.pick(short={"TEA": 1})
        case 1:
            await warehouse.pick(short={"MUG": 1})
        case 2:
            await warehouse.pack()
        case 3:
            await warehouse.dispatch()
        case 4:
            await warehouse.carry(dice.choice(("delivered", "lost")))
        case _:
            await world.send(dice.choice(what))


async def _come_to_rest(world: World, warehouse: Warehouse) -> None:
    """Every hold is released, there is plenty of everything, and the warehouse finishes."""
    await world.settle()
    for captured in [*world.events(OrderHeld), *world.events(OrderAccepted)]:
        assert isinstance(captured, OrderHeld | OrderAccepted)
        for hold in ("payment", "fraud", "wait"):
            await world.send(ReleaseHold(order_id=captured.order_id, hold=hold))
    for sku in ("TEA", "MUG", "JAM"):
        await world.send(ReceiveStock(sku=sku, node="LON", quantity=200))
    await world.settle()
    await warehouse.everything()


def _books_balance(world: World, bought: list[SubmitOrder]) -> None:
    """Each order's units end once; who paid has paid, in the end, for what arrived and its charges."""
    ordered = {one.order_id: one for one in bought}
    accepted = {e.order_id for e in world.events(OrderAccepted) if isinstance(e, OrderAccepted)}
    ends = {e.order_id: e for e in world.events(FulfillmentCompleted) if isinstance(e, FulfillmentCompleted)}
    closed = {e.order_id: e.outcome for e in world.events(OrderClosed) if isinstance(e, OrderClosed)}
    assert closed.keys() == ordered.keys()
    back: Counter[str] = Counter()
    for event in world.events(RefundRequested):
        assert isinstance(event, RefundRequested)
        back[event.order_id] += event.amount_minor
    arrived: Counter[str] = Counter()
    for event in world.events(ShipmentDelivered):
        assert isinstance(event, ShipmentDelivered)
        arrived[event.order_id] += sum(line.quantity for line in event.lines)
    never = {e.order_id: e for e in world.events(HeldOrderCancelled) if isinstance(e, HeldOrderCancelled)}
    assert never.keys() == ordered.keys() - accepted
    voided = Counter(e.order_id for e in world.events(VoidRequested) if isinstance(e, VoidRequested))
    for id_, cancelled in never.items():
        total = sum(line.quantity for line in ordered[id_].lines) * 1000 + 500
        assert back[id_] == (total if cancelled.payment == "paid" else 0), id_
        assert voided[id_] == (1 if cancelled.payment == "pending" else 0), id_
    assert voided.keys() <= never.keys()
    for id_ in accepted:
        ends_of = ends[id_]
        total = sum(line.quantity for line in ordered[id_].lines)
        parts = (ends_of.delivered, ends_of.lost, ends_of.cancelled, ends_of.unroutable)
        assert sum(line.quantity for part in parts for line in part) == total
        assert closed[id_] == ends_of.outcome
        assert sum(line.quantity for line in ends_of.delivered) == arrived[id_]
        if ordered[id_].payment == "on_account":
            assert not back[id_]
            continue
        charged = total * 1000 + 500 - back[id_]
        assert charged == (arrived[id_] * 1000 + 500 if arrived[id_] else 0), id_
    left = {key: units for key, units in balances(world).items() if key[2] in ("reserved", "allocated")}
    assert not left
