"""The demo reads its month honestly: nothing dropped unseen, counted twice, or changed in value."""

import csv
import lzma
from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from itertools import takewhile

import pytest

from cli.demo.invoices import (
    COUNTRIES,
    ORDER_LINES_MAX,
    InvoiceKind,
    Period,
    RowKind,
    Sale,
    StockCount,
    TakeBack,
    first_orders,
    read_invoices,
)
from cli.demo.people import order_request
from cli.demo.run import FILE, read_packaged

HEAD = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
CHARGES = ("POST", "DOT", "C2", "M", "D", "S", "B", "AMAZONFEE", "CRUK", "PADS", "BANK CHARGES")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    """The file as plain csv reads it: the independent recount."""
    with lzma.open(FILE, "rt", encoding="utf-8", newline="") as text:
        return list(takewhile(lambda row: row["InvoiceDate"] < "2011", csv.DictReader(text)))


@pytest.fixture(scope="module")
def month() -> Period:
    return read_packaged()


def _read(*lines: str) -> Period:
    return read_invoices([HEAD, *lines])


def _goods(row: dict[str, str]) -> bool:
    code = row["StockCode"].upper()
    return code not in CHARGES and not code.startswith("GIFT_0001")


def test_every_line_and_every_invoice_is_of_exactly_one_kind(
    month: Period, rows: list[dict[str, str]]
) -> None:
    assert len(rows) == month.rows.total() == 42_481
    assert len({row["InvoiceNo"] for row in rows}) == month.invoices.total() == 2_025
    assert month.rows[RowKind.UNEXPLAINED] == month.invoices[InvoiceKind.UNEXPLAINED] == 0


def test_kinds_agree_with_a_recount(month: Period, rows: list[dict[str, str]]) -> None:
    plain = [row for row in rows if row["InvoiceNo"][0] != "C"]
    goods = [row for row in plain if _goods(row)]
    priced = Counter(row["InvoiceNo"] for row in plain if Decimal(row["UnitPrice"]) > 0)
    zero = [row for row in goods if Decimal(row["UnitPrice"]) == 0]
    gifts = [
        row for row in zero if int(row["Quantity"]) > 0 and (row["CustomerID"] or priced[row["InvoiceNo"]])
    ]
    assert month.rows[RowKind.SALE] == sum(Decimal(row["UnitPrice"]) > 0 for row in goods)
    assert month.rows[RowKind.WRITTEN_OFF] == sum(int(row["Quantity"]) < 0 for row in zero)
    assert month.rows[RowKind.GIFT] == len(gifts)
    assert month.rows[RowKind.FOUND] == len(zero) - len(gifts) - month.rows[RowKind.WRITTEN_OFF]
    orders = {row["InvoiceNo"] for row in goods if Decimal(row["UnitPrice"]) > 0} | {
        row["InvoiceNo"] for row in gifts
    }
    assert {sale.invoice for sale in month.sales} == orders
    assert month.invoices[InvoiceKind.ORDER] == len(orders)
    taken = [row for row in rows if row["InvoiceNo"][0] == "C"]
    assert month.rows[RowKind.CREDIT] == sum(not _goods(row) for row in taken)
    kinds = (RowKind.TAKEN_BACK, RowKind.TAKEN_BACK_IN_PART, RowKind.UNMATCHED, RowKind.CREDIT)
    assert sum(month.rows[kind] for kind in kinds) == len(taken)


def test_no_penny_and_no_unit_is_lost(month: Period, rows: list[dict[str, str]]) -> None:
    orders = {sale.invoice for sale in month.sales}
    mine = [row for row in rows if row["InvoiceNo"] in orders]
    pounds = sum((Decimal(row["UnitPrice"]) * int(row["Quantity"]) for row in mine), Decimal(0))
    assert sum(sale.total_minor for sale in month.sales) == pounds * 100
    units = sum(int(row["Quantity"]) for row in mine if _goods(row))
    assert sum(line.quantity for sale in month.sales for line in sale.lines) == units
    counted = sum(step.delta for step in month.steps if isinstance(step, StockCount))
    zero = [row for row in rows if row["InvoiceNo"] not in orders and Decimal(row["UnitPrice"]) == 0]
    assert counted == sum(int(row["Quantity"]) for row in zero)
    back = sum(units for step in month.steps if isinstance(step, TakeBack) for _, _, units in step.lines)
    goods = [row for row in rows if row["InvoiceNo"][0] == "C" and _goods(row)]
    assert back + month.units_unmatched == -sum(int(row["Quantity"]) for row in goods)


