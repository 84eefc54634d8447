"""Reads a retailer's invoice lines as what an order management system is told: orders, counts, take-backs.

Pure, and for any period: the demo reads a month of the file, the year's test all of it. Every line is of
exactly one kind and every invoice of exactly one, so that both tallies add up to what was read. docs/demo.md
tells the policy in words; what is here is all there is to it.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

PENNY = Decimal("0.01")
LONDON = ZoneInfo("Europe/London")
ORDER_LINES_MAX = 1000
"""More lines than an order may have are further orders: intake takes no longer one."""
CHARGE_CODES = frozenset(
    ("POST", "DOT", "C2", "M", "D", "S", "B", "BANK CHARGES", "AMAZONFEE", "CRUK", "PADS")
)
NO_COUNTRY = "ZZ"
"""ISO 3166's user-assigned code for "unknown": intake holds such an order for its address."""

COUNTRIES = {
    "Australia": "AU",
    "Austria": "AT",
    "Bahrain": "BH",
    "Belgium": "BE",
    "Brazil": "BR",
    "Canada": "CA",
    "Channel Islands": NO_COUNTRY,  # Jersey (JE) and Guernsey (GG) are two; the file does not say which
    "Cyprus": "CY",
    "Czech Republic": "CZ",
    "Denmark": "DK",
    "EIRE": "IE",
    "European Community": NO_COUNTRY,
    "Finland": "FI",
    "France": "FR",
    "Germany": "DE",
    "Greece": "GR",
    "Hong Kong": "HK",
    "Iceland": "IS",
    "Israel": "IL",
    "Italy": "IT",
    "Japan": "JP",
    "Lebanon": "LB",
    "Lithuania": "LT",
    "Malta": "MT",
    "Netherlands": "NL",
    "Norway": "NO",
    "Poland": "PL",
    "Portugal": "PT",
    "RSA": "ZA",
    "Saudi Arabia": "SA",
    "Singapore": "SG",
    "Spain": "ES",
    "Sweden": "SE",
    "Switzerland": "CH",
    "USA": "US",
    "United Arab Emirates": "AE",
    "United Kingdom": "GB",
    "Unspecified": NO_COUNTRY,
}


class RowKind(StrEnum):
    """What one line of the file is."""

    SALE = "sale: an order's line"
    GIFT = "sale at price 0, on an invoice that names a customer or charges for something"
    CHARGE = "charge or discount of an order"
    CHARGE_ALONE = "charge on an invoice without goods"
    FOUND = "stock found"
    WRITTEN_OFF = "stock written off"
    TAKEN_BACK = "taken back, each unit found on an earlier invoice"
    TAKEN_BACK_IN_PART = "taken back, some units found on an earlier invoice"
    UNMATCHED = "taken back, no earlier invoice has it"
    CREDIT = "charge on a C invoice"
    BAD_DEBT = "bad-debt adjustment"
    UNEXPLAINED = "of no known kind"


class InvoiceKind(StrEnum):
    """What one invoice becomes."""

    ORDER = "order"
    CHARGES_ALONE = "charges without goods: not an order"
    STOCK_COUNT = "stock found or written off"
    TAKE_BACK = "cancellation or return"
    UNMATCHED = "C invoice, no unit of it found earlier"
    CREDIT = "C invoice of charges alone"
    BAD_DEBT = "bad-debt adjustment"
    UNEXPLAINED = "of no known kind"


@dataclass(frozen=True, slots=True)
class Row:
    """One line as it stands in the file; `price` is in pounds."""

    number: int
    invoice: str
    code: str
    description: str | None
    quantity: int
    at: datetime
    price: Decimal
    customer: str | None
    country: str

    @property
    def is_charge(self) -> bool:
        return self.code in CHARGE_CODES or self.code.startswith("GIFT_0001_")


@dataclass(frozen=True, slots=True)
class SaleLine:
    """Goods of an order; `line` counts from 1. The same SKU may stand on several lines."""

    line: int
    sku: str
    quantity: int
    unit_price_minor: int
    description: str | None


@dataclass(frozen=True, slots=True)
class SaleCharge:
    """Money that is no goods; a discount is negative."""

    kind: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Sale:
    """An invoice with goods: one order, in pence. The second thousand lines are order `invoice`-2."""

    invoice: str
    placed_at: datetime
    customer: str | None
    country: str
    lines: tuple[SaleLine, ...]
    charges: tuple[SaleCharge, ...]

    @property
    def total_minor(self) -> int:
        goods = sum(line.quantity * line.unit_price_minor for line in self.lines)
        return goods + sum(charge.amount_minor for charge in self.charges)


@dataclass(frozen=True, slots=True)
class StockCount:
    """Units found (+) or written off (−), `number` being the line of the file."""

    number: int
    invoice: str
    sku: str
    delta: int
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TakeBack:
    """What a C invoice takes back of one order: (line, SKU, quantity). `whole`: that is all of the order."""

    invoice: str
    of_invoice: str
    lines: tuple[tuple[int, str, int], ...]
    whole: bool
    at: datetime


