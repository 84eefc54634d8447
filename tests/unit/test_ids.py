"""Ids are for ever: an order that comes again in years must meet the one that is stored."""

from uuid import UUID, uuid5

import pytest

from libs.events.ids import event_id, order_id
from services.intake.app import STAGE

ORDERS = UUID("6f1c2a0e-5d0b-5c59-9a52-0b6b0b7a1d10")


@pytest.mark.parametrize(
    ("tenant", "channel", "external_id"),
    [("acme", "web", "1001"), ("a-1", "Straßenverkauf", "№ 7/ü"), ("acme", "x" * 128, "y" * 128)],
)
def test_an_orders_id_is_the_uuid_of_tenant_channel_and_number(
    tenant: str, channel: str, external_id: str
) -> None:
    wanted = uuid5(ORDERS, f"{tenant}\x1f{channel}\x1f{external_id}")
    assert order_id(tenant, channel, external_id) == str(wanted)


def test_an_events_id_is_the_uuid_of_its_cause_stage_and_place() -> None:
    assert event_id(ORDERS, "intake", 3) == uuid5(ORDERS, "intake/3")


def test_an_accepted_order_as_stored_reads_and_writes_the_same() -> None:
    stored = (
        b'{"status":"accepted","fingerprint":"cbd6","held":null,"released":[],'
        b'"lines":[{"line":1,"sku":"MUG-1","quantity":2}],"outcome":null}'
    )
    adapter = STAGE.adapter("an order")
    assert adapter.dump_json(adapter.validate_json(stored)) == stored
