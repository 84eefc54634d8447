"""The proof over inventory's log, and the ledger's tables: what they show of a good log and of bad ones."""

from dataclasses import replace
from functools import partial
from uuid import UUID

import orjson
import pytest

from libs.events.envelope import Envelope
from libs.events.inventory import (
    ReservationBroken,
    StockAllocated,
    StockIssued,
    StockPegged,
    StockReceived,
    StockReleased,
    StockReserved,
    StockReturned,
)
from libs.events.order import LineQuantity
from services.inventory import ledger
from services.inventory.proof import Proof, RowsTooFarApart, prove
from tests.spec import NOON
from tests.unit.inventory_logs import nth_event, tampered, violation
from tests.unit.inventory_trade import (
    accepted,
    adjust,
    cancelled,
    dispatched,
    line,
    moves,
    receive,
    returned,
    routed,
    shorted,
)
from tests.unit.inventory_world import TENANT, Logged, World


def a_good_log() -> list[Logged]:
    """Four orders: shipped and returned elsewhere, short picked, cancelled, and broken while it waited."""
    world = World()
    for body in (
        receive("A", 6),
        receive("B", 2, "N2"),
        accepted("ships", ("A", 2), ("B", 1)),
        accepted("short", ("A", 2)),
        accepted("stops", ("B", 1)),
        accepted("waits", ("A", 3)),
        routed("ships", 1, N1=(line(1, "A", 2),), N2=(line(2, "B", 1),)),
        dispatched("ships", 1, "N1", line(1, "A", 2)),
        returned("ships", "N2", line(1, "A", 1)),
        routed("short", 1, N1=(line(1, "A", 2),)),
        shorted("short", 1, "N1", line(1, "A", 1)),
        cancelled("stops", line(1, "B", 1)),
        adjust("A", -2),
        receive("A", 3),
    ):
        world.take(body)
    while world.timers:
        world.due(next(iter(world.timers.values())))
    return world.log


GOOD = a_good_log()
place = partial(nth_event, GOOD)
with_payload = partial(tampered, GOOD)


def broken(rows: list[Logged], says: str, at: Logged | None = None) -> Proof:
    proof = prove(rows)
    assert says in violation(proof)
    if at is not None:
        assert proof.violation is not None
        assert (proof.violation.lane, proof.violation.seq) == (at.lane, at.seq)
        assert proof.held_up_to.get(at.lane, 0) == at.seq - 1
    return proof


def test_a_good_log_holds_up_to_its_end() -> None:
    proof = prove(GOOD)
    assert proof == Proof(
        holds=True,
        events=len(GOOD),
        movements=sum(len(orjson.loads(row.payload).get("movements", ())) for row in GOOD),
        skus=2,
        open_units=6,  # 1 B allocated, 1 A allocated, 1 + 3 A promised
        oversold_units=0,
        held_up_to={row.lane: row.seq for row in sorted(GOOD, key=lambda row: (row.lane, row.seq))},
    )


def test_lanes_may_come_one_after_the_other() -> None:
    by_lane = sorted(GOOD, key=lambda row: (-row.lane, row.seq))
    assert prove(by_lane) == prove(GOOD)
    with pytest.raises(RowsTooFarApart):
        prove(by_lane, ahead_max=1)


def test_an_empty_log_holds() -> None:
    assert prove([]).holds


def test_a_missing_row_is_a_gap_in_its_lane() -> None:
    index = place(StockReserved.TYPE)
    rows = GOOD[:index] + GOOD[index + 1 :]
    broken(rows, f"instead of {GOOD[index].seq}")


def test_a_row_twice_is_told() -> None:
    broken([*GOOD[:3], GOOD[2]], "goes on with sequence")


def test_a_lane_cut_short_leaves_positions_out() -> None:
    first = GOOD[place(StockReceived.TYPE)]
    rows = [row for row in GOOD if row.lane != first.lane]
    assert rows
    broken(rows, "never comes")


def test_a_promise_of_units_that_do_not_exist_is_oversold() -> None:
    index = place(StockReserved.TYPE)
    proof = broken(
        with_payload(index, lambda event: event["movements"][0].update(quantity=9)),
        "9 units of A are promised and 6 are on hand",
        GOOD[index],
    )
    assert proof.oversold_units == 3


def test_a_bucket_below_zero_is_told() -> None:
    index = place(StockAllocated.TYPE)
    proof = broken(
        with_payload(index, lambda event: event["movements"][-1].update(node="N9")),
        "on_hand of B at N9 falls to -1",
        GOOD[index],
    )
    assert proof.oversold_units == 1


def test_units_that_another_order_was_promised_are_not_ones_own() -> None:
    index = place(StockAllocated.TYPE)
    broken(
        with_payload(index, lambda event: event.update(order_id="waits")),
        "order waits resolves",
        GOOD[index],
    )


