"""Purchase orders, notices and receipts as sentences: over, short, damaged, twice, too early, unknown."""

from datetime import timedelta

import pytest

from libs.events.inventory import StockPegged
from libs.events.supply import CancelSupply, SupplyCancelled, SupplyExpected, SupplyReceived
from services.inventory import domain
from services.inventory.hears import Heard
from tests.spec import NOON, Spec, given
from tests.unit.inventory_stage import sku
from tests.unit.inventory_supply import DUE, arrive, expect, minutes, moves, rules, supply
from tests.unit.inventory_trade import accepted, promised, receive


def bought() -> Spec:
    """Ten of A are expected at N1 under P."""
    return given(domain).heard(expect("A", "P", 10))


def test_what_is_bought_is_inbound_until_it_arrives() -> None:
    spec = given(domain)
    spec.when(expect("A", "P", 10)).then(
        SupplyExpected(
            sku="A",
            supply_id="P",
            node="N1",
            quantity=10,
            open=10,
            expected_at=DUE,
            stated_at=NOON,
            document="purchase_order",
            movements=(moves("A", 1, 10, "supplier", "inbound"),),
        )
    )
    assert sku(spec, "A").free == 0
    spec.when(arrive("A", "P", "R1", 4)).then_one(
        SupplyReceived, outcome="partial", open=6, movements=(moves("A", 2, 4, "inbound", "on_hand"),)
    )
    spec.when(arrive("A", "P", "R2", 6)).then_one(SupplyReceived, outcome="complete", open=0)
    assert sku(spec, "A").on_hand == {"N1": 10}
    assert supply(spec, "A").held == {}


def test_more_and_broken_units_are_told_apart() -> None:
    spec = bought()
    spec.when(arrive("A", "P", "R1", 9, damaged=3)).then_one(
        SupplyReceived,
        outcome="over",
        over=2,
        open=0,
        movements=(
            moves("A", 2, 9, "inbound", "on_hand"),
            moves("A", 3, 1, "inbound", "damaged"),
            moves("A", 4, 2, "supplier", "damaged"),
        ),
    )
    assert supply(spec, "A").units("damaged", "N1") == 3


def test_what_lacks_in_the_last_delivery_is_short_and_expected_no_more() -> None:
    spec = bought()
    spec.when(arrive("A", "P", "R1", 7, final=True)).then_one(
        SupplyReceived,
        outcome="short",
        short=3,
        open=0,
        movements=(moves("A", 2, 7, "inbound", "on_hand"), moves("A", 3, 3, "inbound", "supplier")),
    )
    spec.when(expect("A", "P", 12, stated=1)).then_refused("supply_closed")
    spec.when(arrive("A", "P", "R2", 3)).then_one(SupplyReceived, outcome="over", over=3)


def test_a_receipt_is_booked_once_whatever_command_brings_it() -> None:
    spec = bought().heard(arrive("A", "P", "R1", 4))
    spec.when(arrive("A", "P", "R1", 4)).then_refused("already_received")
    assert sku(spec, "A").on_hand == {"N1": 4}


def test_a_receipt_before_its_purchase_order_is_taken_off_that() -> None:
    spec = given(domain)
    spec.when(arrive("A", "P", "R1", 4)).then_one(
        SupplyReceived, outcome="unannounced", movements=(moves("A", 1, 4, "supplier", "on_hand"),)
    )
    spec.when(expect("A", "P", 10)).then_one(SupplyExpected, open=6)
    early, late = supply(spec, "A").expected["P"], supply(bought().heard(arrive("A", "P", "R1", 4)), "A")
    assert early == late.expected["P"]


def test_a_receipt_serves_who_waits() -> None:
    spec = bought().heard(accepted("o1", ("A", 3)))
    answer = spec.when(arrive("A", "P", "R1", 4))
    answer.then_types(SupplyReceived, StockPegged)
    assert answer.events[1].model_dump()["movements"][0] == promised("A", 3, 3).model_dump()


def test_the_latest_statement_counts_whichever_comes_first() -> None:
    spec = given(domain).heard(expect("A", "P", 10, stated=5))
    spec.when(expect("A", "P", 20, stated=1)).then_refused("superseded")
    spec.when(expect("A", "P", 20, stated=5)).then_refused("superseded")
    spec.when(expect("A", "P", 10, stated=5)).then_nothing()
    later = expect("A", "P", 8, "N2", stated=9, document="asn", expected_at=DUE + timedelta(days=1))
    spec.when(later).then_one(
        SupplyExpected,
        open=8,
        document="asn",
        movements=(
            moves("A", 2, 10, "inbound", "supplier"),
            moves("A", 3, 8, "supplier", "inbound", "N2"),
        ),
    )
    spec.when(expect("A", "P", 5, "N2", stated=10)).then_one(
        SupplyExpected, open=5, movements=(moves("A", 4, 3, "inbound", "supplier", "N2"),)
    )


def test_what_is_cancelled_comes_no_more() -> None:
    cancel = CancelSupply(sku="A", supply_id="P", reason="bankrupt")
    spec = bought().heard(arrive("A", "P", "R1", 4))
    spec.when(cancel).then_one(
        SupplyCancelled, quantity=6, movements=(moves("A", 3, 6, "inbound", "supplier"),)
    )
    spec.when(cancel).then_nothing()
    given(domain).when(cancel).then_refused("unknown_supply")


too_early = arrive("A", "P", "R", 1).model_copy(update={"effective_at": minutes(1)})


@pytest.mark.parametrize(
    ("asked", "receipt", "code"),
    [
        (rules(nodes=("N2",)), arrive("A", "P", "R", 1), "unknown_node"),
        (rules(new_skus=False), arrive("Z", "P", "R", 1), "unknown_sku"),
        (rules(unannounced=False), arrive("A", "Q", "R", 1), "unknown_supply"),
        (rules(over_receipt_percent_max=10), arrive("A", "P", "R", 12), "over_receipt"),
        (rules(), arrive("A", "P", "R", 1, node="N2"), "another_node"),
        (rules(), arrive("A", "P", "R", 0), "nothing_received"),
        (
            rules(),
            arrive("A", "P", "R", 1).model_copy(update={"effective_at": minutes(1)}),
            "effective_in_future",
        ),
    ],
)
def test_each_refusal_moves_nothing(asked: Heard, receipt: Heard, code: str) -> None:
    spec = bought().heard(asked)
    before = spec.parts.get("sku/A")
    spec.when(receipt).then_refused(code)
    assert spec.parts["sku/A"] == before


def test_a_plain_receipt_is_held_to_the_rules_too() -> None:
    spec = given(domain).heard(rules(nodes=("N1",), new_skus=False))
    spec.when(receive("A", 1, "N9")).then_refused("unknown_node")
    spec.when(receive("A", 1)).then_refused("unknown_sku")
    spec.heard(rules(nodes=("N1",))).heard(receive("A", 1)).heard(rules(nodes=("N1",), new_skus=False))
    assert sku(spec, "A").on_hand == {"N1": 1}
    spec.heard(receive("A", 1))
    assert sku(spec, "A").on_hand == {"N1": 2}


def test_the_house_has_an_end_for_what_is_bought_too() -> None:
    spec = given(domain)
    for number in range(1000):
        spec.heard(expect("A", f"P{number}", 1_000_000))
    spec.when(expect("A", "P", 1)).then_refused("too_many_units")


def test_old_documents_are_forgotten_and_open_ones_never() -> None:
    spec = bought()
    for number in range(120):
        spec.heard(arrive("A", f"Q{number}", "R", 1))
    known = supply(spec, "A").expected
    assert len(known) == 100
    assert known["P"].open == 10
