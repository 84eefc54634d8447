"""Orders of a tenant, submitted and looked up as the command line does it."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.e2e.stacks import Stack

SECONDS = 60.0
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
        done = self.stack.run("orders", "submit", str(file), "--tenant", self.tenant, "--json")
        assert done.returncode == 0, done.stderr
        return name

    def standing(self) -> Mapping[str, str]:
        """Status by external id, of the channel `web`."""
        answer = self._ask("orders", "list", "--channel", "web", "-n", "1000")
        return {row["external_id"]: row["status"] for row in answer["orders"]}

    def until(self, holds: Callable[[Mapping[str, str]], bool]) -> None:
        """Wait until it holds of `standing`."""
        give_up_at = time.monotonic() + SECONDS
        while not holds(found := self.standing()):
            assert time.monotonic() < give_up_at, f"it never held: {found}"

    def _ask(self, *arguments: str) -> dict[str, Any]:
        done = self.stack.run(*arguments, "--tenant", self.tenant, "--json")
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer
