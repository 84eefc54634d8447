"""Intake's rules: what makes an order impossible (rejections), and what a person must look at (holds).

Each finding says what is wrong, where, and what to do. None of them sees personal data.
"""

from datetime import date, datetime, timedelta

from babel.core import get_global

from libs.events.intake import Hold, OrderTerms
from libs.events.order import Reason
from services.intake.geography import CENTRES

UNITS_PER_SKU_MAX = 1_000_000
TOTAL_MINOR_MAX = 10**12
"""What `AmountMinor` holds, so that whoever adds the order up can say it."""
YEAR_MIN = 1970
PLACED_AHEAD_MAX = timedelta(days=1)
"""A channel's clock may be wrong by a time zone, not by more."""
CHANGEOVER = timedelta(days=366)
"""A currency stays on late orders this long after it stopped being tender."""
FINDINGS_MAX = 20
"""More of the same are counted, not listed: an answer is read by people."""


def _last_days() -> dict[str, date]:
    """ISO 4217 code → last day as legal tender anywhere (CLDR); codes that never were any are left out."""
    last: dict[str, date] = {}
    for periods in get_global("territory_currencies").values():
        for code, _, end, tender in periods:
            if tender:
                ends = date.max if end is None else date(*end)
                last[code] = max(ends, last.get(code, date.min))
    return last


CURRENCIES: dict[str, date] = _last_days()


def rejections(terms: OrderTerms, at: datetime) -> tuple[Reason, ...]:
    """Why the order can never be fulfilled as submitted; empty when it can. `at` is the command's time."""
    found: list[Reason] = []
    placed_at = terms.placed_at
    _check_currency(terms, found)
    if placed_at - at > PLACED_AHEAD_MAX:
        found.append(
            Reason(
                code="placed_in_future",
                message=f"placed_at is {placed_at.isoformat()}, more than a day after it was submitted;"
                " correct the channel's clock or time zone.",
            )
        )
    if placed_at.year < YEAR_MIN:
        found.append(
            Reason(
                code="placed_too_early",
                message=f"placed_at is in the year {placed_at.year}; correct the channel's clock.",
            )
        )
    total = total_minor(terms)
    if abs(total) > TOTAL_MINOR_MAX:
        found.append(
            Reason(
                code="total_too_large",
                message=f"lines and charges make {total} minor units; an order takes {TOTAL_MINOR_MAX}. "
                "Correct the prices, or split the order.",
            )
        )
    _check_lines(terms, found)
    return _bounded(found) if found else ()


def holds(terms: OrderTerms) -> tuple[Hold, ...]:
    """What must be settled before anything is promised, in a fixed order; empty when nothing."""
    found: list[Hold] = []
    if terms.payment == "pending":
        found.append(
            Hold(name="payment", message="Payment is pending; release once it is confirmed, or cancel.")
        )
    country = terms.destination.country
    if country not in CENTRES:
        found.append(
            Hold(
                name="address",
                message=f"destination.country {country} is not a country that goods can be sent to; "
                "find the right one with the customer, and amend the order: that settles it. Or cancel it.",
            )
        )
    if terms.total_minor is not None:
        total = total_minor(terms)
        if total != terms.total_minor:
            found.append(
                Hold(
                    name="total_mismatch",
                    message=f"total_minor is {terms.total_minor}, lines and charges make {total} "
                    f"({terms.currency}, minor units); settle the difference with the channel, then release.",
                )
            )
    return tuple(found)


def total_minor(terms: OrderTerms) -> int:
    """Lines and charges, in the currency's minor unit."""
    total = 0
    for line in terms.lines:
        total += line.quantity * line.unit_price_minor
    for charge in terms.charges:
        total += charge.amount_minor
    return total


def _check_currency(terms: OrderTerms, found: list[Reason]) -> None:
    last = CURRENCIES.get(terms.currency)
    if last is None:
        wrong = f"currency {terms.currency} is not an ISO 4217 currency in use"
    elif last != date.max and terms.placed_at.date() > last + CHANGEOVER:
        wrong = f"currency {terms.currency} has not been legal tender since {last.isoformat()}"
    else:
        return
    found.append(
        Reason(code="unknown_currency", message=f"{wrong}; submit it in its currency, as a new order.")
    )


def _check_lines(terms: OrderTerms, found: list[Reason]) -> None:
    numbers: set[int] = set()
    units: dict[str, int] = {}
    for line in terms.lines:
        number, sku = line.line, line.sku
        if number in numbers:
            found.append(
                Reason(
                    code="duplicate_line",
                    message=f"line number {number} is used more than once; number each line differently.",
                )
            )
        numbers.add(number)
        units[sku] = units.get(sku, 0) + line.quantity
        if line.unit_price_minor < 0:
            found.append(
                Reason(
                    code="negative_price",
                    message=f"line {number} ({sku}) has unit_price_minor {line.unit_price_minor}; "
                    "send a discount as a charge, a refund as a return.",
                )
            )
    for sku, quantity in units.items():
        if quantity > UNITS_PER_SKU_MAX:
            found.append(
                Reason(
                    code="quantity_too_large",
                    message=f"{quantity} units of {sku} over all lines; an order takes {UNITS_PER_SKU_MAX}. "
                    "Split the order.",
                )
            )


def _bounded(found: list[Reason]) -> tuple[Reason, ...]:
    if len(found) <= FINDINGS_MAX:
        return tuple(found)
    rest = len(found) - FINDINGS_MAX
    return (*found[:FINDINGS_MAX], Reason(code="more", message=f"{rest} further findings like these."))
