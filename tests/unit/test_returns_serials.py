"""Serial numbers of what comes back: of this order, once, and of each unit that is sold again."""

import pytest

from libs.events.order import LineQuantity, LineSerials, PartLine, UnpackedLine
from libs.events.returns import Disposition, InspectedUnits, ReceiveReturn, ReturnClosed, ReturnReceived
from services.returns import domain
from tests.spec import Spec, given
from tests.unit.test_returns_domain import ORDER, R1, authorise, delivered, units


def back(*came: tuple[int, int, tuple[str, ...] | None, Disposition]) -> ReceiveReturn:
    """(line, quantity, numbers, disposition) each."""
    found = tuple(
        InspectedUnits(line=line, quantity=quantity, serials=serials, disposition=disposition)
        for line, quantity, serials, disposition in came
    )
    return ReceiveReturn(order_id=ORDER, rma_id=R1, node="north", units=found)


def with_customer() -> Spec:
    """Three units with numbers of line 1, and two without of line 2."""
    sent = (LineSerials(line=1, sku="sku-1", serials=("A", "B", "C")),)
    arrived = delivered().model_copy(update={"serials": sent})
    return given(domain).heard(arrived, authorise((1, 3), (2, 2)))


def test_a_unit_comes_back_with_its_number_once() -> None:
    spec = with_customer()
    [event] = spec.when(back((1, 2, ("B", "A"), "restock"), (2, 1, None, "restock"))).events
    assert isinstance(event, ReturnReceived)
    assert [(unit.line, unit.serials) for unit in event.units] == [(1, ("B", "A")), (2, None)]
    spec.when(back((1, 1, ("A",), "restock"))).then_refused("serial_not_sent")
    spec.when(back((1, 1, ("C",), "scrap"), (2, 1, None, "scrap"))).then_types(ReturnReceived, ReturnClosed)


@pytest.mark.parametrize(
    ("came", "code"),
    [
        ((1, 1, ("Z",), "restock"), "serial_not_sent"),
        ((1, 1, ("Z",), "scrap"), "serial_not_sent"),
        ((1, 1, None, "restock"), "serials_required"),
        ((1, 1, None, "quarantine"), "serials_required"),
        ((1, 2, ("A",), "restock"), "serials_required"),
        ((1, 1, ("A", "B"), "restock"), "too_many_serials"),
        ((1, 2, ("A", "A"), "restock"), "serial_twice"),
        ((2, 1, ("A",), "restock"), "no_serials"),
    ],
)
def test_what_was_not_sent_with_this_order_is_not_taken_back(
    came: tuple[int, int, tuple[str, ...] | None, Disposition], code: str
) -> None:
    with_customer().when(back(came)).then_refused(code)


def test_a_number_that_cannot_be_read_is_scrapped_without() -> None:
    [event] = with_customer().when(back((1, 1, None, "scrap"))).events
    assert isinstance(event, ReturnReceived)
    assert event.units[0].serials is None


def sets(cams: tuple[str, ...], bags: tuple[str, ...]) -> Spec:
    """Sets of a camera and a bag, both with numbers; one of them is to come back."""
    parts = (
        PartLine(line=1000, sku="CAM", quantity=len(cams)),
        PartLine(line=1001, sku="BAG", quantity=len(bags)),
    )
    bundle = (UnpackedLine(line=1, sku="SET", quantity=len(cams), bundle_version=1, parts=parts),)
    came = tuple(LineQuantity(line=p.line, sku=p.sku, quantity=p.quantity) for p in parts)
    sent = (
        LineSerials(line=1000, sku="CAM", serials=cams),
        LineSerials(line=1001, sku="BAG", serials=bags),
    )
    arrived = delivered().model_copy(update={"lines": came, "bundles": bundle, "serials": sent})
    return given(domain).heard(arrived, authorise((1, 1)))


def test_units_of_two_skus_may_have_the_same_number() -> None:
    both = sets(("1",), ("1",))
    by_line = back((1000, 1, ("1",), "restock"), (1001, 1, ("1",), "scrap"))
    both.when(by_line).then_types(ReturnReceived, ReturnClosed)
    by_set = sets(("1",), ("1",)).when(back((1, 1, ("1", "1"), "restock")))
    by_set.then_types(ReturnReceived, ReturnClosed)
    sets(("1",), ("2",)).when(back((1, 1, ("1", "1"), "restock"))).then_refused("serial_twice")


def test_a_number_that_two_parts_have_is_of_the_one_whose_number_is_not_told() -> None:
    [received, _] = sets(("1", "2"), ("1", "3")).when(back((1, 1, ("1", "2"), "restock"))).events
    assert isinstance(received, ReturnReceived)
    assert {unit.sku: unit.serials for unit in received.units} == {"CAM": ("2",), "BAG": ("1",)}


def test_a_bundle_comes_back_with_the_numbers_of_its_parts() -> None:
    parts = (PartLine(line=1000, sku="CAM", quantity=2), PartLine(line=1001, sku="BAG", quantity=2))
    bundle = (UnpackedLine(line=1, sku="SET", quantity=2, bundle_version=1, parts=parts),)
    arrived = delivered().model_copy(
        update={
            "lines": tuple(
                units(1, 1).model_copy(update={"line": p.line, "sku": p.sku, "quantity": 2}) for p in parts
            ),
            "bundles": bundle,
            "serials": (LineSerials(line=1000, sku="CAM", serials=("A", "B")),),
        }
    )
    spec = given(domain).heard(arrived, authorise((1, 1)))
    spec.when(back((1, 1, None, "restock"))).then_refused("serials_required")
    [event, *_] = spec.when(back((1, 1, ("B",), "restock"))).events
    assert isinstance(event, ReturnReceived)
    assert {unit.sku: unit.serials for unit in event.units} == {"CAM": ("B",), "BAG": None}
