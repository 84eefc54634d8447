"""Records as the projector reads them: all that a read model shows, and a reason for what is no event."""

from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import orjson
import pytest

from libs.events.catalogue import BY_TYPE, decode, encode
from libs.events.contract import Event, Value
from libs.events.envelope import Envelope
from libs.events.ids import partition_key
from libs.events.inventory import StockReserved
from libs.runtime import wire
from libs.runtime.wire import Record
from services.console.projection import fold
from services.console.records import UnreadableEvent, read
from tests.console_lives import LIVES
from tests.console_parts import envelopes


def record(envelope: Envelope[Event]) -> Record:
    key = partition_key(envelope.tenant, envelope.stream).encode()
    return Record("oms.stage.events", envelope.lane, 0, key, encode(envelope.body), wire.headers(envelope))


@pytest.mark.parametrize("life", LIVES)
def test_what_is_passed_over_shows_in_no_read_model(life: str) -> None:
    published = [e for stage, events in LIVES[life]("o-1").items() for e in envelopes(stage, events)]
    found = [event for event in map(read, map(record, published)) if not isinstance(event, UnreadableEvent)]
    assert len(found) == len(published)
    assert fold(found, {}) == fold(published, {})


def test_what_only_the_next_stage_needs_is_passed_over() -> None:
    [reserved] = [e for e in envelopes("inventory", LIVES["delivered"]("o-1")["inventory"]) if _is_promise(e)]
    found = read(record(reserved))
    assert isinstance(found, Envelope)
    assert isinstance(found.body, StockReserved)
    assert set(vars(found.body)) == {"order_id", "round", "lines", "later", "movements"}


def test_a_field_that_is_shown_is_validated_and_named() -> None:
    [reserved] = [e for e in envelopes("inventory", LIVES["delivered"]("o-1")["inventory"]) if _is_promise(e)]
    spoiled = orjson.loads(encode(reserved.body))
    spoiled["movements"][0]["quantity"] = "many"
    found = read(replace(record(reserved), value=orjson.dumps(spoiled)))
    assert isinstance(found, UnreadableEvent)
    assert (found.code, "movements.0.quantity" in found.reason) == ("malformed", True)
    assert "many" not in found.reason


def _is_promise(envelope: Envelope[Event]) -> bool:
    return isinstance(envelope.body, StockReserved)


PAYLOADS = [
    path
    for path in sorted((Path(__file__).parents[1] / "contract" / "golden").glob("*.json"))
    if issubclass(BY_TYPE[path.name.rpartition(".v")[0]], Event)
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda path: path.stem)
def test_parts_that_are_read_as_plain_records_say_what_the_contract_says(payload: Path) -> None:
    type_, version, _ = payload.stem.rsplit(".", 2)
    event = decode(type_, int(version[1:]), payload.read_bytes())
    assert isinstance(event, Event)
    found = read(record(envelopes("inventory", [event])[0]))
    assert isinstance(found, Envelope)
    said = vars(event)
    assert {name: _values(value) for name, value in vars(found.body).items()} == {
        name: _values(said[name]) for name in vars(found.body)
    }


def _values(value: object) -> object:
    """What it holds, its kind's constants included, whatever kind of record it is."""
    if isinstance(value, tuple):
        return tuple(map(_values, value))
    if isinstance(value, dict):
        return {key: _values(one) for key, one in value.items()}
    if isinstance(value, Value):
        names = [*type(value).model_fields, *sorted(type(value).__class_vars__)]
        return type(value).__name__, [_values(getattr(value, name)) for name in names]
    if is_dataclass(value):
        names = [one.name for one in fields(value)]
        names += sorted(name for name in vars(type(value)) if name[0] != "_" and name not in names)
        return type(value).__name__, [_values(getattr(value, name)) for name in names]
    return value
