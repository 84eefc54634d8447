"""Golden payloads: what was written stays readable, means the same, and is what the schemas say."""

from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from cli.contracts import FORMS, ROOT, Tree
from libs.events.catalogue import BY_TYPE, Malformed, NewerVersion, UnknownType, decode, encode
from libs.events.contract import Command, Value
from libs.events.fulfillment import ShipmentDispatched, ShippedPackage
from libs.events.release import json_schema, schema_id
from tests.contract.examples import EXAMPLES

TREE = Tree(ROOT)
GOLDEN = sorted(TREE.golden.glob("*.json"))
TYPES = sorted(BY_TYPE)


GAINED: Mapping[str, frozenset[str]] = {
    f"oms.intake.{name}": frozenset({"promise_id", "order_type", "service"})
    for name in ("submit_order", "order_accepted", "order_held")
} | {
    "oms.inventory.stock_reserved": frozenset(
        {"channel", "terms", "policy", "later", "bundles", "service", "served", "queue", "places"}
    ),
    "oms.inventory.stock_backordered": frozenset(
        {"channel", "terms", "policy", "supplied", "service", "served", "queue", "places"}
    ),
    "oms.inventory.node_switched": frozenset({"ships_to"}),
    "oms.inventory.reach_changed": frozenset({"bound", "serves"}),
    "oms.inventory.backorders_called": frozenset({"asks"}),
    "oms.inventory.stock_pegged": frozenset({"terms_version", "cause", "supplied", "queue"}),
    "oms.inventory.reservation_broken": frozenset({"cause", "supplied", "queue"}),
    "oms.intake.held_order_cancelled": frozenset({"channel", "external_id", "placed_at", "contact"}),
    "oms.inventory.stock_allocated": frozenset({"later", "bundles", "picks", "service", "loads", "frees"}),
    "oms.inventory.allocation_failed": frozenset({"later", "bundles", "service"}),
    "oms.inventory.stock_released": frozenset({"waited", "loads", "queue"}),
    "oms.inventory.define_promise_terms": frozenset({"reorder", "backorders"}),
    "oms.inventory.hold_stock": frozenset({"order_type"}),
    "oms.inventory.promise_held": frozenset(
        {"policy", "policy.baskets_wait", "served", "short", "usable_at", "destination", "service"}
    ),
    "oms.inventory.bundles_unpacked": frozenset({"policy.baskets_wait"}),
    "oms.inventory.substitutes_sought": frozenset({"policy.baskets_wait"}),
    "oms.inventory.promise_expired": frozenset({"waited", "queue"}),
    "oms.inventory.promise_released": frozenset({"waited", "queue"}),
    "oms.inventory.promise_confirmed": frozenset({"waited", "places", "queue"}),
    "oms.inventory.holds_broken": frozenset({"supplied", "queue"}),
    "oms.inventory.supply_pegged": frozenset({"baskets", "baskets_lost", "baskets_done"}),
    "oms.inventory.promise_terms_defined": frozenset(
        {"reorder", "backorders", "queue", "shelf_days_of_channels"}
    ),
    "oms.inventory.availability": frozenset({"backorders", "bundle_version"}),
    "oms.routing.order_unroutable": frozenset({"later", "bundles", "destination"}),
    "oms.fulfillment.fulfillment_released": frozenset({"awaiting", "bundles", "picks", "service"}),
    "oms.fulfillment.fulfillment_cancelled": frozenset({"awaiting", "bundles"}),
    **{
        f"oms.{name}": frozenset({"bundles", "serials"})
        for name in ("fulfillment.shipment_delivered", "returns.return_window_opened")
    },
    "oms.fulfillment.fulfillment_completed": frozenset({"bundles"}),
    "oms.fulfillment.shipment_dispatched": frozenset({"serials", "service", "charge"}),
    "oms.routing.define_node": frozenset({"operations"}),
    "oms.routing.node_defined": frozenset({"operations"}),
    "oms.routing.order_routed": frozenset({"promised", "service", "capacity", "reviewed"}),
    "oms.inventory.receive_stock": frozenset({"effective_at", "unit", "lot", "expires_on", "serials"}),
    "oms.inventory.adjust_stock": frozenset({"effective_at", "unit", "lot", "serials"}),
    "oms.inventory.stock_received": frozenset({"effective_at", "stated"}),
    "oms.inventory.stock_adjusted": frozenset({"effective_at", "stated"}),
    "oms.inventory.expect_supply": frozenset({"unit"}),
    "oms.inventory.report_stock": frozenset({"unit"}),
    "oms.inventory.record_count": frozenset({"unit", "lot", "serials", "lots"}),
    "oms.inventory.receive_supply": frozenset({"unit", "lot", "expires_on", "serials", "damaged_serials"}),
    "oms.inventory.move_stock": frozenset({"lot", "serials"}),
    "oms.inventory.dispatch_transfer": frozenset({"serials", "lots"}),
    "oms.inventory.receive_transfer": frozenset({"serials", "damaged_serials", "lots", "damaged_lots"}),
    "oms.inventory.transfer_dispatched": frozenset({"lots"}),
    "oms.inventory.feed_stale": frozenset({"retired"}),
    "oms.inventory.transfer_receipt_held": frozenset({"lots", "damaged_lots"}),
    "oms.inventory.close_transfer": frozenset({"serials"}),
    "oms.inventory.propose_adjustment": frozenset({"position"}),
    "oms.inventory.adjustment_proposed": frozenset({"up_to"}),
    "oms.inventory.stock_issued": frozenset({"unnamed"}),
    "oms.inventory.stock_returned": frozenset({"unnamed"}),
    "oms.fulfillment.dispatch_shipment": frozenset({"serials", "charge"}),
    "oms.fulfillment.pick_confirmed": frozenset({"serials"}),
    **{f"oms.inventory.{name}": frozenset({"stated"}) for name in ("supply_expected", "supply_received")},
    "oms.inventory.stock_reported": frozenset({"stated", "rows"}),
    "oms.inventory.amend_feed": frozenset({"mapped"}),
    "oms.inventory.count_recorded": frozenset({"stated", "lots"}),
    "oms.notifications.message_skipped": frozenset({"facts"}),
}
"""Optional fields that a type got after its golden payloads were released; those are as they were."""


