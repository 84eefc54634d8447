"""Examples of what dates are reckoned from, and of the dates that waiting orders are told."""

from datetime import date, timedelta
from typing import Any

from libs.events import dates as d
from libs.events import places as p
from libs.events import reach as r
from libs.events.inventory import QueueChange
from libs.events.order import Reason
from libs.events.routing import DefineTransit, TransitDefined
from tests.contract.example_parts import HEART, ORDER, PLACED_AT, Pairs

BANDS = (
    p.TransitBand(nodes=("LON",), countries=("GB",), postcode_areas=("BT", "IV"), days=3),
    p.TransitBand(countries=("GB",), km_max=300.0, days=1),
    p.TransitBand(days=5),
)
TERMS: dict[str, Any] = {
    "service": "express",
    "working_days": (*p.MON_TO_FRI, "sat"),
    "holidays": (date(2010, 12, 25),),
    "bands": BANDS,
}
SHORT: dict[str, Any] = {"service": "express", "bands": (p.TransitBand(days=5),)}
LATER = PLACED_AT + timedelta(days=6)
PEG = d.Pegged(order_id=ORDER, quantity=4, supply_id="PO-4711", node="LON", usable_at=LATER)
DELIVERY = p.Delivery(
    service="standard",
    node="LON",
    ship_by=date(2010, 12, 7),
    deliver_by=date(2010, 12, 9),
    time_zone="Europe/London",
    nodes_version=4,
    why=(Reason(code="transit", message="standard takes 2 working days from LON."),),
)
DATES: Pairs = (
    (DefineTransit(**TERMS), DefineTransit(**SHORT)),
    (TransitDefined(**TERMS, nodes_version=4), TransitDefined(**SHORT, nodes_version=1)),
    (
        d.SupplyPegged(sku=HEART, pegs=(PEG,), lost=(ORDER,), done=(ORDER,), check_at=PLACED_AT),
        d.SupplyPegged(sku=HEART),
    ),
    (
        r.NodeSwitched(node="LON", active=False, nodes_version=4),
        r.NodeSwitched(node="LON", active=True, nodes_version=5),
    ),
    (
        r.ReachChanged(
            sku=HEART,
            closed=("LON",),
            nodes_version=4,
            queue=(QueueChange(sku=HEART, number=3, up_to=7),),
        ),
        r.ReachChanged(sku=HEART, nodes_version=5),
    ),
    (d.NodeDaysFull(node="LON", full=(date(2010, 12, 6), date(2010, 12, 7))), d.NodeDaysFull(node="LON")),
    (
        d.BackorderDated(
            order_id=ORDER,
            skus=(d.Due(sku=HEART, quantity=4, supply_id="PO-4711", usable_at=LATER),),
            usable_at=LATER,
            told_before=PLACED_AT,
            promised=DELIVERY,
        ),
        d.BackorderDated(order_id=ORDER, skus=(d.Due(sku=HEART, quantity=4),)),
    ),
)
