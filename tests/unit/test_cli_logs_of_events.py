"""Events as lines and objects, the partitions that can hold them, and one tenant's part of the proof."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from uuid import UUID

from cli import events, prove
from cli.watching import Seen, Wanted, places
from libs.events.ids import partition_key
from libs.runtime.kafka import Lanes
from libs.runtime.settings import STAGES, Settings
from libs.runtime.wire import Context
from services.inventory.proof import prove as walk
from tests.unit.test_inventory_proof import GOOD

ID = UUID("3d3a6f0e-5d0b-5c59-9a52-0b6b0b7a1d10")


def seen(type_: str, stream: str, actor: str = "ada") -> Seen:
    at = datetime(2026, 3, 2, 9, 0, 1, 234567, UTC)
    stage = type_.split(".")[1]
    found = Context(ID, "s", type_, 1, "acme", stream, at, actor, "", ID, ID, 2, 7, "")
    return Seen(stage, f"oms.{stage}.events", 2, 6, found)


def test_an_event_is_one_line_that_fits_a_terminal() -> None:
    one = seen("oms.fulfillment.fulfillment_released", str(ID), "warehouse-9")
    line = events.as_line(one, narrow=True)
    assert line == "03-02 09:00:01.234 fulfillment   fulfillment_released    3d3a6f0e… warehouse-9"
    assert len(line) <= 80
    assert str(ID) in events.as_line(one, narrow=False)


def test_what_somebody_wrote_stays_on_its_line() -> None:
    line = events.as_line(seen("oms.inventory.stock_received", "sku/A", "x\n\x1b[2J"), narrow=False)
    assert line.endswith("x��[2J")


def test_an_object_names_the_place_in_log_and_topic_and_no_payload() -> None:
    told = events.as_object(seen("oms.intake.order_closed", "o1"))
    assert (told["lane"], told["sequence"], told["topic"], told["offset"]) == (2, 7, "oms.intake.events", 6)
    assert "data" not in told
    ids = (told["id"], told["causation_id"], told["correlation_id"])
    assert ids == (str(ID),) * 3, "text, whichever kind of UUID was read: JSON takes one of them alone"


def test_only_partitions_that_can_hold_it_are_read() -> None:
    config = Settings(partitions=12)
    assert len(places(config, Wanted())) == 12 * len(STAGES)
    assert {place.topic for place in places(config, Wanted(stage="routing"))} == {"oms.routing.events"}
    lane = Lanes(12)(partition_key("acme", "o1"))
    assert {place.partition for place in places(config, Wanted(tenant="acme", stream="o1"))} == {lane}
    assert len(places(config, Wanted(stream="o1"))) == 12 * len(STAGES), "each tenant's o1 has its own lane"


def test_another_tenants_rows_keep_their_place_and_move_nothing() -> None:
    rows = [prove.ProofRow(**asdict(row)) for row in GOOD]
    alone = walk(rows)
    lanes = {row.lane for row in rows}
    assert alone.holds
    others = [replace(row, tenant="other") for row in rows]
    mixed = [
        replace(row, seq=2 * row.seq - turn)
        for mine, other in zip(rows, map(prove._place_of, others), strict=True)
        for row, turn in ((mine, 1), (other, 0))
    ]
    both = walk(mixed)
    assert both.holds
    assert (both.movements, both.skus, both.open_units) == (alone.movements, alone.skus, alone.open_units)
    assert both.held_up_to == {lane: 2 * alone.held_up_to[lane] for lane in lanes}
    without_one = [row for row in mixed if row is not mixed[1]]
    assert not walk(without_one).holds, "a row of another tenant that is missing is a gap all the same"
