"""Examples of bundles and kits."""

from typing import Any

from libs.events import bundles as b
from libs.events.order import LineQuantity, PartLine, UnpackedLine
from libs.events.policy import OrderPolicy
from tests.contract.example_parts import CONTACT, DESTINATION, GB, HEART, LANTERN, ORDER, PLACED_AT, Pairs

BOX = "GIFT-BOX"
PARTS = (b.BundlePart(sku=HEART, quantity=2, price_weight=3), b.BundlePart(sku=LANTERN, quantity=1))
ONE_PART = (b.BundlePart(sku=HEART, quantity=2),)
UNPACKED = (
    UnpackedLine(
        line=1,
        sku=BOX,
        quantity=3,
        bundle_version=2,
        parts=(
            PartLine(line=3, sku=HEART, quantity=6, price_weight=3),
            PartLine(line=4, sku=LANTERN, quantity=3, price_weight=1),
        ),
    ),
)
OTHERS = (LineQuantity(line=2, sku=LANTERN, quantity=2),)
MADE: dict[str, Any] = {"sku": BOX, "node": "LON", "quantity": 3, "bundle_version": 2}


def moved(sku: str, quantity: int, source: b.KitBucket, target: b.KitBucket) -> b.KitMovement:
    return b.KitMovement(sku=sku, node="LON", source=source, target=target, quantity=quantity, position=5)


TOGETHER = (moved(HEART, 6, "on_hand", "kitted"), moved(BOX, 3, "kitted", "on_hand"))
APART = (moved(BOX, 3, "on_hand", "kitted"), moved(HEART, 6, "kitted", "on_hand"))
BUNDLES: Pairs = (
    (
        b.DefineBundle(sku=BOX, parts=PARTS, kept="assembled"),
        b.DefineBundle(sku=BOX, parts=ONE_PART),
    ),
    (b.RemoveBundle(sku=BOX, reason="Christmas is over."), b.RemoveBundle(sku=BOX)),
    (
        b.AssembleKit(sku=BOX, node="LON", quantity=3, reference="WO-12"),
        b.AssembleKit(sku=BOX, node="LON", quantity=3),
    ),
    (
        b.TakeKitApart(sku=BOX, node="LON", quantity=3, reference="WO-13"),
        b.TakeKitApart(sku=BOX, node="LON", quantity=3),
    ),
    (
        b.BundleDefined(sku=BOX, bundle_version=2, kept="parts", parts=PARTS),
        b.BundleDefined(sku=BOX, bundle_version=1, kept="assembled", parts=ONE_PART),
    ),
    (
        b.BundleRemoved(sku=BOX, bundle_version=2, reason="Christmas is over."),
        b.BundleRemoved(sku=BOX, bundle_version=1),
    ),
    (
        b.BundlesUnpacked(
            order_id=ORDER,
            bundles=UNPACKED,
            others=OTHERS,
            since=PLACED_AT,
            destination=DESTINATION,
            contact=CONTACT,
            channel="web",
            service="express",
            promise_id="basket-7731",
            policy=OrderPolicy(
                version=3,
                policy="partial",
                rank=10,
                wait_days=14,
                then="cancel",
                reallocates=True,
                substitutes=True,
                step_days=2,
            ),
        ),
        b.BundlesUnpacked(order_id=ORDER, bundles=UNPACKED, since=PLACED_AT, destination=GB),
    ),
    (
        b.KitAssembled(**MADE, reference="WO-12", movements=TOGETHER),
        b.KitAssembled(**MADE, movements=TOGETHER),
    ),
    (
        b.KitTakenApart(**MADE, reference="WO-13", movements=APART),
        b.KitTakenApart(**MADE, movements=APART),
    ),
)
