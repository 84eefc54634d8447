"""Words for the tests of serial numbers: cameras, each with its own, in one line each."""

from libs.events.fulfillment import ShipmentDispatched
from libs.events.inventory import AdjustStock, ReceiveStock
from libs.events.items import DefineItem
from libs.events.order import LineSerials
from libs.events.returns import Disposition, ReturnReceived
from libs.events.serials import CorrectSerials
from services.inventory import domain
from services.inventory.serials import SerialPart
from tests.spec import Spec, given
from tests.unit.inventory_trade import accepted, dispatched, line, returned, routed

CAM = "CAM"


def cameras(sku: str = CAM) -> DefineItem:
    return DefineItem(sku=sku, serialised=True)


def came(*serials: str, node: str = "N1", sku: str = CAM) -> ReceiveStock:
    """So many units as there are numbers."""
    return ReceiveStock(sku=sku, node=node, quantity=len(serials), serials=serials)


def adjusted(delta: int, *serials: str, node: str = "N1") -> AdjustStock:
    return AdjustStock(sku=CAM, node=node, delta=delta, reason_code="count", serials=serials or None)


def sent(
    order_id: str, number: int, *serials: str, units: int | None = None, node: str = "N1"
) -> ShipmentDispatched:
    """Of its first line."""
    quantity = len(serials) if units is None else units
    shipped = dispatched(order_id, number, node, line(1, CAM, quantity))
    told = (LineSerials(line=1, sku=CAM, serials=serials),) if serials else None
    return shipped.model_copy(update={"serials": told})


def back(
    order_id: str,
    *serials: str,
    node: str = "N1",
    units: int | None = None,
    disposition: Disposition = "restock",
    rma: int = 1,
) -> ReturnReceived:
    quantity = len(serials) if units is None else units
    found = returned(order_id, node, line(1, CAM, quantity), disposition=disposition, rma=rma)
    [unit] = found.units
    return found.model_copy(update={"units": (unit.model_copy(update={"serials": serials or None}),)})


def corrected(*wrong: str, right: tuple[str, ...] = (), node: str = "N1") -> CorrectSerials:
    return CorrectSerials(sku=CAM, node=node, wrong=wrong, right=right)


def shop(*serials: str) -> Spec:
    """Cameras with these numbers at N1."""
    return given(domain).heard(cameras(), came(*serials))


def sold(spec: Spec, order_id: str, units: int = 1, node: str = "N1") -> Spec:
    """An order whose units are allocated at a node."""
    plan = routed(order_id, 1, **{node: (line(1, CAM, units),)})
    return spec.heard(accepted(order_id, (CAM, units)), plan)


def where(spec: Spec, serial: str) -> tuple[str, str, str]:
    """Place, node and order of a unit."""
    part = spec.parts[f"serial/{CAM}/{serial}"]
    assert isinstance(part, SerialPart)
    return part.place, part.node, part.order_id
