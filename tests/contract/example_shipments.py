"""Examples of what happens once work is released: fulfillment, notifications, returns."""

from libs.events import fulfillment as f
from libs.events import notifications as n
from libs.events import returns as r
from tests.contract.example_parts import (
    BOTH,
    CONTACT,
    DELIVERED_AT,
    DESTINATION,
    FO,
    GB,
    HEART,
    HEARTS,
    LANTERN,
    LANTERNS,
    ONE,
    ORDER,
    RMA,
    SHIPMENT,
    Pairs,
)

PACKAGE = f.Package(package_id="P1", weight_grams=1450)
PARCEL = f.ShippedPackage(package_id="P1", tracking_number="RM123456785GB")

WORK: Pairs = (
    (
        f.ConfirmPick(
            order_id=ORDER,
            fulfillment_order_id=FO,
            picks=(
                f.Pick(line=1, picked=6, short=0, short_reason="not_found"),
                f.Pick(line=2, picked=1, short=1, short_reason="damaged"),
            ),
        ),
        f.ConfirmPick(order_id=ORDER, fulfillment_order_id=FO, picks=(f.Pick(line=1, picked=6),)),
    ),
    (
        f.ConfirmPack(order_id=ORDER, fulfillment_order_id=FO, packages=(PACKAGE,)),
        f.ConfirmPack(order_id=ORDER, fulfillment_order_id=FO, packages=(PACKAGE,)),
    ),
    (
        f.DispatchShipment(order_id=ORDER, fulfillment_order_id=FO, carrier="Royal Mail", packages=(PARCEL,)),
        f.DispatchShipment(order_id=ORDER, fulfillment_order_id=FO, carrier="Royal Mail", packages=(PARCEL,)),
    ),
    (
        f.FulfillmentReleased(
            order_id=ORDER,
            fulfillment_order_id=FO,
            node="LON",
            round=1,
            lines=BOTH,
            destination=DESTINATION,
            contact=CONTACT,
        ),
        f.FulfillmentReleased(
            order_id=ORDER, fulfillment_order_id=FO, node="LON", round=1, lines=ONE, destination=GB
        ),
    ),
    (
        f.PickConfirmed(order_id=ORDER, fulfillment_order_id=FO, node="LON", lines=BOTH),
        f.PickConfirmed(order_id=ORDER, fulfillment_order_id=FO, node="LON", lines=()),
    ),
    (
        f.PickShorted(
            order_id=ORDER,
            fulfillment_order_id=FO,
            node="LON",
            lines=(f.ShortLine(line=2, sku=LANTERN, quantity=1, reason="damaged"),),
        ),
        f.PickShorted(
            order_id=ORDER,
            fulfillment_order_id=FO,
            node="LON",
            lines=(f.ShortLine(line=1, sku=HEART, quantity=6, reason="not_found"),),
        ),
    ),
    (
        f.PackConfirmed(order_id=ORDER, fulfillment_order_id=FO, node="LON", packages=(PACKAGE,)),
        f.PackConfirmed(order_id=ORDER, fulfillment_order_id=FO, node="LON", packages=(PACKAGE,)),
    ),
    (
        f.ShipmentDispatched(
            order_id=ORDER,
            fulfillment_order_id=FO,
            node="LON",
            shipment_id=SHIPMENT,
            carrier="Royal Mail",
            packages=(PARCEL, f.ShippedPackage(package_id="P2", tracking_number="RM123456799GB")),
            lines=BOTH,
        ),
        f.ShipmentDispatched(
            order_id=ORDER,
            fulfillment_order_id=FO,
            node="LON",
            shipment_id=SHIPMENT,
            carrier="Royal Mail",
            packages=(PARCEL,),
            lines=ONE,
        ),
    ),
)

DELIVERY: Pairs = (
    (
        f.RecordCarrierEvent(
            order_id=ORDER,
            shipment_id=SHIPMENT,
            status="exception",
            occurred_at=DELIVERED_AT,
            note="Nobody at home; tried again tomorrow.",
        ),
        f.RecordCarrierEvent(
            order_id=ORDER, shipment_id=SHIPMENT, status="delivered", occurred_at=DELIVERED_AT
        ),
    ),
    (
        f.CarrierEventRecorded(
            order_id=ORDER,
            shipment_id=SHIPMENT,
            status="exception",
            occurred_at=DELIVERED_AT,
            note="Nobody at home; tried again tomorrow.",
        ),
        f.CarrierEventRecorded(
            order_id=ORDER, shipment_id=SHIPMENT, status="picked_up", occurred_at=DELIVERED_AT
        ),
    ),
    (
        f.ShipmentDelivered(order_id=ORDER, shipment_id=SHIPMENT, occurred_at=DELIVERED_AT, lines=BOTH),
        f.ShipmentDelivered(order_id=ORDER, shipment_id=SHIPMENT, occurred_at=DELIVERED_AT, lines=ONE),
    ),
    (
        f.ShipmentLost(order_id=ORDER, shipment_id=SHIPMENT, occurred_at=DELIVERED_AT, lines=BOTH),
        f.ShipmentLost(order_id=ORDER, shipment_id=SHIPMENT, occurred_at=DELIVERED_AT, lines=ONE),
    ),
    (
        f.FulfillmentCancelled(
            order_id=ORDER,
            fulfillment_order_ids=(FO,),
            lines=BOTH,
            cause="unroutable",
            reason="No node ships there.",
        ),
        f.FulfillmentCancelled(order_id=ORDER, lines=()),
    ),
    (
        f.CancellationDeclined(order_id=ORDER, reason="All of it has been dispatched."),
        f.CancellationDeclined(order_id=ORDER, reason=""),
    ),
    (
        f.FulfillmentCompleted(
            order_id=ORDER,
            outcome="partly_delivered",
            delivered=(HEARTS,),
            lost=(LANTERNS.model_copy(update={"quantity": 1}),),
            cancelled=(LANTERNS,),
            unroutable=(LANTERNS.model_copy(update={"line": 3}),),
        ),
        f.FulfillmentCompleted(order_id=ORDER, outcome="delivered"),
    ),
)

