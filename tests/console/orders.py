"""Orders of a tenant, submitted and looked up as the command line does it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from cli.client import connect
from cli.loadfile import read_orders
from cli.submit import submit
from libs.runtime.settings import settings
from tests.e2e.stacks import Stack

LONDON = ("nodes", "define", "LON", "--name", "London", "--country", "GB", "--lat", "51.5", "--lon", "-0.1")
SECONDS = 60.0
PAUSE_SECONDS = 0.1
_HEADER = (
    "channel,external_id,placed_at,currency,payment,customer_id,sku,quantity,unit_price_minor,"
    "name,address_line_1,city,postcode,country,email\n"
)
_WHO = "Ada Example,1 Sample Street,London,EC1A 1AA,GB,ada@mail.example"
_numbers = count(1)


@dataclass(frozen=True)
class Orders:
    """A tenant's; `folder` is for the files that are submitted."""

    stack: Stack
    tenant: str
    folder: Path

    def submit(self, external: str = "", sku: str = "MUG", quantity: int = 1, payment: str = "paid") -> str:
        """Submit an order of one line to the channel `web`; returns its external id."""
        name = external or f"N-{time.monotonic_ns()}-{next(_numbers)}"
        row = f"web,{name},2026-03-02T09:00:00Z,GBP,{payment},77,{sku},{quantity},995,{_WHO}\n"
        file = self.folder / f"{name}.csv"
        file.write_text(_HEADER + row)
        with connect(self.tenant) as edges:
            answer = submit(edges, read_orders(file), settings().body_bytes_max)
        assert not answer.failed, answer
        return name

    def standing(self) -> Mapping[str, str]:
        """Status by external id, of the channel `web`."""
        with connect(self.tenant) as edges:
            rows = edges.pages("/v1/orders", "orders", channel="web")
            return {row["external_id"]: row["status"] for row in rows}

    def until(self, holds: Callable[[Mapping[str, str]], bool]) -> None:
        """Wait until it holds of `standing`."""
        give_up_at = time.monotonic() + SECONDS
        while not holds(found := self.standing()):
            assert time.monotonic() < give_up_at, f"it never held: {found}"
            time.sleep(PAUSE_SECONDS)