def parts_of(path: Path) -> tuple[str, int, str]:
    """(type, version, form) of a golden file."""
    key, form = path.stem.rsplit(".", 1)
    type_, version = key.rsplit(".v", 1)
    return type_, int(version), form


def validator(key: str) -> Draft202012Validator:
    schema = orjson.loads(TREE.schema(key).read_bytes())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


def test_each_type_and_version_has_both_forms() -> None:
    wanted = {
        (type_, version, form)
        for type_, contract in BY_TYPE.items()
        for version in range(1, contract.VERSION + 1)
        for form in FORMS
    }
    assert {parts_of(path) for path in GOLDEN} == wanted


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_payload_decodes_to_the_latest_and_encodes_stably(path: Path) -> None:
    type_, version, form = parts_of(path)
    contract = decode(type_, version, path.read_bytes())
    assert type(contract) is BY_TYPE[type_]
    assert decode(type_, contract.VERSION, encode(contract)) == contract
    if version == contract.VERSION:
        assert encode(contract) == path.read_bytes()
        assert contract == EXAMPLES[type_][form]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_payload_is_what_its_schema_says(path: Path) -> None:
    type_, version, _ = parts_of(path)
    payload = orjson.loads(path.read_bytes())
    schema = validator(f"{type_}.v{version}")
    schema.validate(payload)
    for first in schema.schema.get("required", [])[:1]:  # one that replaces a whole may be empty
        with pytest.raises(ValidationError, match=f"'{first}' is a required property"):
            schema.validate({name: value for name, value in payload.items() if name != first})


@pytest.mark.parametrize("type_", TYPES)
def test_the_schema_names_itself_as_the_header_does(type_: str) -> None:
    contract = BY_TYPE[type_]
    assert json_schema(contract)["$id"] == schema_id(type_, contract.VERSION)
    assert schema_id(type_, contract.VERSION) == f"urn:orderlog:schema:{type_}.v{contract.VERSION}"