NOTIFICATIONS: Pairs = (
    (
        n.RecordMessageOutcome(
            order_id=ORDER,
            message_id="M-1",
            outcome="failed",
            detail="550 5.1.1 mailbox unknown",
            attempts=3,
        ),
        n.RecordMessageOutcome(order_id=ORDER, message_id="M-1", outcome="sent"),
    ),
    (
        n.MessageRequested(
            order_id=ORDER,
            message_id="M-1",
            milestone="shipped",
            subject_id=SHIPMENT,
            facts=(n.Fact(name="tracking_number", value="RM123456785GB"),),
            contact=CONTACT,
        ),
        n.MessageRequested(order_id=ORDER, message_id="M-1", milestone="confirmed"),
    ),
    (
        n.MessageSkipped(
            order_id=ORDER,
            message_id="M-1",
            milestone="shipped",
            subject_id=SHIPMENT,
            reason="The order came without a contact.",
        ),
        n.MessageSkipped(order_id=ORDER, message_id="M-1", milestone="confirmed", reason="No contact."),
    ),
    (
        n.MessageSent(order_id=ORDER, message_id="M-1", milestone="delivered"),
        n.MessageSent(order_id=ORDER, message_id="M-1", milestone="confirmed"),
    ),
    (
        n.MessageFailed(order_id=ORDER, message_id="M-1", milestone="delivered", detail="550 unknown"),
        n.MessageFailed(order_id=ORDER, message_id="M-1", milestone="confirmed", detail=""),
    ),
)

RETURNS: Pairs = (
    (
        r.AuthoriseReturn(order_id=ORDER, lines=(r.ReturnLine(line=1, quantity=2, reason="Chipped."),)),
        r.AuthoriseReturn(order_id=ORDER, lines=(r.ReturnLine(line=1, quantity=2),)),
    ),
    (
        r.ReceiveReturn(
            order_id=ORDER,
            rma_id=RMA,
            node="LON",
            units=(
                r.InspectedUnits(line=1, quantity=1, disposition="restock"),
                r.InspectedUnits(line=1, quantity=1, disposition="scrap"),
            ),
        ),
        r.ReceiveReturn(
            order_id=ORDER,
            rma_id=RMA,
            node="LON",
            units=(r.InspectedUnits(line=1, quantity=2, disposition="restock"),),
        ),
    ),
    (
        r.ReturnWindowOpened(order_id=ORDER, shipment_id=SHIPMENT, lines=BOTH),
        r.ReturnWindowOpened(order_id=ORDER, shipment_id=SHIPMENT, lines=ONE),
    ),
    (
        r.ReturnAuthorised(
            order_id=ORDER,
            rma_id=RMA,
            lines=(r.AuthorisedLine(line=1, sku=HEART, quantity=2, reason="Chipped."),),
        ),
        r.ReturnAuthorised(
            order_id=ORDER, rma_id=RMA, lines=(r.AuthorisedLine(line=1, sku=HEART, quantity=2),)
        ),
    ),
    (
        r.ReturnReceived(
            order_id=ORDER,
            rma_id=RMA,
            node="LON",
            units=(
                r.ReturnedUnits(line=1, sku=HEART, quantity=1, disposition="restock"),
                r.ReturnedUnits(line=1, sku=HEART, quantity=1, disposition="quarantine", condition="opened"),
            ),
        ),
        r.ReturnReceived(
            order_id=ORDER,
            rma_id=RMA,
            node="LON",
            units=(r.ReturnedUnits(line=1, sku=HEART, quantity=2, disposition="scrap"),),
        ),
    ),
    (
        r.RefundRequested(
            order_id=ORDER,
            refund_id=RMA,
            rma_id=RMA,
            amount_minor=510,
            currency="GBP",
            cause="returned",
            lines=ONE,
        ),
        r.RefundRequested(
            order_id=ORDER,
            refund_id=f"{ORDER}-lost",
            amount_minor=1530,
            currency="GBP",
            cause="lost",
            lines=(),
        ),
    ),
    (
        r.VoidRequested(order_id=ORDER, void_id=f"{ORDER}-void", amount_minor=3525, currency="GBP"),
        r.VoidRequested(order_id=ORDER, void_id=f"{ORDER}-void", amount_minor=510, currency="GBP"),
    ),
    (r.ReturnClosed(order_id=ORDER, rma_id=RMA), r.ReturnClosed(order_id=ORDER, rma_id=RMA)),
)
