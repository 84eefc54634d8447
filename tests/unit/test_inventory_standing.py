"""Who stands where in a queue is who is served; why a later one stands ahead; and what may be counted on."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.inventory import StockPegged
from libs.events.policy import DefineReservationPolicies, PolicyRule, PriorityClass
from services.inventory.places import NO_PLACES, PlacesPart
from services.inventory.queue import Turn, waiter
from services.inventory.standing import Asked, class_of, line, page, rows, supplies
from services.inventory.stock import OrderClaim, SkuPart
from services.inventory.supplies import Expected, SupplyPart, Transfer
from tests.unit.inventory_trade import accepted, receive
from tests.unit.inventory_world import World

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CLASSES = (
    PriorityClass(name="express", rank=10),
    PriorityClass(name="old", rank=70, step_days=1),
    PriorityClass(name="soon", rank=45, step_days=2),
    PriorityClass(name="bulk", rank=90),
)
NAMES = ("", *(one.name for one in CLASSES))
RULES = tuple(PolicyRule(order_type=one.name, priority=one.name) for one in CLASSES)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.integers(1, 3), st.integers(0, 40)), min_size=1, max_size=12
    )
)
def test_units_are_given_in_the_order_that_is_told(orders: list[tuple[str, int, int]]) -> None:
    world = World()
    world.take(DefineReservationPolicies(classes=CLASSES, rules=RULES))
    for number, (name, units, days) in enumerate(orders):
        world.now += timedelta(days=days)
        world.take(accepted(f"o{number}", ("A", units)).model_copy(update={"order_type": name or None}))
    sku = world.parts["sku/A"]
    assert isinstance(sku, SkuPart)
    told = [one.place.order_id for one in line(sku) for _ in range(one.lacks)]
    given_: list[str] = []
    for _ in range(sum(units for _, units, _ in orders)):
        for event in world.take(receive("A", 1)):
            if isinstance(event, StockPegged):
                given_ += [claim.order_id for claim in event.claims]
    assert given_ == told


def part(*claims: tuple[str, int, Turn]) -> SkuPart:
    """Orders that each lack one unit, with the day on which they came."""
    return SkuPart(
        wanted=len(claims),
        claims={
            id_: OrderClaim(1, 0, (NOW + timedelta(days=day)).isoformat(), "web") for id_, day, _ in claims
        },
        turns={id_: turn for id_, _, turn in claims if turn != Turn()},
    )


def test_who_came_later_and_stands_ahead_is_counted_by_class_and_by_age() -> None:
    queue = part(
        ("first", 0, Turn()),
        ("soon", 3, Turn(rank=45, step_days=2)),
        ("second", 4, Turn()),
        ("fast", 5, Turn(rank=10)),
        ("slow", 1, Turn(rank=90)),
    )
    found = {one.place.order_id: one for one in line(queue)}
    assert [*found] == ["fast", "soon", "first", "second", "slow"]
    assert [(one.rank, one.orders, one.by_age) for one in found["first"].overtaken] == [
        (10, 1, False),
        (45, 1, True),
    ]
    assert [(one.rank, one.orders) for one in found["second"].overtaken] == [(10, 1)]
    assert [(one.rank, one.orders) for one in found["slow"].overtaken] == [(10, 1), (45, 1), (50, 1)]
    assert found["fast"].overtaken == ()


def test_a_page_begins_behind_a_place_whoever_left_meanwhile() -> None:
    queue = part(*((f"o{day}", day, Turn()) for day in range(5)))
    first, more = page(queue, None, 2)
    assert ([one.place.order_id for one in first], more) == (["o0", "o1"], True)
    behind = part(*((f"o{day}", day, Turn()) for day in (0, 2, 3, 4)))
    second, more = page(behind, first[-1].place, 3)
    assert ([one.place.order_id for one in second], more) == (["o2", "o3", "o4"], False)
    assert [one.number for one in second] == [2, 3, 4]


def test_only_what_comes_in_time_to_a_node_that_ships_counts() -> None:
    day = timedelta(days=1)
    supply = SupplyPart(
        expected={
            "LATE": Expected("N1", 5, open=5, expected_at=NOW - day),
            "NEXT": Expected("N1", 5, open=4, expected_at=NOW + 2 * day),
            "UNDATED": Expected("N1", 5, open=3),
            "DONE": Expected("N1", 5, open=0, expected_at=NOW + day),
            "CALLED": Expected("N1", 5, open=5, expected_at=NOW + day, closed=True),
            "OFF": Expected("N2", 5, open=5, expected_at=NOW + day),
            "FAR": Expected("N1", 5, open=5, expected_at=NOW + 9999 * day),
        },
        transfers={"T": Transfer("N3", "N1", open=2, due_at=NOW + day), "EARLY": Transfer("", "N1")},
    )
    told = supplies(supply, PlacesPart(closed=("N2",)), NOW)
    assert [(one["supply_id"], one["units"], one["counts"]) for one in told] == [
        ("T", 2, "yes"),
        ("NEXT", 4, "yes"),
        ("LATE", 5, "late"),
        ("UNDATED", 3, "no_date"),
        ("OFF", 5, "switched_off"),
        ("FAR", 5, "too_far"),
    ]
    assert supplies(SupplyPart(), NO_PLACES, NOW) == []


def test_a_class_is_named_by_its_rank_and_its_steps() -> None:
    assert class_of(70, 1, CLASSES) == "old"
    assert class_of(70, 0, CLASSES) is None
    assert class_of(50, 0, CLASSES) is None


def test_a_basket_that_waits_is_told_by_its_own_name() -> None:
    known = part(("o1", 0, Turn()), (waiter("b1"), 1, Turn()))
    told = rows([*line(known)], Asked("A", known, SupplyPart(), (), NOW))
    assert [(one["order_id"], one.get("promise_id")) for one in told] == [("o1", None), (None, "b1")]
