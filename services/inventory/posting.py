"""The movements of an event: numbered on from where each SKU stands, and split by lot where it has some."""

from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from libs.events.inventory import NETWORK, Movement
from libs.events.promise import HoldMovement
from services.inventory.lots import LotPicks, LotUnits
from services.inventory.stock import EMPTY_SKU, AnyBucket, Skus

# Parts of an event are validated all at once: a constructor each costs half as much again.
_MOVEMENTS = TypeAdapter(tuple[Movement, ...])
_HOLD_MOVEMENTS = TypeAdapter(tuple[HoldMovement, ...])


class Posting:
    """The movements of one event, numbered on from where each SKU stands; where it has lots, split by lot."""

    def __init__(
        self,
        skus: Skus,
        of_order: LotUnits | None = None,
        at: datetime | None = None,
        channel: str | None = None,
    ) -> None:
        """`of_order`, `at` and `channel` as `LotPicks` has them."""
        self._skus, self._of_order, self._at, self._channel = skus, of_order, at, channel
        self._picks: dict[str, LotPicks] = {}
        self._positions: dict[str, int] = {}
        self._posted: list[dict[str, Any]] = []

    def movements(self) -> tuple[Movement, ...]:
        """What was posted, validated."""
        return _MOVEMENTS.validate_python(self._posted)

    def hold_movements(self) -> tuple[HoldMovement, ...]:
        """What was posted between soft buckets alone, validated."""
        return _HOLD_MOVEMENTS.validate_python(self._posted)

    def post(
        self,
        sku: str,
        node: str,
        source: AnyBucket,
        target: AnyBucket,
        quantity: int,
        lot: str | None = None,
        serials: tuple[str, ...] | None = None,
    ) -> None:
        """Take `quantity` units from `source` to `target`, of a lot if one is named, or those of so many
        serial numbers; none is no movement."""
        assert quantity >= 0, f"{quantity} units of {sku} from {source} to {target}"
        if not quantity:
            return
        position = self._positions.get(sku)
        if position is None:
            part = self._skus.get(sku, EMPTY_SKU)
            position = part.position
            if part.lots is not None:
                self._picks[sku] = LotPicks(sku, part.lots, self._of_order, self._at, self._channel)
        if self._picks and node != NETWORK and sku in self._picks:
            self._positions[sku] = position
            for name, units in self._picks[sku].split(node, source, target, quantity, lot):
                self._append(sku, node, source, target, units)
                self._posted[-1]["lot"] = name
            return
        self._positions[sku] = position
        self._append(sku, node, source, target, quantity)
        if serials is not None:
            assert len(serials) == quantity, f"{quantity} units of {sku} with {len(serials)} serial numbers"
            self._posted[-1]["serials"] = serials

    def _append(self, sku: str, node: str, source: AnyBucket, target: AnyBucket, quantity: int) -> None:
        self._positions[sku] = position = self._positions[sku] + 1
        self._posted.append(
            {
                "sku": sku,
                "node": node,
                "source": source,
                "target": target,
                "quantity": quantity,
                "position": position,
            }
        )
