"""`orderlog nodes`: the places that orders ship from, when they work, and how long carriers travel."""

import re
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.output import JsonOption, emit
from cli.text import tell
from libs.events.places import STANDARD
from libs.runtime.complaint import Complaint

app = typer.Typer(no_args_is_help=True, help="Say where orders can ship from, and how long it takes.")
WORKING_DAYS = "mon,tue,wed,thu,fri"
WorkingDaysOption = Annotated[str, typer.Option("--working-days", help="Days of the week, joined by commas.")]
HolidaysOption = Annotated[
    list[str] | None, typer.Option("--holiday", help="A day off, YYYY-MM-DD; several by commas.")
]
_SERVICE = re.compile(r"([^=]+)=([0-9]{2}:[0-9]{2})(?:\+([0-9]+))?")
_BAND = re.compile(r"(\*|[A-Za-z]{2}(?:,[A-Za-z]{2})*)(?:@([0-9]+(?:\.[0-9]+)?))?=([0-9]+)")


@app.command("define")
def define(
    node: Annotated[str, typer.Argument(metavar="NODE", help="Its id: letters, digits, dots and hyphens.")],
    name: Annotated[str, typer.Option(help="What people call it.")],
    country: Annotated[str, typer.Option(help="ISO 3166-1 alpha-2, such as GB.")],
    latitude: Annotated[float, typer.Option("--lat", min=-90, max=90, help="Degrees north.")],
    longitude: Annotated[float, typer.Option("--lon", min=-180, max=180, help="Degrees east.")],
    ships_to: Annotated[
        list[str] | None, typer.Option("--ships-to", help="Countries it serves: GB,IE. Without it, all.")
    ] = None,
    active: Annotated[bool, typer.Option("--active/--inactive", help="Whether it takes orders.")] = True,
    time_zone: Annotated[
        str | None, typer.Option(help="Its time zone, such as Europe/London. With it, dates are promised.")
    ] = None,
    cut_off: Annotated[
        str, typer.Option(help="Until when what comes is worked on the same day, HH:MM there.")
    ] = "14:00",
    working_days: WorkingDaysOption = WORKING_DAYS,
    holidays: HolidaysOption = None,
    processing_days: Annotated[
        int, typer.Option(min=0, help="Working days until what is worked on leaves.")
    ] = 0,
    receiving_days: Annotated[int, typer.Option(min=0, help="Working days until goods can be sold.")] = 0,
    services: Annotated[
        list[str] | None,
        typer.Option(
            "--service-cut-off",
            help="Of one service: express=16:00; or, with processing days, express=16:00+1.",
        ),
    ] = None,
    units_a_day: Annotated[
        int | None, typer.Option(min=1, help="Units that can leave it on a day. Without it, any number.")
    ] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Define a node, or change it: the whole of it is replaced.

    Example: orderlog nodes define LON --name London --country GB --lat 51.5 --lon -0.1 --ships-to GB,IE
    """
    countries = [code.upper() for code in _listed(ships_to)]
    body: dict[str, Any] = {
        "name": name,
        "country": country.upper(),
        "latitude": latitude,
        "longitude": longitude,
        "ships_to": countries or None,
        "active": active,
    }
    if time_zone is not None:
        body["operations"] = {
            "time_zone": time_zone,
            "cut_off": cut_off,
            "working_days": _listed([working_days]),
            "holidays": _listed(holidays),
            "processing_days": processing_days,
            "receiving_days": receiving_days,
            "services": [_service(text) for text in services or ()],
            "units_a_day": units_a_day,
        }
    with connect(tenant) as edges:
        answer = edges.decided("routing", f"/v1/nodes/{quote(node, safe='')}", body, method="PUT")
    serves = ", ".join(countries) if countries else "every country"
    state = f"ships to {serves}" if active else "takes no orders"
    changed = bool(answer["events"])
    tell(f"Node {node} ({name}, {body['country']}) {state}." if changed else f"Node {node} was that already.")
    if json:
        emit({"ok": True, "tenant": tenant, "node": node, **body, "changed": changed})


@app.command("transit")
def transit(
    bands: Annotated[
        list[str], typer.Option("--band", help="Countries (or *), perhaps @ kilometres, = working days.")
    ],
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="Its name.")] = STANDARD,
    working_days: WorkingDaysOption = WORKING_DAYS,
    holidays: HolidaysOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Say how long a service of the carriers takes, all of it. The first band that fits counts.

    Example: orderlog nodes transit standard --band GB@300=1 --band GB,IE=2 --band '*=5'
    """
    body = {
        "working_days": _listed([working_days]),
        "holidays": _listed(holidays),
        "bands": [_band(text) for text in bands],
    }
    with connect(tenant) as edges:
        answer = edges.decided("routing", f"/v1/transit/{quote(service, safe='')}", body, method="PUT")
    changed = bool(answer["events"])
    count = f"{len(bands)} band{'' if len(bands) == 1 else 's'}"
    tell(f"{service} takes so long from now on: {count}." if changed else f"{service} was that already.")
    if json:
        emit({"ok": True, "tenant": tenant, "service": service, **body, "changed": changed})


def _listed(texts: list[str] | None) -> list[str]:
    """What is joined by commas, in one option or in several."""
    return [part.strip() for text in texts or () for part in text.split(",") if part.strip()]


def _service(text: str) -> dict[str, Any]:
    """`express=16:00+1` as the edge takes it. Complaint: it is nothing of that kind."""
    found = _SERVICE.fullmatch(text.strip())
    if found is None:
        raise Complaint(
            f"{text!r} is no cut-off of a service.", "Write the service, = and HH:MM, perhaps + working days."
        )
    days = found[3]
    return {"service": found[1], "cut_off": found[2], "processing_days": None if days is None else int(days)}


def _band(text: str) -> dict[str, Any]:
    """`GB,IE@300=2` as the edge takes it. Complaint: it is nothing of that kind."""
    found = _BAND.fullmatch(text.replace(" ", ""))
    if found is None:
        raise Complaint(
            f"--band {text} is not countries, perhaps @ kilometres, and = working days.",
            "Write it like GB@300=1, GB,IE=2 or '*=5'.",
        )
    countries, km_max, days = found.groups()
    band: dict[str, Any] = {"days": int(days)}
    if countries != "*":
        band["countries"] = countries.upper().split(",")
    if km_max is not None:
        band["km_max"] = float(km_max)
    return band


def register(parent: typer.Typer) -> None:
    """Add `nodes` to the command line."""
    parent.add_typer(app, name="nodes")
