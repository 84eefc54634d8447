"""Countries that intake knows, and where their people live: a stand-in for missing coordinates.

The table is `data/countries.csv` (GeoNames, CC BY 4.0; made as `data/README.md` says), read once at import.
"""

import csv
from importlib.resources import files

from libs.events.order import Destination


def _centres() -> dict[str, tuple[float, float]]:
    table = files("services.intake") / "data" / "countries.csv"
    with table.open(encoding="ascii") as rows:
        return {
            row["country"]: (float(row["latitude"]), float(row["longitude"])) for row in csv.DictReader(rows)
        }


CENTRES: dict[str, tuple[float, float]] = _centres()
"""ISO 3166-1 alpha-2 → latitude, longitude in degrees. Codes that nobody lives under are not in it."""


def located(destination: Destination) -> Destination:
    """The destination with its country's centre where it has no coordinates; else the same object."""
    if destination.latitude is not None and destination.longitude is not None:
        return destination
    centre = CENTRES.get(destination.country)
    if centre is None:
        return destination
    return Destination(
        country=destination.country,
        postcode_area=destination.postcode_area,
        latitude=centre[0],
        longitude=centre[1],
    )
