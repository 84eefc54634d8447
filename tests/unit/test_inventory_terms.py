"""Terms of a SKU as sentences: what is kept from everybody, what for a channel, and who may borrow."""

from libs.events.intake import OrderAccepted
from libs.events.inventory import StockBackordered, StockPegged, StockReserved
from libs.events.policy import TermsUsed
from libs.events.promise import DefinePromiseTerms, HoldStock, PromiseHeld, PromiseTermsDefined, Share, Wanted
from services.inventory import domain
from tests.spec import given
from tests.unit.inventory_stage import sku, stocked
from tests.unit.inventory_trade import accepted, changes, due, lacks, receive

WEB = Share(channel="web", units=3)
LENT = Share(channel="web", units=3, lends_to=("marketplace",))


def terms(*shares: Share, safety_stock: int = 0) -> DefinePromiseTerms:
    return DefinePromiseTerms(sku="A", safety_stock=safety_stock, shares=shares)


def order(order_id: str, units: int, channel: str) -> OrderAccepted:
    return accepted(order_id, ("A", units)).model_copy(update={"channel": channel})


def basket(promise_id: str, units: int, channel: str | None) -> HoldStock:
    return HoldStock(promise_id=promise_id, lines=(Wanted(sku="A", quantity=units),), channel=channel)


def test_terms_are_an_event_with_a_version_and_the_same_again_is_none() -> None:
    spec = stocked(A=5)
    spec.when(terms(WEB, safety_stock=1)).then(
        PromiseTermsDefined(
            sku="A", terms_version=1, safety_stock=1, shares=(WEB,), queue=changes("A", 1, up_to=1)
        )
    )
    spec.when(terms(WEB, safety_stock=1)).then_nothing()
    spec.when(terms()).then_one(PromiseTermsDefined, terms_version=2, shares=())


def test_a_channel_has_one_share() -> None:
    given(domain).when(terms(WEB, LENT)).then_refused("channel_twice")


def test_the_safety_stock_is_promised_to_nobody_and_never_hides_what_is_there() -> None:
    spec = stocked(A=5).heard(terms(safety_stock=2))
    spec.when(order("o1", 4, "web")).then_one(
        StockBackordered, short=(lacks("A", 1),), channel="web", terms=(TermsUsed(sku="A", version=1),)
    )
    assert sku(spec, "A").on_hand == {"N1": 5}
    spec.when(basket("b", 1, "web")).then_refused("not_available")


def test_more_safety_stock_than_there_is_leaves_nothing_and_no_less() -> None:
    spec = stocked(A=5).heard(terms(safety_stock=9))
    assert sku(spec, "A").claimable("web") == 0


def test_a_share_is_its_channels_alone() -> None:
    spec = stocked(A=5).heard(terms(WEB))
    spec.when(order("o1", 3, "marketplace")).then_one(StockBackordered, short=(lacks("A", 1),))
    spec.when(order("o2", 3, "web")).then_one(StockReserved)
    assert sku(spec, "A").free == 0


def test_who_is_lent_to_may_take_from_a_share() -> None:
    spec = stocked(A=5).heard(terms(LENT))
    spec.when(basket("b1", 3, "pos")).then_refused("not_available")
    spec.when(basket("b2", 4, "marketplace")).then_one(PromiseHeld, terms=(TermsUsed(sku="A", version=1),))


def test_a_share_is_as_high_again_after_a_sale() -> None:
    spec = stocked(A=6).heard(terms(WEB), order("o1", 2, "web"))
    assert (sku(spec, "A").claimable("web"), sku(spec, "A").claimable("pos")) == (4, 1)


def test_who_waits_gets_what_the_terms_leave_to_its_channel() -> None:
    """The older order cannot have the share that the younger one has."""
    spec = stocked(A=2).heard(terms(WEB), order("old", 3, "marketplace"), order("young", 3, "web"))
    assert sku(spec, "A").claims["young"].held == 2
    assert isinstance(spec.when(receive("A", 2)).events[1], StockPegged)
    held = {order_id: claim.held for order_id, claim in sku(spec, "A").claims.items()}
    assert held == {"old": 0, "young": 3}
    spec.when(receive("A", 3))
    held = {order_id: claim.held for order_id, claim in sku(spec, "A").claims.items()}
    assert held == {"old": 1, "young": 3}, "three are kept for the web again"


def test_new_terms_serve_who_waited() -> None:
    spec = stocked(A=3).heard(terms(safety_stock=3), order("o1", 2, "web"))
    _, pegged = spec.when(terms(safety_stock=1)).events
    assert isinstance(pegged, StockPegged)
    assert (pegged.claims[0].quantity, pegged.terms_version) == (2, 2)
    spec.when(due("o1", "claims")).then_one(StockReserved, channel="web")


def test_a_sku_without_terms_tells_nothing_of_them() -> None:
    spec = stocked(A=3)
    [reserved] = spec.when(order("o1", 1, "web")).events
    assert reserved.model_dump(exclude_none=True).keys().isdisjoint({"channel", "terms"})
