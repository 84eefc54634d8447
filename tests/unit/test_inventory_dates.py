"""When a basket can be there, from what is on hand and to come."""

from datetime import timedelta
from typing import Any

from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from libs.events.order import Destination
from libs.events.places import Delivery
from libs.events.promise import HoldStock, PromiseConfirmed, PromiseHeld, Wanted
from services.inventory import dates, domain
from services.inventory.availability import answer, answer_dated
from services.inventory.places import PlacesPart
from services.inventory.stock import OrderClaim, SkuPart
from services.inventory.supplies import NO_SUPPLY, Expected, SupplyPart, Transfer
from services.inventory.terms import Terms
from tests.spec import NOON, given
from tests.unit.inventory_dates import FACTS, GB, LEEDS, LONDON, STANDARD, asking, day, defined
from tests.unit.inventory_trade import accepted, of_basket, receive

UNASKED = SkuPart()


def shelf(
    wanted: int = 0, reserved: int | None = None, terms: Terms | None = None, **on_hand: int
) -> SkuPart:
    """Units by node, and how many of them are promised."""
    held = wanted if reserved is None else reserved
    claims = {"other": OrderClaim(wanted, held, NOON.isoformat())} if wanted else {}
    return SkuPart(1, on_hand, {}, held, wanted, claims, terms)


def bought(units: int, days: float, node: str = "N1", **more: Any) -> SupplyPart:
    """A purchase order that is expected so many days after noon."""
    expected = Expected(node, units, 0, units, NOON + timedelta(days=days), NOON, **more)
    return SupplyPart(expected={"PO-1": expected})


def promised(
    quantity: int, part: SkuPart, supply: SupplyPart = NO_SUPPLY, channel: str | None = None, **more: Any
) -> Delivery:
    found = dates.promised({"A": quantity}, channel, {"A": part}, {"A": supply}, asking(**more))
    return found["A"]


def test_what_is_on_hand_leaves_today_and_arrives_by_the_carriers_days() -> None:
    found = promised(2, shelf(N1=5))
    assert (found.node, found.ship_by, found.deliver_by) == ("N1", day(0), day(2))
    assert [one.code for one in found.why] == ["transit"]


def test_what_others_were_promised_is_taken_from_the_quickest_node() -> None:
    """Nobody knows which units routing gives them: the date holds whichever they are."""
    assert promised(1, shelf(wanted=4, N1=5, N2=5)).deliver_by == day(2)
    slower = promised(2, shelf(wanted=4, N1=5, N2=5))
    assert (slower.node, slower.ship_by, slower.deliver_by) == ("N2", day(3), day(7))


def test_what_is_not_on_hand_comes_with_the_next_supply_and_takes_a_day_to_shelve() -> None:
    found = promised(3, shelf(N1=1), bought(10, days=1))
    assert (found.node, found.ship_by, found.deliver_by) == ("N1", day(2), day(4))
    assert [one.code for one in found.why] == ["inbound", "transit"]
    assert "PO-1, expected 2026-03-03" in found.why[0].message


def test_who_waits_has_the_inbound_units_first() -> None:
    waiting = shelf(wanted=9, reserved=1, N1=1)
    assert promised(2, waiting, bought(10, days=1)).deliver_by == day(4)
    unknown = promised(3, waiting, bought(10, days=1))
    assert (unknown.deliver_by, [one.code for one in unknown.why]) == (None, ["not_expected"])


def test_safety_stock_and_shares_are_kept_also_of_what_comes() -> None:
    terms = Terms(1, safety_stock=2, shares={"web": 3})
    part = shelf(N1=5, terms=terms)
    assert promised(3, part, bought(1, days=1), channel="web").deliver_by == day(2)
    assert promised(4, part, bought(1, days=1), channel="web").deliver_by == day(4)
    assert promised(2, part, bought(1, days=1), channel="pos").deliver_by is None


def test_late_supply_and_what_is_years_away_are_no_date() -> None:
    for days in (0, -1, 5 * 365):
        assert promised(1, UNASKED, bought(9, days=days)).deliver_by is None
    assert promised(1, UNASKED, bought(9, days=1, closed=True)).deliver_by is None


def test_a_transfer_on_its_way_is_a_supply() -> None:
    transfer = Transfer("N2", "N1", 4, NOON + timedelta(days=1))
    found = promised(4, UNASKED, SupplyPart(transfers={"T-7": transfer}))
    assert (found.deliver_by, "T-7" in found.why[0].message) == (day(4), True)


def test_without_a_calendar_or_a_way_there_is_no_date_and_it_says_what_lacks() -> None:
    part = shelf(N1=5)
    found = dates.promised({"A": 1}, None, {"A": part}, {}, asking(STANDARD))["A"]
    assert (found.deliver_by, [one.code for one in found.why]) == (None, ["no_calendar"])
    found = promised(1, part, destination=Destination(country="FR"))
    assert (found.deliver_by, [one.code for one in found.why]) == (None, ["no_transit"])
    elsewhere = asking(defined("N1", ships_to=("FR",)), LEEDS, STANDARD)
    both = dates.promised({"A": 1}, None, {"A": shelf(N1=5, N2=1)}, {}, elsewhere)["A"]
    assert both.node == "N2", "what cannot be sent there counts as nothing"


