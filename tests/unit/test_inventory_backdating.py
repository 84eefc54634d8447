"""Facts that are told late: what is refused, what an event then says, what the tables are given."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from libs.events.contract import Command, Event
from libs.events.envelope import Envelope
from libs.events.inventory import StockAdjusted, StockPegged, StockReceived
from libs.events.refusal import CommandRefused
from services.inventory import domain, ledger
from services.inventory.backdating import dated
from services.inventory.stock import OrderClaim, SkuPart
from tests.spec import NOON
from tests.unit.inventory_trade import adjust, receive

ID = UUID(int=7)
decide = dated(domain.decide, lambda: 30)
WAITS = SkuPart(position=3, wanted=2, claims={"o1": OrderClaim(2, 0, NOON.isoformat())})


def told(command: Command, effective_at: datetime | None, part: SkuPart | None = None) -> list[Event]:
    body = command.model_copy(update={"effective_at": effective_at})
    heard = Envelope(ID, "acme", command.stream, body, NOON, "clerk", "", ID, ID, "edge")
    state = domain.compose(command.stream, {command.stream: part or domain.empty(command.stream)})
    return decide(state, heard, NOON)


@pytest.mark.parametrize("command", [receive("A", 4), adjust("A", 4)])
@pytest.mark.parametrize(
    ("effective_at", "code"),
    [
        (NOON + timedelta(microseconds=1), "effective_in_future"),
        (NOON - timedelta(days=30, microseconds=1), "effective_too_long_ago"),
    ],
)
def test_a_time_that_cannot_be_is_refused(command: Command, effective_at: datetime, code: str) -> None:
    (refused,) = told(command, effective_at)
    assert isinstance(refused, CommandRefused)
    assert (refused.code, refused.command_id) == (code, ID)


@pytest.mark.parametrize("effective_at", [NOON, NOON - timedelta(days=30), None])
def test_a_time_that_can_be_stands_on_the_event(effective_at: datetime | None) -> None:
    (received,) = told(receive("A", 4), effective_at)
    (adjusted,) = told(adjust("A", 4), effective_at)
    assert isinstance(received, StockReceived)
    assert isinstance(adjusted, StockAdjusted)
    assert (received.effective_at, adjusted.effective_at) == (effective_at, effective_at)


def test_units_that_came_yesterday_are_promised_today() -> None:
    """The receipt was true then; who waited was served now."""
    yesterday = NOON - timedelta(days=1)
    received, pegged = told(receive("A", 4), yesterday, WAITS)
    assert isinstance(pegged, StockPegged)
    assert [rows(received), rows(pegged)] == [
        [("ledger", "A", 4), ("ledger_stated", "A", 4, yesterday)],
        [("ledger", "A", 5)],
    ]


def rows(event: Event) -> list[tuple[object, ...]]:
    """Table, SKU and position of each row; of those that state a time, that too."""
    out = Envelope(ID, "acme", event.stream, event, NOON, "clerk", "", ID, ID, "log", 1, 1)
    width = {"ledger": 3, "ledger_stated": 4}
    return [(table, *values[1 : width[table]]) for table, values in ledger.ledger_rows(out)]
