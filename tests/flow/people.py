"""Who acts on a world from outside: a shop, a warehouse, a carrier. They send commands, nothing else."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from libs.events.changes import LinesCancelled
from libs.events.fulfillment import (
    ConfirmPack,
    ConfirmPick,
    DispatchShipment,
    FulfillmentReleased,
    Package,
    PackConfirmed,
    Pick,
    PickConfirmed,
    RecordCarrierEvent,
    ShipmentDispatched,
    ShippedPackage,
)
from libs.events.ids import order_id
from libs.events.intake import SubmitOrder
from libs.events.inventory import ReceiveStock
from libs.events.order import Destination, OrderLine
from libs.events.refusal import CommandRefused
from libs.events.routing import DefineNode
from tests.flow.world import START, TENANT, World

NODES = {"LON": (51.5, -0.1), "MAN": (53.5, -2.2), "DUB": (53.3, -6.3)}


def order(
    number: str, lines: Mapping[str, int] | Sequence[tuple[str, int]], *, country: str = "GB", **more: object
) -> SubmitOrder:
    """An order of SKU → quantity, at 10.00 a unit."""
    pairs = list(lines.items()) if isinstance(lines, Mapping) else list(lines)
    fields: dict[str, object] = {
        "order_id": order_id(TENANT, "web", number),
        "channel": "web",
        "external_id": number,
        "placed_at": START,
        "currency": "GBP",
        "lines": tuple(
            OrderLine(line=n, sku=sku, quantity=units, unit_price_minor=1000)
            for n, (sku, units) in enumerate(pairs, 1)
        ),
        "destination": Destination(country=country, latitude=51.4, longitude=-0.2),
    }
    return SubmitOrder.model_validate(fields | more)


async def open_shop(world: World, stock: Mapping[str, Mapping[str, int]]) -> None:
    """Three nodes, and stock as node → SKU → units."""
    for node, (latitude, longitude) in NODES.items():
        await world.send(
            DefineNode(node=node, name=node, country="GB", latitude=latitude, longitude=longitude)
        )
    for node, units in stock.items():
        for sku, quantity in units.items():
            await world.send(ReceiveStock(sku=sku, node=node, quantity=quantity))
    await world.settle()


class Warehouse:
    """Picks, packs, dispatches and delivers what was released and it has not seen yet."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._done: set[str] = set()
        self._picks: dict[UUID, str] = {}
        """Command id → fulfillment order."""

    async def pick(self, *, short: Mapping[str, int] | None = None) -> int:
        """Pick what is released and was not taken off again; `short` units of a SKU are not found. A pick
        that a cancellation has overtaken is made again."""
        missing = dict(short or {})
        self._done -= {
            self._picks.pop(refused.command_id, "")
            for refused in self.world.events(CommandRefused)
            if isinstance(refused, CommandRefused) and refused.code == "lines_cancelled"
        }
        off = self._taken_off()
        work = [e for e in self.world.events(FulfillmentReleased) if isinstance(e, FulfillmentReleased)]
        work = [e for e in work if e.fulfillment_order_id not in self._done]
        for released in work:
            picks = []
            for line in released.lines:
                asked = line.quantity - off.get((released.fulfillment_order_id, line.line), 0)
                if not asked:
                    continue
                lacking = min(asked, missing.get(line.sku, 0))
                missing[line.sku] = missing.get(line.sku, 0) - lacking
                picks.append(Pick(line=line.line, picked=asked - lacking, short=lacking))
            self._done.add(released.fulfillment_order_id)
            if not picks:
                continue
            [id_] = await self.world.send(
                ConfirmPick(
                    order_id=released.order_id,
                    fulfillment_order_id=released.fulfillment_order_id,
                    picks=tuple(picks),
                )
            )
            self._picks[id_] = released.fulfillment_order_id
        await self.world.settle()
        return len(work)

    def _taken_off(self) -> dict[tuple[str, int], int]:
        """Units by fulfillment order and line that were cancelled before the pick."""
        off: dict[tuple[str, int], int] = {}
        for cancelled in self.world.events(LinesCancelled):
            assert isinstance(cancelled, LinesCancelled)
            for work in cancelled.work:
                for line in work.lines:
                    key = (work.fulfillment_order_id, line.line)
                    off[key] = off.get(key, 0) + line.quantity
        return off

    async def pack(self) -> None:
        for picked in self.world.events(PickConfirmed):
            assert isinstance(picked, PickConfirmed)
            if f"pack {picked.fulfillment_order_id}" not in self._done:
                self._done.add(f"pack {picked.fulfillment_order_id}")
                package = Package(package_id=f"{picked.fulfillment_order_id}-P1", weight_grams=900)
                await self.world.send(
                    ConfirmPack(
                        order_id=picked.order_id,
                        fulfillment_order_id=picked.fulfillment_order_id,
                        packages=(package,),
                    )
                )
        await self.world.settle()

    async def dispatch(self) -> None:
        for packed in self.world.events(PackConfirmed):
            assert isinstance(packed, PackConfirmed)
            if f"dispatch {packed.fulfillment_order_id}" not in self._done:
                self._done.add(f"dispatch {packed.fulfillment_order_id}")
                packages = tuple(
                    ShippedPackage(
                        package_id=package.package_id, tracking_number=f"T-{package.package_id}"[-60:]
                    )
                    for package in packed.packages
                )
                await self.world.send(
                    DispatchShipment(
                        order_id=packed.order_id,
                        fulfillment_order_id=packed.fulfillment_order_id,
                        carrier="Demo Post",
                        packages=packages,
                    )
                )
        await self.world.settle()

    async def carry(self, status: str = "delivered") -> None:
        """The carrier reports one status of everything under way that has none yet."""
        for shipped in self.world.events(ShipmentDispatched):
            assert isinstance(shipped, ShipmentDispatched)
            if f"carry {shipped.shipment_id}" not in self._done:
                self._done.add(f"carry {shipped.shipment_id}")
                await self.world.send(
                    RecordCarrierEvent.model_validate(
                        {
                            "order_id": shipped.order_id,
                            "shipment_id": shipped.shipment_id,
                            "status": status,
                            "occurred_at": self.world.clock.now,
                        }
                    )
                )
        await self.world.settle()

    async def everything(self) -> None:
        """Until nothing is left to do."""
        while await self.pick():
            pass
        await self.pack()
        await self.dispatch()
        await self.carry()