def test_a_basket_is_there_with_the_last_of_it_and_unknown_with_one_unknown() -> None:
    skus = {"A": shelf(N1=5), "B": shelf(N2=5)}
    found = dates.promised({"A": 1, "B": 1}, None, skus, {}, asking())
    assert dates.last(found.values()).deliver_by == day(7)
    lacking = dates.promised({"A": 1, "C": 1}, None, skus, {}, asking())
    assert dates.last(lacking.values()).deliver_by is None


def test_the_answer_has_what_could_be_promised_by_when_beside_what_it_had() -> None:
    wanted, skus = (Wanted(sku="A", quantity=3),), {"A": shelf(wanted=1, N1=3)}
    plain = answer(wanted, None, skus)
    told = answer_dated(wanted, None, skus, {"A": bought(4, days=1)}, asking())
    (one,) = told["skus"]
    shelved = NOON.replace(hour=0) + timedelta(days=2)
    assert one["atp"] == [{"from": NOON, "quantity": 2}, {"from": shelved, "quantity": 6}]
    assert told["delivery"] == one["delivery"]
    assert (told["delivery"]["ship_by"], told["delivery"]["deliver_by"]) == (day(2), day(4))
    del told["delivery"], one["atp"], one["delivery"]
    assert told == plain


def test_a_held_basket_keeps_its_date_until_its_order_takes_it() -> None:
    spec = given(domain).heard(*FACTS, receive("A", 5))
    asked = HoldStock(promise_id="b1", lines=(Wanted(sku="A", quantity=2),), destination=GB)
    [held] = spec.when(asked).events
    assert isinstance(held, PromiseHeld)
    assert held.delivery is not None
    assert (held.delivery.deliver_by, held.delivery.nodes_version) == (day(2), 3)
    spec.heard(defined("N1", processing_days=9, nodes_version=4))
    confirmed = spec.when(of_basket("b1", accepted("o1", ("A", 2)))).events[0]
    assert isinstance(confirmed, PromiseConfirmed)
    assert confirmed.delivery == held.delivery


def test_a_basket_without_a_destination_has_no_date_and_one_without_calendars_says_so() -> None:
    spec = given(domain).heard(receive("A", 5))
    [plain] = spec.when(HoldStock(promise_id="b1", lines=(Wanted(sku="A", quantity=2),))).events
    assert isinstance(plain, PromiseHeld)
    assert plain.delivery is None
    asked = HoldStock(promise_id="b2", lines=(Wanted(sku="A", quantity=2),), destination=GB)
    [held] = spec.when(asked).events
    assert isinstance(held, PromiseHeld)
    assert held.delivery is not None
    assert (held.delivery.deliver_by, [one.code for one in held.delivery.why]) == (None, ["no_calendar"])


def test_a_node_without_a_calendar_leaves_its_name_and_one_that_loses_it_is_forgotten() -> None:
    bare = defined("N9", operations=None, nodes_version=1)
    spec = given(domain).heard(bare)
    assert spec.parts["nodes"] == PlacesPart(version=1, everywhere=("N9",))
    spec.heard(LONDON, defined("N1", operations=None, nodes_version=2))
    assert spec.parts["nodes"].nodes == {}


UNITS = st.integers(0, 6)


@settings(deadline=None)
@forall(
    on_hand=st.tuples(UNITS, UNITS, UNITS),
    wanted=st.integers(0, 8),
    inbound=st.lists(st.tuples(st.sampled_from(["N1", "N2", "N3"]), st.integers(1, 4), st.integers(1, 9))),
    quantity=st.integers(1, 6),
    more=st.sampled_from(["N1", "N2", "N3", "inbound"]),
    safety=st.integers(0, 2),
    later=st.timedeltas(timedelta(0), timedelta(hours=20)),
)
def test_more_stock_never_gives_a_later_date_and_a_later_order_never_an_earlier_one(
    on_hand: tuple[int, int, int],
    wanted: int,
    inbound: list[tuple[str, int, int]],
    quantity: int,
    more: str,
    safety: int,
    later: timedelta,
) -> None:
    """N3 has no calendar."""

    def asked(extra: int = 0, after: timedelta = timedelta(0)) -> str:
        units = dict(zip(("N1", "N2", "N3"), on_hand, strict=True))
        coming = {
            f"PO-{number}": Expected(node, many, 0, many, NOON + timedelta(days=days), NOON)
            for number, (node, many, days) in enumerate(inbound)
        }
        if more == "inbound":
            coming |= {"PO-X": Expected("N1", 1, 0, 1, NOON + timedelta(days=1), NOON)} if extra else {}
        else:
            units[more] += extra
        terms = Terms(1, safety_stock=safety) if safety else None
        part = shelf(wanted, min(wanted, sum(units.values())), terms, **{k: v for k, v in units.items() if v})
        found = promised(quantity, part, SupplyPart(expected=coming), at=NOON + after)
        return str(found.deliver_by or "never")

    assert asked(extra=1) <= asked() <= asked(after=later)
