"""Order files: every row becomes an order or a sentence with its line number; nothing is skipped unseen."""

import io
import json
import tracemalloc
from pathlib import Path

import pytest

from cli.loadfile import CSV_COLUMNS, ORDER_BYTES_MAX, Loaded, read_csv, read_json, read_ndjson, read_orders

HEAD = ",".join(CSV_COLUMNS)


def _json(text: str | bytes) -> list[Loaded]:
    return list(read_json(io.BytesIO(text if isinstance(text, bytes) else text.encode())))


def _ndjson(text: str | bytes) -> list[Loaded]:
    return list(read_ndjson(io.BytesIO(text if isinstance(text, bytes) else text.encode())))


def _csv(text: str | bytes) -> list[Loaded]:
    return list(read_csv(io.BytesIO(text if isinstance(text, bytes) else text.encode())))


def _row(external_id: str, **cells: str) -> str:
    known = {
        "channel": "web",
        "external_id": external_id,
        "placed_at": "2026-01-02T03:04:05Z",
        "currency": "EUR",
        "sku": "TEE-M",
        "quantity": "2",
        "unit_price_minor": "1250",
        "country": "DE",
        "address_line_1": '"Hauptstr. 5, Hinterhaus"',
        **cells,
    }
    return ",".join(known.get(name, "") for name in CSV_COLUMNS)


def test_json_array_gives_each_order_with_its_line() -> None:
    assert _json('[\n {"a": 1},\n\n {"b": "ü"}\n]\n') == [(2, {"a": 1}), (4, {"b": "ü"})]
    assert _json('{"a":\n 1}') == [(1, {"a": 1})]
    assert _json("[]") == []


def test_json_element_that_is_no_order_is_an_error_and_the_next_is_read() -> None:
    first, second, third = _json('[1,\n"x",\n{"a": 1}]')
    assert first == (1, "not an order: a JSON object is needed, not a number")
    assert second == (2, "not an order: a JSON object is needed, not a string")
    assert third == (3, {"a": 1})


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('[{"a": 1},\n{"b": }\n]', 2, "Expecting value"),
        ('[{"a": 1}\n{"b": 1}]', 2, "a comma or the end of the array is missing"),
        ('[{"a": 1},\n]', 2, "a comma before the end"),
        ('[{"a": 1}', 1, "a comma or the end of the array is missing"),
        ('[{"a": 1}]\nx', 2, "something follows"),
        ('[{"a": NaN}]', 1, "NaN is no JSON number"),
        ("", 1, "Expecting value"),
        ("hello", 1, "Expecting value"),
        ("[" * 100_000, 1, "recursion"),
    ],
)
def test_broken_json_is_told_with_its_line(text: str, line: int, what: str) -> None:
    number, found = _json(text)[-1]
    assert number == line
    assert isinstance(found, str)
    assert what in found


def test_ndjson_goes_on_after_a_bad_line() -> None:
    long = '{"a": "' + "x" * (2 * ORDER_BYTES_MAX) + '"}'
    bad = '{"a": \n'
    text = f'\ufeff{{"a": 1}}\n\n{bad}[1]\n{long}\n{{"b": 2}}'.encode() + b'\n{"c": "\xff"}\n{"d": 3}'
    found = _ndjson(text)
    assert [number for number, _ in found] == [1, 3, 4, 5, 6, 7, 8]
    assert [order for _, order in found if isinstance(order, dict)] == [{"a": 1}, {"b": 2}, {"d": 3}]
    errors = [order for _, order in found if isinstance(order, str)]
    assert errors == [
        "not JSON: Expecting value at column 7",
        "not an order: a JSON object is needed, not an array",
        "longer than 1,048,576 bytes; split the order",
        "not UTF-8 at byte 8",
    ]


