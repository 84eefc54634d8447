"""The worked example of dates in docs/inventory.md: each row is what is answered."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from libs.events.places import NodeOperations, ServiceHours, TransitBand
from libs.events.routing import TransitDefined
from services.inventory import dates
from services.inventory.stock import OrderClaim, SkuPart
from services.inventory.supplies import Expected, SupplyPart
from tests.unit.inventory_dates import STANDARD, asking, defined
from tests.unit.inventory_page import table

LONDON = ZoneInfo("Europe/London")
WORKS = NodeOperations(
    time_zone="Europe/London", cut_off="14:00", receiving_days=1, holidays=(date(2027, 5, 3),)
)


def rows(name: str = "dates") -> list[list[str]]:
    """The cells of each row."""
    lines = [line for line in table(name) if line.startswith("| 20")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[0]} {row[1]}")
def test_a_row_is_what_is_answered(row: list[str]) -> None:
    asked, units, ship_by, deliver_by, why = row
    stated = datetime(2027, 4, 1, tzinfo=LONDON)
    part = SkuPart(1, {"LON": 4}, {}, 1, 1, {"o1": OrderClaim(1, 1, stated.isoformat())})
    expected = Expected("LON", 6, 0, 6, datetime(2027, 5, 4, 9, tzinfo=LONDON), stated)
    at = datetime.fromisoformat(asked).replace(tzinfo=LONDON)
    question = asking(defined("LON", operations=WORKS), STANDARD, at=at)
    supply = SupplyPart(expected={"PO-1": expected})
    found = dates.promised({"MUG": int(units)}, None, {"MUG": part}, {"MUG": supply}, question)["MUG"]
    told = [str(day) if day else "" for day in (found.ship_by, found.deliver_by)]
    assert [*told, ", ".join(one.code for one in found.why)] == [ship_by, deliver_by, why]


EXPRESS = TransitDefined(service="express", bands=(TransitBand(countries=("GB",), days=1),), nodes_version=4)


@pytest.mark.parametrize("row", rows("services"), ids=lambda row: f"{row[0]} {row[1]}")
def test_a_service_has_its_own_date(row: list[str]) -> None:
    asked, service, ship_by, deliver_by, why = row
    at = datetime.fromisoformat(asked).replace(tzinfo=LONDON)
    own = WORKS.model_copy(update={"services": (ServiceHours(service="express", cut_off="16:00"),)})
    question = asking(defined("LON", operations=own), STANDARD, EXPRESS, at=at, service=service)
    part = SkuPart(1, {"LON": 4})
    found = dates.promised({"MUG": 1}, None, {"MUG": part}, {}, question)["MUG"]
    told = [str(day) if day else "" for day in (found.ship_by, found.deliver_by)]
    assert [*told, ", ".join(one.code for one in found.why)] == [ship_by, deliver_by, why]


def test_the_examples_are_there() -> None:
    assert (len(rows()), len(rows("services"))) == (7, 4)
