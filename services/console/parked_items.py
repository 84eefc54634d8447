"""Parked keys of the stages: what waits under each, since when and why; and what people did about it.

Pure. A stage tells of each of its parked records, those of a key in order, and with each how many wait under
the key from then on: a key is an item of the queue while there are any. It leaves by that alone, or by hand.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple

from libs.events.envelope import Envelope
from libs.events.parked import NOBODY, PARKED_EVENTS, RecordParked
from libs.events.parked_exceptions import PARKED_EXCEPTION_EVENTS
from services.console.origin import stage_of
from services.console.stock_care import StockCare, care_told
from services.console.storable import storable

PARKED: Final = "parked"
"""The kind of item. Only who may look at Platform sees them."""
PARKED_ITEM_EVENTS = frozenset(event.TYPE for event in PARKED_EVENTS)
PARKED_CARE_EVENTS = frozenset(event.TYPE for event in PARKED_EXCEPTION_EVENTS)
_SAID = ("opened_at", "parked_at", "code", "problem")
PARKED_KEYS_JOINED = (
    ", ".join(f"{name} = coalesce(excluded.{name}, known.{name})" for name in _SAID)
    + ", waiting = excluded.waiting"
)
"""What `with_more` does, to a row that is there."""
SINCE = "coalesce(p.opened_at, p.parked_at)"
PARKED_SOURCE = f"""
        SELECT concat_ws('/', 'parked', p.stage, p.lane, p.parked_key), NULL, NULL, '{PARKED}', p.stage,
            '{PARKED}/' || p.stage, {SINCE}, '', p.waiting, p.code || ': ' || p.problem,
            nullif(care.assignee, ''), care.snoozed_until_at, coalesce(care.snoozed_why, ''),
            rule.place, rule.owner, {SINCE} + rule.sla_minutes * interval '1 min'
        FROM parked_keys p JOIN {{rules}} rule ON rule.kind = '{PARKED}' AND rule.which IS NULL
        LEFT JOIN parked_care care ON care.tenant = $1 AND care.stage = p.stage
            AND care.parked_key = p.parked_key AND care.since_at = {SINCE}
        WHERE p.tenant IN ($1, '{NOBODY}') AND p.waiting > 0 AND p.parked_at IS NOT NULL
            AND care.resolved_at IS NULL
            AND {SINCE} + rule.after_minutes * interval '1 min' <= $2"""  # noqa: S608 - names of ours
"""Items of tenant $1 in the queue at $2, as the other sources of `services.console.exceptions`; `units` are
records. What says not whose it is is seen by whose session asks for it (`unclaimed`)."""
_UNCLAIMED = "SELECT set_config('orderlog.unclaimed', 'on', true)"


class ParkedKey(NamedTuple):
    """A key of a stage; one that a sender writes to several lanes is one in each."""

    tenant: str
    stage: str
    lane: int
    parked_key: str


class ParkedChange(NamedTuple):
    """What events add up to; none of what was not told. `parked_at`: when a record was parked last; `code`
    and `problem`: why. `opened_at`: when the first was that waits, of a key under which none had."""

    opened_at: datetime | None = None
    parked_at: datetime | None = None
    code: str | None = None
    problem: str | None = None
    waiting: int = 0


class ParkedCareKey(NamedTuple):
    """An item, and since when it lasts."""

    tenant: str
    stage: str
    parked_key: str
    since_at: datetime


class Item(NamedTuple):
    """Of which key an item is, as its subject in the queue names it."""

    stage: str
    lane: str
    key: str

    @property
    def order_id(self) -> str | None:
        """The order that waits with it, where it is one's."""
        tenant, _, stream = self.key.partition("/")
        plain = tenant and not tenant.startswith("?") and not set(stream) & set("/.")
        return stream if plain and stream not in ("", "nodes") else None


def item_of(subject: str) -> Item:
    """The key of an item of the kind PARKED."""
    _, stage, lane, key = subject.split("/", 3)
    return Item(stage, lane, key)


def parked_change(envelope: Envelope[Any]) -> tuple[ParkedKey, ParkedChange]:
    """What one of `PARKED_ITEM_EVENTS` means for its key."""
    event, at = envelope.body, envelope.at
    key = ParkedKey(envelope.tenant, stage_of(envelope), envelope.lane, storable(event.parked_key))
    if not isinstance(event, RecordParked):
        return key, ParkedChange(waiting=event.waiting)
    opens = at if event.turn == 1 and event.waiting == 1 else None
    return key, ParkedChange(opens, at, event.code, storable(event.problem), event.waiting)


def parked_care(envelope: Envelope[Any]) -> tuple[ParkedCareKey, StockCare]:
    """What one of `PARKED_CARE_EVENTS` tells."""
    event = envelope.body
    key = ParkedCareKey(envelope.tenant, event.stage, storable(event.parked_key), event.since)
    return key, care_told(event, envelope.at)


def sees_unclaimed(role: str) -> bool:
    """Who sees what says not whose it is."""
    return role == "admin"


async def unclaimed(connection: Any, role: str) -> None:
    """From now on, in this transaction, who may sees that too."""
    if sees_unclaimed(role):
        await connection.execute(_UNCLAIMED)
