"""What of an order is parked: records of it that a stage could not take, and so what blocks it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from libs.runtime.pool import Connection
from services.console.blockers import Blocker
from services.console.parked_items import PARKED, SINCE
from services.console.rules import Rule, rule_of

_OF_ORDER = f"""SELECT p.stage, {SINCE} AS since_at, coalesce(p.code, 'parked') AS code, p.waiting
    FROM parked_keys p
    WHERE p.tenant = $1 AND p.parked_key = $2 AND p.waiting > 0 ORDER BY p.stage, p.lane"""  # noqa: S608 - ours


class ParkedOfOrder(NamedTuple):
    """Where records of it wait, since when and why, and how many."""

    stage: str
    since_at: datetime | None
    code: str
    waiting: int


async def read_parked(connection: Connection, tenant: str, order_id: str) -> list[ParkedOfOrder]:
    """What waits under the order's key, by stage."""
    rows = await connection.fetch(_OF_ORDER, tenant, f"{tenant}/{order_id}")
    return [ParkedOfOrder(*row) for row in rows]


def parked_blockers(found: Sequence[ParkedOfOrder], rules: Sequence[Rule]) -> Iterator[Blocker]:
    """The same as what stands in the order's way. `rules`: the tenant's."""
    rule = rule_of(rules, PARKED, "")
    for one in found:
        behind = f", and {one.waiting - 1} behind it" if one.waiting > 1 else ""
        what = f"A record of it is parked in {one.stage} ({one.code.replace('_', ' ')}){behind}."
        yield Blocker(what, one.since_at, rule.owner, rule.next_step)