def test_nothing_is_taken_back_that_was_not_sold_before(month: Period) -> None:
    left: dict[tuple[str, int, str], int] = defaultdict(int)
    for step in month.steps:
        if isinstance(step, Sale):
            for line in step.lines:
                left[step.invoice, line.line, line.sku] += line.quantity
        elif isinstance(step, TakeBack):
            for line_number, sku, quantity in step.lines:
                left[step.of_invoice, line_number, sku] -= quantity
                assert left[step.of_invoice, line_number, sku] >= 0, step
            assert len({line for line, _, _ in step.lines}) == len(step.lines)


def test_every_country_of_the_file_is_known(rows: list[dict[str, str]]) -> None:
    assert {row["Country"] for row in rows} <= COUNTRIES.keys()


def test_lines_keep_their_order_and_codes_that_differ_in_case_are_one() -> None:
    month = _read(
        "1,85123a,HEART ,6,2010-12-01 08:26:00,2.55,17850.0,EIRE",
        "1,POST,POSTAGE,1,2010-12-01 08:26:00,18.0,17850.0,EIRE",
        "1,85123A,,2,2010-12-01 08:26:00,2.55,17850.0,EIRE",
    )
    (sale,) = month.sales
    assert [(line.line, line.sku, line.quantity) for line in sale.lines] == [
        (1, "85123A", 6),
        (2, "85123A", 2),
    ]
    assert [(charge.kind, charge.amount_minor) for charge in sale.charges] == [("POST", 1800)]
    assert (sale.customer, sale.country, sale.total_minor) == ("17850", "IE", 8 * 255 + 1800)
    assert sale.lines[1].description is None


def test_a_fraction_of_a_penny_is_not_lost() -> None:
    (sale,) = _read("1,22000,CHEAP,1000,2010-12-01 08:26:00,0.001,17850.0,RSA").sales
    assert sale.lines[0].unit_price_minor == 0
    assert [(charge.kind, charge.amount_minor) for charge in sale.charges] == [("rounding", 100)]
    assert sale.total_minor == 100


def test_times_are_londons_and_what_comes_later_is_not_read() -> None:
    lines = (
        "1,22000,A,1,2011-03-26 12:00:00,1.0,10.0,United Kingdom",
        "2,22000,A,1,2011-03-28 12:00:00,1.0,10.0,United Kingdom",
        "3,22000,A,many,2011-03-29 12:00:00,1.0,10.0,United Kingdom",
    )
    with pytest.raises(ValueError, match="line 4"):
        _read(*lines)
    period = read_invoices([HEAD, *lines[:2], lines[0]], datetime(2011, 3, 28, tzinfo=UTC))
    assert [sale.placed_at for sale in period.sales] == [datetime(2011, 3, 26, 12, tzinfo=UTC)]
    summer = read_invoices([HEAD, lines[1]]).sales[0]
    assert summer.placed_at == datetime(2011, 3, 28, 11, tzinfo=UTC)


def test_an_invoice_longer_than_an_order_may_be_becomes_several() -> None:
    goods = [f"1,{n},A,1,2010-12-01 08:26:00,1.0,,EIRE" for n in range(ORDER_LINES_MAX + 2)]
    period = _read(*goods, "1,DOT,D,1,2010-12-01 08:26:00,5.0,,EIRE")
    assert [(sale.invoice, len(sale.lines), len(sale.charges)) for sale in period.sales] == [
        ("1", ORDER_LINES_MAX, 1),
        ("1-2", 2, 0),
    ]
    assert [line.line for line in period.sales[1].lines] == [1, 2]