def test_csv_rows_of_one_order_make_one_order() -> None:
    text = "\n".join(
        (
            HEAD,
            _row("1", total_minor="2999", customer_id="c7", email="a@mail.example"),
            _row("1", sku="CAP", quantity="1", description="Cap", unit_price_minor="0"),
            _row("1", sku="", quantity="", unit_price_minor="", charge_kind="POST", charge_minor="499"),
            _row("2"),
        )
    )
    first, second = _csv(text)
    assert first == (
        2,
        {
            "channel": "web",
            "external_id": "1",
            "placed_at": "2026-01-02T03:04:05Z",
            "currency": "EUR",
            "customer_id": "c7",
            "total_minor": 2999,
            "lines": [
                {"line": 1, "sku": "TEE-M", "quantity": 2, "unit_price_minor": 1250},
                {"line": 2, "sku": "CAP", "quantity": 1, "unit_price_minor": 0, "description": "Cap"},
            ],
            "charges": [{"kind": "POST", "amount_minor": 499}],
            "ship_to": {
                "country": "DE",
                "email": "a@mail.example",
                "address_lines": ["Hauptstr. 5, Hinterhaus"],
            },
        },
    )
    assert second[0] == 5


def test_csv_error_names_the_row_and_the_next_order_is_read() -> None:
    rows = [
        HEAD,
        _row("1"),
        _row("1", quantity="2.5"),
        _row("1"),
        _row("2", sku=""),
        _row("3"),
        "x,y",
        _row("4"),
    ]
    found = _csv("\r\n".join(rows))
    assert found[0] == (3, "quantity is '2.5'; it must be a whole number")
    assert found[1] == (5, "sku is empty (a charge has charge_kind and charge_minor instead)")
    assert isinstance(found[2][1], dict)
    assert found[3] == (7, "another number of columns than in the header")
    assert isinstance(found[4][1], dict)
    assert len(found) == 5


@pytest.mark.parametrize("number", ["", "1e3", "٣", "1_000", "9" * 21])
def test_csv_takes_plain_whole_numbers_only(number: str) -> None:
    ((line, found),) = _csv(f"{HEAD}\n{_row('1', quantity=number)}")
    assert line == 2
    assert "it must be a whole number" in str(found)


def test_csv_header_is_checked_as_a_whole() -> None:
    assert _csv("a,b\n1,2")[0][0] == 1
    assert "lacks channel, external_id" in str(_csv("a,b\n1,2")[0][1])
    assert "unknown columns: quantitty" in str(_csv(f"{HEAD},quantitty\n")[0][1])
    assert "twice: sku" in str(_csv(f"{HEAD},sku\n")[0][1])
    assert "lacks" in str(_csv("")[0][1])


def test_csv_that_is_not_utf8_or_too_long_is_told() -> None:
    latin = f"{HEAD}\n{_row('1', name='M')}\n".encode().replace(b",M,", b",M\xfcller,")
    assert _csv(latin) == [(2, "not UTF-8")]
    wide = [_row("1", description="d" * 100_000) for _ in range(12)]
    ((line, found),) = _csv("\n".join((HEAD, *wide)))
    assert line == 12
    assert "longer than" in str(found)


def test_the_suffix_tells_the_format(tmp_path: Path) -> None:
    file = tmp_path / "orders.JSONL"
    file.write_text('{"a": 1}\n')
    assert list(read_orders(file)) == [(1, {"a": 1})]
    with pytest.raises(ValueError, match=r"must end in \.json"):
        list(read_orders(tmp_path / "orders.xlsx"))


def test_memory_is_bounded_by_an_order_not_by_the_file(tmp_path: Path) -> None:
    order = {"channel": "web", "lines": [{"sku": "x" * 50, "quantity": 1}] * 20}
    file = tmp_path / "orders.json"
    with file.open("w") as out:
        out.write("[" + ",\n".join([json.dumps(order)] * 3_000) + "]")
    assert file.stat().st_size > 4_500_000
    tracemalloc.start()
    try:
        assert sum(1 for _, found in read_orders(file) if isinstance(found, dict)) == 3_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