def test_units_that_another_order_was_allocated_are_not_ones_own() -> None:
    index = place(StockIssued.TYPE)
    broken(
        with_payload(index, lambda event: event.update(order_id="short")),
        "order short uses 2 units of A at N1",
        GOOD[index],
    )


def test_a_reservation_is_resolved_once() -> None:
    index = place(StockReleased.TYPE)
    released = orjson.loads(GOOD[index].payload)["movements"][0]
    proof = broken(
        with_payload(index, lambda event: event["movements"].append(released | {"position": 7})),
        "reserved of B at * falls to -1",
    )
    assert proof.oversold_units == 1
    of_others = released | {"sku": "A", "position": 13}
    broken(
        with_payload(index, lambda event: event["movements"].append(of_others)),
        "order stops resolves 1 units of A that were not promised to it",
        GOOD[index],
    )


def test_claims_and_movement_of_a_pegging_agree() -> None:
    index = place(StockPegged.TYPE)
    broken(
        with_payload(index, lambda event: event["claims"][0].update(quantity=7)),
        "and moves 3",
        GOOD[index],
    )
    index = place(ReservationBroken.TYPE)
    broken(
        with_payload(index, lambda event: event["claims"][0].update(order_id="stops")),
        "order stops resolves 1",
        GOOD[index],
    )


def test_positions_repeat_or_jump() -> None:
    index = place(StockReserved.TYPE)
    broken(
        with_payload(index, lambda event: event["movements"][0].update(position=1)), "takes position 1 of A"
    )
    index = place(StockAllocated.TYPE)
    broken(
        with_payload(index, lambda event: event["movements"][1].update(position=99)),
        "starts at position 99 of B",
    )


def test_units_do_not_stay_between_nodes() -> None:
    index = place(StockReturned.TYPE)
    broken(with_payload(index, lambda event: event["movements"].pop()), "1 units of A are between nodes")


def test_soft_buckets_belong_to_the_network() -> None:
    index = place(StockReserved.TYPE)
    broken(
        with_payload(index, lambda event: event["movements"][0].update(node="N1")),
        "moves unreserved to reserved of A at N1",
        GOOD[index],
    )


def test_what_cannot_be_read_is_told() -> None:
    rows = [replace(GOOD[0], payload=b"{}"), *GOOD[1:]]
    broken(rows, "cannot be read", GOOD[0])


# The tables ----------------------------------------------------------------------------------------------


def test_a_movement_is_one_row_and_two_sums() -> None:
    event = StockReleased(
        order_id="o1",
        lines=(LineQuantity(line=1, sku="A", quantity=2),),
        movements=(moves("A", 7, 2, "allocated", "on_hand", "N1"),),
    )
    id_ = UUID(int=1)
    out = Envelope(id_, TENANT, "o1", event, NOON, "a", "", id_, id_, "s", lane=2, sequence=5)
    [(table, row)] = ledger.ledger_rows(out)
    assert dict(zip(ledger.ROW_TABLES[table], row, strict=True)) == {
        "tenant": TENANT,
        "sku": "A",
        "position": 7,
        "node": "N1",
        "source": "allocated",
        "target": "on_hand",
        "quantity": 2,
        "event_id": id_,
        "lane": 2,
        "sequence": 5,
        "at": NOON,
    }
    sums: ledger.Sums = {}
    ledger.add_balances(out, sums)
    assert sums == {
        "balance": {(TENANT, "A", "N1", "allocated"): [-2], (TENANT, "A", "N1", "on_hand"): [2]},
        "promise": {(TENANT, "A"): [2, 0]},
    }


def test_the_sums_of_a_log_are_what_its_movements_add_up_to() -> None:
    found: ledger.Sums = {}
    world = World()
    for body in (receive("A", 5), accepted("o1", ("A", 3)), adjust("A", -4), receive("A", 1)):
        for event in world.take(body):
            id_ = UUID(int=2)
            out = Envelope(id_, TENANT, event.stream, event, NOON, "a", "", id_, id_, "s")
            ledger.add_balances(out, found)
    sums: dict[tuple[str, ...], int] = {}
    for table, rows in found.items():
        keys, columns = ledger.SUM_TABLES[table]
        for key, quantities in rows.items():
            assert len(key) == len(keys)
            sums |= {(*key, column): units for column, units in zip(columns, quantities, strict=True)}
    assert (sums[TENANT, "A", "on_hand"], sums[TENANT, "A", "reserved"]) == (2, 2)
    assert sums[TENANT, "A", "N1", "written_off", "quantity"] == 4
    assert min(sums.values()) >= 0, "who gave the units has no sum"
