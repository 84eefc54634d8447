"""What channels send: the sealed part holds all personal data, the terms none, and a mistake is named."""

import json
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st
from pydantic import ValidationError

from libs.events.catalogue import encode, problems
from libs.events.ids import order_id
from libs.events.intake import OrderAccepted, OrderHeld
from libs.events.order import Sealed
from libs.runtime.privacy import canonical
from services.intake import capture, domain
from services.intake.capture import OrderRequest, postcode_area
from tests.spec import TENANT, given

SEALED = Sealed(subject="c:17850", nonce="A" * 16, ciphertext="B" * 32)
SHIP_TO = {
    "name": "Ada Lovelace",
    "address_lines": ["12 St James's Square", "Flat 3"],
    "city": "Westminster",
    "postcode": "SW1Y 4JH",
    "country": "GB",
    "phone": "+44 20 7946 0123",
    "email": "ada@mail.example",
}
ORDER = {
    "channel": "web",
    "external_id": "536365",
    "placed_at": "2026-03-02T08:26:00+00:00",
    "currency": "GBP",
    "lines": [
        {"sku": "85123A", "quantity": 6, "unit_price_minor": 255, "description": "HANGING HEART"},
        {"line": 7, "sku": "71053", "quantity": 2, "unit_price_minor": 339},
    ],
    "charges": [{"kind": "postage", "amount_minor": 395}],
    "total_minor": 2603,
    "payment": "paid",
    "customer_id": "17850",
    "ship_to": SHIP_TO,
}


def order(**changes: Any) -> OrderRequest:
    return OrderRequest.model_validate(ORDER | changes)


def to(**changes: Any) -> OrderRequest:
    return order(ship_to=SHIP_TO | changes)


def test_an_order_is_taken_apart() -> None:
    id_, subject, personal, terms = capture.capture(TENANT, order())
    assert id_ == order_id(TENANT, "web", "536365")
    assert subject == "c:17850"
    assert personal == {name: value for name, value in SHIP_TO.items() if name != "country"}
    assert [(line.line, line.sku) for line in terms.lines] == [(1, "85123A"), (7, "71053")]
    assert terms.destination.model_dump(exclude_none=True) == {"country": "GB", "postcode_area": "SW1Y"}
    assert terms.contact is None


def test_a_guest_is_his_order() -> None:
    id_, subject, _, terms = capture.capture(TENANT, order(customer_id=None))
    assert subject == f"o:{id_}"
    assert terms.customer_id is None


def test_what_travels_shows_no_personal_data() -> None:
    found = capture.capture(TENANT, to(latitude=51.5072911, longitude=-0.1339232))
    payload = encode(capture.command(found, SEALED)).decode()
    secrets = [*SHIP_TO.values(), *SHIP_TO["address_lines"], "4JH", "51.507", "0.1339"]
    for secret in secrets:
        if isinstance(secret, str) and secret != "GB":
            assert secret not in payload
    assert json.loads(payload)["destination"] == {
        "country": "GB",
        "postcode_area": "SW1Y",
        "latitude": 51.5,
        "longitude": -0.1,
    }


def test_a_captured_order_is_accepted_by_intake() -> None:
    command = capture.command(capture.capture(TENANT, order()), SEALED)
    given(domain).when(command).then_one(OrderAccepted, contact=SEALED, total_minor=2603)


