"""The orders of the bench: three lines each, chosen without chance, so that each run asks for the same."""

from bisect import bisect
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import accumulate
from math import modf

from libs.events.ids import order_id
from libs.events.intake import SubmitOrder
from libs.events.order import Destination, OrderLine, Sealed

SKUS = 300
LINES = 3
HOT = 10
_GOLDEN = 0.6180339887498949
"""Multiples of it fill the unit interval evenly, and look like chance: Knuth, TAOCP 3, section 6.4."""

Choice = Callable[[int], Sequence[int]]
"""The numbers of the SKUs of an order, all different."""


def uniform(number: int) -> Sequence[int]:
    """Each SKU as often as any other."""
    return [(number * 7 + i * 101) % SKUS for i in range(LINES)]


def hot(number: int) -> Sequence[int]:
    """Ten SKUs, in every order."""
    return [(number * 7 + i * 3) % HOT for i in range(LINES)]


def zipf(number: int) -> Sequence[int]:
    """The n-th SKU one n-th as often as the first (Zipf's law with exponent 1).

    Three multiples in a row lie further apart than the first SKU's share (0.16), so they never meet in one.
    """
    steps = _zipf_steps()
    places = range(number * LINES, number * LINES + LINES)
    return [bisect(steps, modf(place * _GOLDEN)[0] * steps[-1]) for place in places]


@cache
def _zipf_steps() -> list[float]:
    return list(accumulate(1 / rank for rank in range(1, SKUS + 1)))


CHOICES: dict[str, Choice] = {"uniform": uniform, "zipf": zipf, "hot": hot}


def sku(number: int) -> str:
    """A SKU's name."""
    return f"SKU-{number:04}"


def id_of(tenant: str, number: int) -> str:
    """The id of a tenant's order."""
    return order_id(tenant, "bench", f"B{number}")


def order(tenant: str, number: int, choice: Choice = uniform, contact: Sealed | None = None) -> SubmitOrder:
    """One order of a tenant; without a contact nobody is told of it by mail."""
    lines = tuple(
        OrderLine(line=line, sku=sku(chosen), quantity=line, unit_price_minor=995)
        for line, chosen in enumerate(choice(number), 1)
    )
    return SubmitOrder(
        order_id=id_of(tenant, number),
        channel="bench",
        external_id=f"B{number}",
        placed_at=datetime.now(UTC),
        currency="GBP",
        lines=lines,
        destination=Destination(country="GB", latitude=51.0 + number % 5, longitude=-1.0),
        contact=contact,
    )