Step = Sale | StockCount | TakeBack


@dataclass(frozen=True, slots=True)
class Period:
    """What is replayed, in the file's order, and what became of each line and each invoice."""

    steps: tuple[Step, ...]
    rows: Counter[RowKind]
    invoices: Counter[InvoiceKind]
    units_unmatched: int

    @property
    def sales(self) -> tuple[Sale, ...]:
        return tuple(step for step in self.steps if isinstance(step, Sale))


@dataclass(slots=True)
class _Ledger:
    """What the fold over the invoices knows so far."""

    steps: list[Step] = field(default_factory=list)
    rows: Counter[RowKind] = field(default_factory=Counter)
    invoices: Counter[InvoiceKind] = field(default_factory=Counter)
    sold: dict[tuple[str, str], list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))
    """(customer, SKU) → (invoice, line), oldest first."""
    left: dict[tuple[str, int], int] = field(default_factory=dict)
    """(invoice, line) → units that no C invoice has taken back."""
    order_units: dict[str, int] = field(default_factory=dict)
    units_unmatched: int = 0


def read_invoices(text: Iterable[str], before: datetime | None = None) -> Period:
    """Read CSV text with the file's header, which is in the order of time, up to a moment.

    ValueError, with the line's number, if a line is not readable.
    """
    ledger = _Ledger()
    for invoice, rows in _invoices(text, before).items():
        if invoice.startswith("C"):
            _take_back(ledger, invoice, rows)
        elif invoice.startswith("A"):
            ledger.rows[RowKind.BAD_DEBT] += len(rows)
            ledger.invoices[InvoiceKind.BAD_DEBT] += 1
        else:
            _sell_or_count(ledger, invoice, rows)
    return Period(tuple(ledger.steps), ledger.rows, ledger.invoices, ledger.units_unmatched)


def first_orders(period: Period, orders: int) -> tuple[Step, ...]:
    """The steps of the first `orders` orders: with the stock counts up to the last of them, and with every
    take-back of them, also later ones, so that a part shows what the whole does."""
    taken: set[str] = set()
    steps: list[Step] = []
    for step in period.steps:
        if isinstance(step, TakeBack):
            if step.of_invoice in taken:
                steps.append(step)
        elif len(taken) < orders:
            steps.append(step)
            if isinstance(step, Sale):
                taken.add(step.invoice)
    return tuple(steps)


def _invoices(text: Iterable[str], before: datetime | None) -> dict[str, list[Row]]:
    """Lines by invoice, each in the file's order."""
    found: dict[str, list[Row]] = {}
    reader = csv.DictReader(text)
    for fields in reader:
        try:
            row = _row(reader.line_num, fields)
        except (KeyError, AttributeError, ArithmeticError, ValueError) as wrong:
            raise ValueError(f"line {reader.line_num}: not an invoice line ({wrong!r})") from None
        if before is not None and row.at >= before:
            break
        found.setdefault(row.invoice, []).append(row)
    return found


def _row(number: int, fields: dict[str, str]) -> Row:
    customer = fields["CustomerID"].strip()
    return Row(
        number=number,
        invoice=fields["InvoiceNo"].strip().upper(),
        code=fields["StockCode"].strip().upper(),  # 85123a and 85123A are the same goods
        description=" ".join(fields["Description"].split()) or None,
        quantity=int(fields["Quantity"]),
        at=_london(fields["InvoiceDate"]),
        price=Decimal(fields["UnitPrice"]),
        customer=customer.removesuffix(".0") or None,
        country=COUNTRIES.get(fields["Country"].strip(), NO_COUNTRY),
    )


@lru_cache(maxsize=1024)
def _london(text: str) -> datetime:
    """UTC of a London time. Nobody sold anything in the hour that October has twice."""
    return datetime.fromisoformat(text).replace(tzinfo=LONDON).astimezone(UTC)


def _sell_or_count(ledger: _Ledger, invoice: str, rows: Sequence[Row]) -> None:
    """An invoice of goods is an order, one of zero-price lines of nobody is a stock count."""
    is_sale = rows[0].customer is not None or any(row.price > 0 for row in rows)
    kinds = [_kind(row, is_sale) for row in rows]
    goods = [row for row, kind in zip(rows, kinds, strict=True) if kind in (RowKind.SALE, RowKind.GIFT)]
    if not goods:
        kinds = [RowKind.CHARGE_ALONE if kind is RowKind.CHARGE else kind for kind in kinds]
    ledger.rows.update(kinds)
    for row, kind in zip(rows, kinds, strict=True):
        if kind in (RowKind.FOUND, RowKind.WRITTEN_OFF):
            reason = (row.description or "not stated").lower()
            ledger.steps.append(StockCount(row.number, invoice, row.code, row.quantity, reason, row.at))
    if goods:
        charges = [row for row, kind in zip(rows, kinds, strict=True) if kind is RowKind.CHARGE]
        for start in range(0, len(goods), ORDER_LINES_MAX):
            part = goods[start : start + ORDER_LINES_MAX]
            name = f"{invoice}-{start // ORDER_LINES_MAX + 1}" if start else invoice
            sale = _sale(name, part, () if start else charges)
            _remember(ledger, sale)
            ledger.steps.append(sale)
        ledger.invoices[InvoiceKind.ORDER] += 1
    elif RowKind.CHARGE_ALONE in kinds:
        ledger.invoices[InvoiceKind.CHARGES_ALONE] += 1
    elif RowKind.UNEXPLAINED in kinds:
        ledger.invoices[InvoiceKind.UNEXPLAINED] += 1
    else:
        ledger.invoices[InvoiceKind.STOCK_COUNT] += 1