def test_an_unknown_country_is_captured_and_held() -> None:
    command = capture.command(capture.capture(TENANT, to(country="ZZ", postcode=None)), SEALED)
    given(domain).when(command).then_types(OrderHeld)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"lines": []}, "lines"),
        ({"lines": [{"sku": "A", "quantity": 0, "unit_price_minor": 1}]}, "lines.0.quantity"),
        ({"lines": [{"sku": "A", "quantity": -1, "unit_price_minor": 1}]}, "lines.0.quantity"),
        ({"lines": [{"sku": "A", "quantity": 2**63, "unit_price_minor": 1}]}, "lines.0.quantity"),
        ({"lines": [{"sku": "A", "quantity": 1.5, "unit_price_minor": 1}]}, "lines.0.quantity"),
        ({"lines": [{"sku": "A", "quantity": "1", "unit_price_minor": 1}]}, "lines.0.quantity"),
        ({"lines": [{"sku": "A\x00", "quantity": 1, "unit_price_minor": 1}]}, "lines.0.sku"),
        ({"lines": [{"sku": "A", "quantity": 1, "unit_price_minor": 1}] * 1001}, "lines"),
        ({"placed_at": "2026-03-02T08:26:00"}, "placed_at"),
        ({"currency": "gbp"}, "currency"),
        ({"external_id": "a\nb"}, "external_id"),
        ({"payment": "maybe"}, "payment"),
        ({"gift": True}, "gift"),
        ({"customer_id": "ada@mail.example"}, "customer_id"),
        ({"ship_to": SHIP_TO | {"name": ""}}, "ship_to.name"),
        ({"ship_to": SHIP_TO | {"name": "Ada\x00"}}, "ship_to.name"),
        ({"ship_to": SHIP_TO | {"address_lines": []}}, "ship_to.address_lines"),
        ({"ship_to": SHIP_TO | {"address_lines": ["x" * 129]}}, "ship_to.address_lines.0"),
        ({"ship_to": SHIP_TO | {"country": "United Kingdom"}}, "ship_to.country"),
        ({"ship_to": SHIP_TO | {"email": "ada at mail"}}, "ship_to.email"),
        ({"ship_to": SHIP_TO | {"phone": "ask Ada"}}, "ship_to.phone"),
        ({"ship_to": SHIP_TO | {"latitude": float("nan")}}, "ship_to.latitude"),
        ({"ship_to": SHIP_TO | {"street": "x"}}, "ship_to.street"),
    ],
)
def test_a_mistake_is_named_by_its_field_and_not_quoted(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as caught:
        order(**changes)
    [problem] = problems(caught.value)
    assert problem.where == where
    assert "ada" not in problem.what.lower()


def test_an_order_of_500_lines_is_captured() -> None:
    lines = [{"sku": f"S{number}", "quantity": 1, "unit_price_minor": 1} for number in range(500)]
    terms = capture.capture(TENANT, order(lines=lines)).terms
    assert [line.line for line in terms.lines] == list(range(1, 501))


@pytest.mark.parametrize(
    ("country", "postcode", "area"),
    [
        ("GB", "SW1Y 4JH", "SW1Y"),
        ("GB", "sw1y4jh", "SW1Y"),
        ("GB", "M1 1AA", "M1"),
        ("GB", "SW1Y", "SW1Y"),
        ("US", "62701-1234", "627"),
        ("DE", "10117", "101"),
        ("CH", "8001", "80"),
        ("NL", "1012 AB", "101"),
        ("IE", "D02 X285", "D02"),
        ("JP", "〒100-0001", "100"),
        ("FR", "—", None),
        ("FR", None, None),
    ],
)
def test_a_postcode_area_is_coarse(country: str, postcode: str | None, area: str | None) -> None:
    assert postcode_area(country, postcode) == area


@forall(st.sampled_from(["GB", "US", "CH", "ZZ"]), st.text(min_size=1, max_size=16))
def test_any_postcode_yields_an_area_that_the_contract_takes(country: str, postcode: str) -> None:
    area = postcode_area(country, postcode)
    assert area is None or 1 <= len(area) <= 4
    assert area is None or area.isascii()


@forall(st.binary(min_size=1, max_size=200), st.sampled_from(list(SHIP_TO)))
def test_hostile_text_is_captured_or_refused_and_never_breaks(raw: bytes, field: str) -> None:
    text = raw.decode("utf-8", errors="surrogateescape")
    try:
        request = to(**{field: [text] if field == "address_lines" else text})
    except ValidationError as error:
        refused = problems(error)
    else:
        refused = ()
        found = capture.capture(TENANT, request)
        encode(capture.command(found, SEALED))
        canonical(found.personal)  # what the keyring would seal
    assert all(problem.where.startswith("ship_to.") for problem in refused)
