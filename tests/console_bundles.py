"""An order's life with bundles, and the events of SKUs that are made of others, for the read side's tests."""

from libs.events.bundles import (
    BundleDefined,
    BundlePart,
    BundleRemoved,
    BundlesUnpacked,
    KitAssembled,
    KitMovement,
    KitTakenApart,
)
from libs.events.contract import Event
from libs.events.fulfillment import (
    FulfillmentReleased,
    PickConfirmed,
    ShipmentDelivered,
    ShipmentDispatched,
    ShippedPackage,
)
from libs.events.intake import OrderAccepted
from libs.events.inventory import StockReserved
from libs.events.order import OrderLine, PartLine, UnpackedLine
from libs.events.returns import (
    AuthorisedLine,
    ReturnAuthorised,
    ReturnedUnits,
    ReturnReceived,
    ReturnWindowOpened,
)
from tests.console_lives import Life, terms
from tests.console_parts import GB, T0, at, move, units

MUGS, TEAS, MUG = units(3, 4, "MUG"), units(4, 2, "TEA"), units(2, 1, "MUG")
BOXES = (
    UnpackedLine(
        line=1,
        sku="BOX",
        quantity=2,
        bundle_version=1,
        parts=tuple(PartLine(line=one.line, sku=one.sku, quantity=one.quantity) for one in (MUGS, TEAS)),
    ),
)


def boxed(order_id: str) -> Life:
    """Two boxes of two mugs and a tea, and a mug: all but three mugs have arrived, a mug came back."""
    asked = terms(order_id) | {
        "lines": (
            OrderLine(line=1, sku="BOX", quantity=2, unit_price_minor=1000),
            OrderLine(line=2, sku="MUG", quantity=1, unit_price_minor=400),
        )
    }
    lines = (MUG, MUGS, TEAS)
    fulfillment: list[Event] = []
    for number, some in enumerate([(MUG, units(3, 1, "MUG"), TEAS), (units(3, 3, "MUG"),)], 1):
        work = {"order_id": order_id, "fulfillment_order_id": f"{order_id}-F{number}", "node": f"N{number}"}
        fulfillment += [
            FulfillmentReleased(**work, round=1, lines=some, destination=GB),
            PickConfirmed(**work, lines=some),
            ShipmentDispatched(
                **work,
                shipment_id=f"{order_id}-S{number}",
                carrier="royal",
                packages=(ShippedPackage(package_id="P1", tracking_number=f"RM{number}"),),
                lines=some,
            ),
        ]
    there = (MUG, units(3, 1, "MUG"), TEAS)
    shipment = {"order_id": order_id, "shipment_id": f"{order_id}-S1"}
    fulfillment.append(ShipmentDelivered(**shipment, occurred_at=at(200), lines=there))
    back = ReturnedUnits(line=3, sku="MUG", quantity=1, disposition="restock")
    return {
        "intake": [OrderAccepted(**asked)],
        "inventory": [
            BundlesUnpacked(order_id=order_id, bundles=BOXES, others=(MUG,), since=T0, destination=GB),
            StockReserved(
                order_id=order_id,
                round=1,
                lines=lines,
                availability=(),
                since=T0,
                destination=GB,
                movements=(
                    move("MUG", "*", "unreserved", "reserved", 5),
                    move("TEA", "*", "unreserved", "reserved", 2),
                ),
            ),
        ],
        "fulfillment": fulfillment,
        "returns": [
            ReturnWindowOpened(**shipment, lines=there),
            ReturnAuthorised(
                order_id=order_id,
                rma_id=f"{order_id}-R1",
                lines=(AuthorisedLine(line=3, sku="MUG", quantity=1),),
            ),
            ReturnReceived(order_id=order_id, rma_id=f"{order_id}-R1", node="N1", units=(back,)),
        ],
    }


def made() -> list[Event]:
    """Inventory's events of SKUs that are made of others."""
    kit = {"sku": "KIT", "node": "LON", "quantity": 2, "bundle_version": 1}

    def moved(sku: str, quantity: int, sign: int) -> KitMovement:
        source, target = ("on_hand", "kitted")[::sign]
        return KitMovement.model_validate(
            {
                "sku": sku,
                "node": "LON",
                "source": source,
                "target": target,
                "quantity": quantity,
                "position": 7,
            }
        )

    return [
        BundleDefined(
            sku="KIT", bundle_version=1, kept="assembled", parts=(BundlePart(sku="TEA", quantity=3),)
        ),
        KitAssembled.model_validate(kit | {"movements": (moved("TEA", 6, 1), moved("KIT", 2, -1))}),
        KitTakenApart.model_validate(
            kit | {"quantity": 1, "movements": (moved("KIT", 1, 1), moved("TEA", 3, -1))}
        ),
        BundleRemoved(sku="KIT", bundle_version=1),
    ]
