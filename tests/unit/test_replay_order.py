"""In what order a lane is folded again: as it was decided, as far as its topics tell."""

from datetime import date
from uuid import UUID

import pytest

from libs.events.catalogue import encode
from libs.events.contract import Contract
from libs.events.dates import NodeDaysFull
from libs.events.envelope import Envelope
from libs.events.routing import NodeDefined
from libs.runtime import wire
from libs.runtime.replay_order import Causes, LaneOrder, LaneStand
from services.routing.app import STAGE
from tests.spec import NOON

TOPIC = "oms.inventory.events"
OWN = UUID(int=9 << 64)


def record(topic: str, offset: int, body: Contract, cause: UUID, source: str) -> wire.Record:
    id_ = OWN if source == "routing" else UUID(int=offset + 1 << 64)
    at = (NOON, "test", "", cause, cause, f"orderlog/{source}", 0, offset + 1)
    envelope = Envelope(id_, "acme", body.stream, body, *at)
    return wire.Record(topic, 0, offset, b"acme/nodes", encode(body), wire.headers(envelope))


@pytest.mark.parametrize("parked", ["", "replayed"])
def test_what_was_parked_and_replayed_comes_behind_what_its_key_had_heard_before(parked: str) -> None:
    """The first answers an own event, so it cannot come before that; the second, parked, seems to be free."""
    causes = Causes()
    causes.add(OWN, UUID(int=8 << 64))
    causes.seal()
    stand = LaneStand(1, {TOPIC: 2}, {(TOPIC, 1): parked} if parked else {})
    order = LaneOrder(STAGE, 0, stand, causes)
    node = NodeDefined(
        nodes_version=1, node="MAN", name="MAN", country="GB", latitude=53.5, longitude=-2.2, active=True
    )
    full, free = NodeDaysFull(node="MAN", full=(date(2026, 3, 2),)), NodeDaysFull(node="MAN", full=())
    order.offer(record(STAGE.topic, 0, node, UUID(int=8 << 64), "routing"))
    order.offer(record(TOPIC, 0, full, OWN, "inventory"))
    order.offer(record(TOPIC, 1, free, UUID(int=7 << 64), "inventory"))
    folded: list[Contract] = []
    while not order.done:
        if order.heard() is not None:
            heard, _ = order.take()
            assert heard.envelope is not None
            folded.append(heard.envelope.body)
        else:
            own = order.own()
            assert own is not None
            order.take_own(NOON)
            folded.append(own.envelope.body)
    assert folded == [node, full, free]
