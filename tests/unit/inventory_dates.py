"""A London warehouse and a slower one in Leeds, and what a date is asked for."""

from datetime import date, timedelta
from typing import Any

from libs.events.order import Destination
from libs.events.places import NodeOperations, TransitBand
from libs.events.routing import NodeDefined, TransitDefined
from services.inventory.dates import Question
from services.inventory.places import PlacesPart, evolve_places
from tests.spec import NOON

GB = Destination(country="GB")
MONDAY = NOON.date()
"""2026-03-02, noon in London."""


def day(number: int) -> date:
    """So many days after Monday the second of March."""
    return MONDAY + timedelta(days=number)


def defined(node: str, processing_days: int = 0, **more: Any) -> NodeDefined:
    """A node that works from Monday to Friday until 14:00."""
    operations = NodeOperations(
        time_zone="Europe/London", cut_off="14:00", processing_days=processing_days, receiving_days=1
    )
    terms = {"name": node, "country": "GB", "latitude": 51.5, "longitude": -0.1, "operations": operations}
    return NodeDefined.model_validate({"node": node, "nodes_version": 1, **terms, **more})


STANDARD = TransitDefined(
    service="standard", bands=(TransitBand(countries=("GB",), days=2),), nodes_version=3
)
LONDON, LEEDS = defined("N1"), defined("N2", processing_days=3, nodes_version=2)
FACTS = (LONDON, LEEDS, STANDARD)


def places(*facts: NodeDefined | TransitDefined) -> PlacesPart:
    part = PlacesPart()
    for fact in facts or FACTS:
        part = evolve_places(part, fact)
    return part


def asking(*facts: NodeDefined | TransitDefined, **more: Any) -> Question:
    question: dict[str, Any] = {"destination": GB, "service": "standard", "at": NOON}
    return Question(**question | more, places=places(*facts))
