"""A vendor's feed of any size through the running stages: rows a second, and what it takes in memory.

The file is loaded by `orderlog stock feed` as anybody would, in a process of its own.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
import psutil

from cli.bench.drive import Progress, tenant_name
from cli.client import connect
from deploy.local.programs import find
from deploy.local.stack import home
from libs.runtime.complaint import Complaint

_FEED, _NODE = "bench", "VENDOR"
_LOOK_SECONDS = 0.1
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
    with connect(tenant, "integrator") as edges:
        place = {"name": "Vendor", "country": "GB", "latitude": 51.5, "longitude": -0.1}
        edges.send("routing", f"/v1/nodes/{_NODE}", place, method="PUT")
        edges.send("inventory", f"/v1/stock/feeds/{_FEED}", {"node": _NODE, "kind": "vendor"}, method="PUT")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "feed.csv"
        with file.open("w") as written:
            written.write("sku,quantity\n")
            written.writelines(f"V{number:07},{number % 90 + 10}\n" for number in range(rows))
        return _loaded(file, rows, tenant, progress)


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