def _kind(row: Row, is_sale: bool) -> RowKind:
    """Kind of a line on an invoice that is neither a C nor an A invoice."""
    if row.is_charge:
        return RowKind.CHARGE
    match row.price, row.quantity:
        case price, quantity if price == 0 and quantity < 0:
            return RowKind.WRITTEN_OFF
        case price, quantity if price == 0 and quantity > 0:
            return RowKind.GIFT if is_sale else RowKind.FOUND
        case price, quantity if price > 0 and quantity > 0:
            return RowKind.SALE
        case _:
            return RowKind.UNEXPLAINED


def _sale(invoice: str, goods: Sequence[Row], charges: Sequence[Row]) -> Sale:
    """An order in whole pence.

    A unit price with a fraction of a penny is cut to the penny; what the cut takes from the invoice's total
    comes back as a charge `rounding`, so that the total is the invoice's, rounded once, half to even.
    """
    lines = tuple(
        SaleLine(number, row.code, row.quantity, _pence_cut(row.price), row.description)
        for number, row in enumerate(goods, start=1)
    )
    extra = [SaleCharge(row.code, _pence(row.quantity * row.price)) for row in charges]
    exact = _pence(sum((row.quantity * row.price for row in goods), Decimal(0)))
    rounding = exact - sum(line.quantity * line.unit_price_minor for line in lines)
    if rounding:
        extra.append(SaleCharge("rounding", rounding))
    first = goods[0]
    return Sale(invoice, first.at, first.customer, first.country, lines, tuple(extra))


def _pence(pounds: Decimal) -> int:
    return int(pounds.quantize(PENNY, ROUND_HALF_EVEN) * 100)


def _pence_cut(pounds: Decimal) -> int:
    return int(pounds.quantize(PENNY, ROUND_DOWN) * 100)


def _remember(ledger: _Ledger, sale: Sale) -> None:
    ledger.order_units[sale.invoice] = sum(line.quantity for line in sale.lines)
    for line in sale.lines:
        ledger.left[sale.invoice, line.line] = line.quantity
        if sale.customer is not None:
            ledger.sold[sale.customer, line.sku].append((sale.invoice, line.line))


def _take_back(ledger: _Ledger, invoice: str, rows: Sequence[Row]) -> None:
    """Find each taken-back unit on the customer's earlier invoices, the latest first."""
    found: dict[str, Counter[tuple[int, str]]] = {}
    kinds: Counter[RowKind] = Counter()
    for row in rows:
        if row.is_charge:
            kinds[RowKind.CREDIT] += 1
        elif row.quantity >= 0:
            kinds[RowKind.UNEXPLAINED] += 1
        else:
            kinds[_match(ledger, row, found)] += 1
    ledger.rows.update(kinds)
    for of_invoice, lines in found.items():
        whole = lines.total() == ledger.order_units[of_invoice]
        units = tuple((line, sku, quantity) for (line, sku), quantity in sorted(lines.items()))
        ledger.steps.append(TakeBack(invoice, of_invoice, units, whole, rows[0].at))
    if found:
        ledger.invoices[InvoiceKind.TAKE_BACK] += 1
    elif kinds[RowKind.UNMATCHED]:
        ledger.invoices[InvoiceKind.UNMATCHED] += 1
    else:
        unexplained = kinds[RowKind.UNEXPLAINED] > 0
        ledger.invoices[InvoiceKind.UNEXPLAINED if unexplained else InvoiceKind.CREDIT] += 1


def _match(ledger: _Ledger, row: Row, found: dict[str, Counter[tuple[int, str]]]) -> RowKind:
    """Take the row's units from what is left of the customer's earlier lines of that SKU."""
    wanted = -row.quantity
    for of_invoice, line in reversed(ledger.sold.get((row.customer or "", row.code), ())):
        units = min(wanted, ledger.left[of_invoice, line])
        if units:
            ledger.left[of_invoice, line] -= units
            found.setdefault(of_invoice, Counter())[line, row.code] += units
            wanted -= units
    ledger.units_unmatched += wanted
    if wanted == 0:
        return RowKind.TAKEN_BACK
    return RowKind.UNMATCHED if wanted == -row.quantity else RowKind.TAKEN_BACK_IN_PART