def test_zero_price_lines_of_nobody_are_stock_counts() -> None:
    month = _read(
        "1,22000,,56,2010-12-01 11:52:00,0.0,,United Kingdom",
        "2,22000,Damaged,-10,2010-12-01 11:53:00,0.0,,United Kingdom",
        "3,22000,SAMPLE,1,2010-12-01 11:53:00,0.0,12345.0,United Kingdom",
    )
    counts = [step for step in month.steps if isinstance(step, StockCount)]
    assert [(count.delta, count.reason) for count in counts] == [(56, "not stated"), (-10, "damaged")]
    assert [sale.invoice for sale in month.sales] == ["3"]
    assert month.rows == {RowKind.FOUND: 1, RowKind.WRITTEN_OFF: 1, RowKind.GIFT: 1}


def test_an_invoice_of_charges_alone_is_no_order_and_bad_debt_is_nothing_of_ours() -> None:
    month = _read(
        "1,BANK CHARGES,Bank Charges,1,2010-12-02 10:00:00,15.0,,United Kingdom",
        "A2,B,Adjust bad debt,1,2010-12-02 10:00:00,-11062.06,,United Kingdom",
        "3,22000,ODD,-1,2010-12-02 10:00:00,2.0,,United Kingdom",
    )
    assert month.steps == ()
    assert month.rows == {RowKind.CHARGE_ALONE: 1, RowKind.BAD_DEBT: 1, RowKind.UNEXPLAINED: 1}
    assert month.invoices == {
        InvoiceKind.CHARGES_ALONE: 1,
        InvoiceKind.BAD_DEBT: 1,
        InvoiceKind.UNEXPLAINED: 1,
    }


def test_a_take_back_is_matched_by_customer_and_sku_to_the_latest_earlier_invoice() -> None:
    month = _read(
        "1,22000,A,5,2010-12-01 08:00:00,1.0,10.0,United Kingdom",
        "2,22000,A,2,2010-12-02 08:00:00,1.0,10.0,United Kingdom",
        "3,22000,A,9,2010-12-02 09:00:00,1.0,11.0,United Kingdom",
        "C4,22000,A,-3,2010-12-03 08:00:00,1.0,10.0,United Kingdom",
        "C5,22000,A,-9,2010-12-03 08:00:00,1.0,10.0,United Kingdom",
        "C6,22000,A,-1,2010-12-03 08:00:00,1.0,,United Kingdom",
        "C7,D,Discount,-1,2010-12-03 08:00:00,27.5,10.0,United Kingdom",
        "4,22000,A,9,2010-12-04 09:00:00,1.0,10.0,United Kingdom",
    )
    backs = [step for step in month.steps if isinstance(step, TakeBack)]
    assert [(b.invoice, b.of_invoice, b.lines, b.whole) for b in backs] == [
        ("C4", "2", ((1, "22000", 2),), True),
        ("C4", "1", ((1, "22000", 1),), False),
        ("C5", "1", ((1, "22000", 4),), False),
    ]
    assert month.units_unmatched == 5 + 1
    kinds = (RowKind.TAKEN_BACK, RowKind.TAKEN_BACK_IN_PART, RowKind.UNMATCHED, RowKind.CREDIT)
    assert [month.rows[kind] for kind in kinds] == [1, 1, 1, 1]


def test_a_line_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="line 2: not an invoice line"):
        _read("1,22000,A,many,2010-12-01 08:00:00,1.0,10.0,United Kingdom")
    with pytest.raises(ValueError, match="line 2: not an invoice line"):
        _read("1,22000,A,1")


def test_a_part_of_the_month_keeps_the_take_backs_of_its_orders(month: Period) -> None:
    steps = first_orders(month, 150)
    invoices = {step.invoice for step in steps if isinstance(step, Sale)}
    assert len(invoices) == 150
    backs = [step for step in steps if isinstance(step, TakeBack)]
    assert backs == [
        step for step in month.steps if isinstance(step, TakeBack) and step.of_invoice in invoices
    ]
    assert backs


def test_people_are_invented_and_always_the_same(month: Period) -> None:
    by_customer: dict[str, set[str]] = defaultdict(set)
    for sale in month.sales:
        request = order_request(sale, "paid")
        person = request["ship_to"]
        assert isinstance(person, dict)
        assert str(person["email"]).endswith("@mail.example")
        assert sale.country == person["country"]
        if sale.customer:
            by_customer[f"{sale.customer} {sale.country}"].add(str(person))
    assert {len(people) for people in by_customer.values()} == {1}
