"""A vendor's feed of any size through the running stages: rows a second, and what it takes in memory.

The file is loaded by `orderlog stock feed` as anybody would, in a process of its own.

A mapped feed's row is decided twice, as theirs and then as ours: it counts when ours is on the shelf.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil

from cli.bench.drive import Progress, tenant_name
from cli.client import connect
from deploy.local.programs import find
from deploy.local.stack import home
from libs.runtime.complaint import Complaint

_FEED, _NODE = "bench", "VENDOR"
_LOOK_SECONDS = 0.1
_LAST_ROWS, _ON_THE_SHELF_SECONDS = 50, 600.0
"""Rows that are looked for on the shelf, and how long at most."""
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Fed:
    """What became of a file. Memory is the most that was resident, in MiB; of inventory's first process."""

    rows: int
    taken: int
    seconds: float
    loader_mib: float
    inventory_mib: float
    inventory_before_mib: float


def feed(rows: int, progress: Progress) -> Fed:
    """Load a file of so many rows. Complaint: the stack is not up, or the file was not loaded."""
    tenant = tenant_name()
    _define(tenant, mapped=False)
    with tempfile.TemporaryDirectory() as folder:
        return _loaded(_written(Path(folder), "V", rows), rows, tenant, progress)


def mapped_feed(rows: int, progress: Progress) -> float:
    """Seconds from the load of a file of so many rows in a vendor's words, whose map has an entry for each,
    until all are on the shelf. Complaint: as `feed`, or they do not come there."""
    tenant = tenant_name()
    _define(tenant, mapped=True)
    with tempfile.TemporaryDirectory() as folder:
        entries = Path(folder) / "map.csv"
        with entries.open("w") as written:
            written.write("theirs,sku\n")
            written.writelines(f"T{number:07},V{number:07}\n" for number in range(rows))
        _run(("stock", "feed-map", _FEED, str(entries), "--tenant", tenant, "--json"))
        file = _written(Path(folder), "T", rows)
        began = time.monotonic()
        told = _run(("stock", "feed", str(file), "--feed", _FEED, "--tenant", tenant, "--json"))
        if told["taken"] != rows:
            raise Complaint(f"{told['taken']} of {rows} rows were taken.", "See `orderlog logs inventory`.")
        _wait_for(tenant, [f"V{number:07}" for number in range(rows)[-_LAST_ROWS:]])
        progress(rows, rows)
        return time.monotonic() - began


def _define(tenant: str, *, mapped: bool) -> None:
    with connect(tenant, "integrator") as edges:
        place = {"name": "Vendor", "country": "GB", "latitude": 51.5, "longitude": -0.1}
        edges.send("routing", f"/v1/nodes/{_NODE}", place, method="PUT")
        feed_ = {"node": _NODE, "kind": "vendor", "mapped": mapped}
        edges.send("inventory", f"/v1/stock/feeds/{_FEED}", feed_, method="PUT")


def _written(folder: Path, letter: str, rows: int) -> Path:
    file = folder / "feed.csv"
    with file.open("w") as written:
        written.write("sku,quantity\n")
        written.writelines(f"{letter}{number:07},{number % 90 + 10}\n" for number in range(rows))
    return file


def _run(words: Sequence[str]) -> dict[str, Any]:
    """What a command of ours tells at its end. Complaint: it failed."""
    ended = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "cli.main", *words], capture_output=True, env=os.environ, check=False
    )
    if ended.returncode:
        said = ended.stderr.decode()[-500:]
        raise Complaint(f"`orderlog {' '.join(words[:2])}` failed: {said}", "See `orderlog logs inventory`.")
    return dict(orjson.loads(ended.stdout.splitlines()[-1]))


def _wait_for(tenant: str, skus: Sequence[str]) -> None:
    """Return once units of each of these are on hand; reminders come due in their order, lane by lane."""
    waits_until = time.monotonic() + _ON_THE_SHELF_SECONDS
    with connect(tenant, "integrator") as edges:
        basket = {"lines": [{"sku": sku, "quantity": 1} for sku in skus]}
        while not edges.send("inventory", "/v1/availability", basket)["available"]:
            if time.monotonic() > waits_until:
                raise Complaint(
                    "What a mapped feed told does not come to the shelf.", "See `orderlog logs inventory`."
                )
            time.sleep(_LOOK_SECONDS)


def _loaded(file: Path, rows: int, tenant: str, progress: Progress) -> Fed:
    """Run the command, and watch the memory of both processes meanwhile."""
    running = find(home(), "inventory")
    if running is None:
        raise Complaint("inventory does not run here.", "Start the stack with `orderlog up`.")
    inventory = psutil.Process(running.pid)
    before, began = inventory.memory_info().rss, time.monotonic()
    words = ("stock", "feed", str(file), "--feed", _FEED, "--tenant", tenant, "--json")
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "cli.main", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ,
    ) as loading:
        most = {loading.pid: 0, inventory.pid: before}
        ended = threading.Event()
        watching = threading.Thread(target=_watch, args=(most, ended))
        watching.start()
        out, error = loading.communicate()
        seconds = time.monotonic() - began
        ended.set()
        watching.join()
    told = orjson.loads(out.splitlines()[-1]) if out else {}
    progress(told.get("rows", 0), rows)
    if told.get("rows") != rows:
        raise Complaint(f"The feed was not loaded: {error.decode()[-500:]}", "See `orderlog logs inventory`.")
    sizes = (most[loading.pid], most[inventory.pid], before)
    return Fed(rows, told["taken"], seconds, *(size / _MIB for size in sizes))


def _watch(most: dict[int, int], ended: threading.Event) -> None:
    """Keep the largest resident size of each process."""
    while not ended.wait(_LOOK_SECONDS):
        for pid in most:
            with suppress(psutil.NoSuchProcess):
                most[pid] = max(most[pid], psutil.Process(pid).memory_info().rss)