@pytest.mark.parametrize("type_", TYPES)
def test_a_full_example_sets_every_field_and_a_minimal_one_only_what_it_must(type_: str) -> None:
    full, minimal = EXAMPLES[type_]["full"], EXAMPLES[type_]["minimal"]
    gained = GAINED.get(type_, frozenset())
    own = {name for name in gained if "." not in name}  # others are of a part
    assert {name for name in type(full).model_fields if name in own} == own, "no such field"
    assert [name for name in unset(full, type_) if name.removeprefix(f"{type_}.") not in gained] == []
    required = {name for name, field in type(minimal).model_fields.items() if field.is_required()}
    assert minimal.model_fields_set == required


def unset(value: Value, where: str) -> list[str]:
    """Fields of the value that are none or empty, and of those parts that are alone in their field."""
    found = []
    for name in type(value).model_fields:
        part = getattr(value, name)
        if part is None or part in ((), ""):
            found.append(f"{where}.{name}")
        elif isinstance(part, Value):
            found += unset(part, f"{where}.{name}")
    return found


def test_version_1_of_a_dispatch_becomes_one_parcel() -> None:
    path = TREE.payload("oms.fulfillment.shipment_dispatched.v1", "full")
    dispatched = decode("oms.fulfillment.shipment_dispatched", 1, path.read_bytes())
    assert isinstance(dispatched, ShipmentDispatched)
    assert dispatched.packages == (
        ShippedPackage(package_id=dispatched.shipment_id, tracking_number="RM123456785GB"),
    )
    assert "tracking_number" not in orjson.loads(encode(dispatched))


def test_a_payload_of_another_version_than_it_says_is_malformed() -> None:
    old = TREE.payload("oms.fulfillment.shipment_dispatched.v1", "full").read_bytes()
    new = TREE.payload("oms.fulfillment.shipment_dispatched.v2", "full").read_bytes()
    with pytest.raises(Malformed, match="packages: Field required"):
        decode("oms.fulfillment.shipment_dispatched", 2, old)
    with pytest.raises(Malformed, match="does not have that version's shape"):
        decode("oms.fulfillment.shipment_dispatched", 1, new)


def test_an_unknown_type_a_newer_version_and_no_version_are_told_apart() -> None:
    with pytest.raises(UnknownType, match=r"oms\.intake\.order_vanished"):
        decode("oms.intake.order_vanished", 1, b"{}")
    with pytest.raises(NewerVersion, match="version 3 is newer than 2"):
        decode("oms.fulfillment.shipment_dispatched", 3, b"{}")
    with pytest.raises(Malformed, match="version 0 does not exist"):
        decode("oms.intake.order_closed", 0, b"{}")


@pytest.mark.parametrize("payload", [b"", b"{", b"null", b"[]", b'"text"', b"\x00", b"\xff", b"1e999"])
@pytest.mark.parametrize("version", [1, 2])
def test_bytes_that_are_no_payload_are_malformed(payload: bytes, version: int) -> None:
    with pytest.raises(Malformed):
        decode("oms.fulfillment.shipment_dispatched", version, payload)


@pytest.mark.parametrize("type_", TYPES)
def test_an_unknown_field_is_a_typo_in_a_command_and_no_matter_in_an_event(type_: str) -> None:
    contract = EXAMPLES[type_]["minimal"]
    payload = orjson.dumps(orjson.loads(encode(contract)) | {"quantitty": 1})
    if isinstance(contract, Command):
        assert json_schema(type(contract))["additionalProperties"] is False
        with pytest.raises(Malformed, match="quantitty"):
            decode(type_, contract.VERSION, payload)
    else:
        assert decode(type_, contract.VERSION, payload) == contract


def test_what_is_malformed_is_told_without_its_values() -> None:
    secret = orjson.loads(encode(EXAMPLES["oms.intake.submit_order"]["full"]))
    secret["contact"]["nonce"] = "Anna Lindqvist"
    secret["lines"][0]["quantity"] = 0
    with pytest.raises(Malformed, match=r"lines\.0\.quantity") as refusal:
        decode("oms.intake.submit_order", 1, orjson.dumps(secret))
    assert "Anna" not in str(refusal.value)
