"""Ids are for ever: an order that comes again in years must meet the one that is stored."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.ids import event_id, order_id, ring_id, timer_id
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


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
RINGS = st.tuples(
    st.sampled_from(("acme/o-1", "acme/sku/A")),
    st.sampled_from(("claims", "free")),
    st.sampled_from((NOON, NOON + timedelta(microseconds=1))),
    st.sampled_from(("intake", "inventory")),
    st.integers(0, 12),
    st.integers(1, 200),
)


def ring(key: str, name: str, due_at: datetime, stage: str, lane: int, sequence: int) -> UUID:
    return ring_id(timer_id(key, name, due_at), stage, lane, sequence)


def test_a_rings_id_is_the_uuid_of_its_timer_stage_and_place() -> None:
    timer = uuid5(
        UUID("3e9f6f0c-8f5a-5a43-9a57-3c6a1b7f5b11"), "acme/o-1\x1fclaims\x1f2026-03-02T12:00:00+00:00"
    )
    assert timer_id("acme/o-1", "claims", NOON) == timer
    assert ring("acme/o-1", "claims", NOON, "inventory", 3, 41) == uuid5(timer, "inventory/3/41")


@given(st.sets(RINGS, min_size=2))
def test_rings_share_no_id_and_so_do_their_answers(
    rings: set[tuple[str, str, datetime, str, int, int]],
) -> None:
    found = {ring(*one) for one in rings}
    assert len(found) == len(rings)
    assert len({event_id(id_, "inventory", index) for id_ in found for index in range(3)}) == 3 * len(rings)


def test_an_accepted_order_as_stored_reads_and_writes_the_same() -> None:
    stored = (
        b'{"status":"accepted","fingerprint":"cbd6","held":null,"released":[],'
        b'"lines":[{"line":1,"sku":"MUG-1","quantity":2}],"outcome":null}'
    )
    since = b',"care":{},"changes":null,"rules":null}'  # what came to be known later, with nothing in it
    adapter = STAGE.adapter("an order")
    assert adapter.dump_json(adapter.validate_json(stored)) == stored.removesuffix(b"}") + since
