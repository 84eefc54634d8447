"""Several processes of one service: `inventory` is the first, `inventory-2` the next.

They share the service's consumer group, and so its lanes; each has a port, a log and a pid file of its own.
"""

from collections.abc import Mapping

from libs.runtime.complaint import Complaint
from libs.runtime.settings import STAGES, Settings

SERVICES = (*STAGES, "console")


def parse(text: str, lanes: int) -> dict[str, int]:
    """`inventory=2,routing=3` as a mapping. Complaint: written otherwise, or asking for what cannot be."""
    found: dict[str, int] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        service, equals, count = part.partition("=")
        if not equals or not count.isdigit() or service not in SERVICES:
            raise Complaint(
                f"`{part}` does not say how many processes of a service to run.",
                f"Write SERVICE=COUNT, as in inventory=2; the services are {', '.join(SERVICES)}.",
                exit_code=2,
            )
        if not 1 <= int(count) <= lanes:
            raise Complaint(
                f"{service} cannot have {count} processes: there are {lanes} lanes to share.",
                f"Choose 1 to {lanes}. `orderlog down` stops a service altogether.",
                exit_code=2,
            )
        found[service] = int(count)
    return found


def written(counts: Mapping[str, int]) -> str:
    """What `parse` reads; a service with one process needs no mention."""
    return ",".join(f"{service}={counts[service]}" for service in SERVICES if counts.get(service, 1) > 1)


def names(chosen: Settings) -> tuple[str, ...]:
    """Every process of every service, those of a service side by side."""
    counts = parse(chosen.replicas, chosen.partitions)
    return tuple(
        name(service, number) for service in SERVICES for number in range(1, counts.get(service, 1) + 1)
    )


def name(service: str, number: int) -> str:
    """The program's name, counted from 1."""
    return service if number == 1 else f"{service}-{number}"


def service_of(program: str) -> tuple[str, int] | None:
    """The service that a program is a process of, and the how manieth; None where it is of none."""
    service, dash, number = program.partition("-")
    if service not in SERVICES or (dash and not number.isdigit()):
        return None
    return service, int(number) if dash else 1


def port(chosen: Settings, program: str) -> int:
    """The HTTP port: the services' ports stand in a row, and each further row is of the next processes."""
    found = service_of(program)
    assert found is not None, f"{program} is no service"
    service, number = found
    return chosen.port(service) + (number - 1) * len(SERVICES)
