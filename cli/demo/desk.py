"""Sends the demo's commands over HTTP, as partners would: bearer token, bulk requests, retries.

A stage that is down is tried again until it is back: a request keeps its Idempotency-Key and each command its
id, so that what arrived the first time is not done twice.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence

import httpx
import orjson

from cli.demo.actors import Order
from cli.demo.plan import Node
from libs.events.catalogue import encode
from libs.runtime.complaint import Complaint
from libs.runtime.settings import Settings
from libs.runtime.tokens import mint

ROWS_MAX = 500
BODY_BYTES_MAX = 900_000
"""Below the edge's limit, with room for what surrounds the rows."""
TOKEN_SECONDS = 6 * 3600
TIMEOUT_SECONDS = 30.0
BACKOFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)


class Desk:
    """One sender a stage, each with the commands that wait for it. Use as an async context manager."""

    def __init__(self, settings: Settings, tenant: str) -> None:
        self._settings = settings
        self._tenant = tenant
        self._queues: dict[str, deque[bytes]] = {}
        self._wake: dict[str, asyncio.Event] = {}
        self._senders: list[asyncio.Task[None]] = []
        token = mint(settings.jwt_key_file, tenant, "demo", "operator", TOKEN_SECONDS)
        self._http = httpx.AsyncClient(
            headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )
        self.refused: Counter[str] = Counter()
        """Rows that an edge did not take, by problem; none is expected."""
        self.retries: Counter[str] = Counter()
        """Requests that were sent again, by stage."""
        self.sent: Counter[str] = Counter()
        """Commands by stage."""

    async def __aenter__(self) -> "Desk":
        return self

    async def __aexit__(self, *_: object) -> None:
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
        await self._http.aclose()

    @property
    def waiting(self) -> int:
        """Commands that no stage has taken yet."""
        return sum(map(len, self._queues.values()))

    def send(self, orders: Iterable[Order]) -> None:
        """Queue commands; they go out in this order, as many in a request as are there."""
        for order in orders:
            if order.stage not in self._queues:
                self._queues[order.stage] = deque()
                self._wake[order.stage] = asyncio.Event()
                self._senders.append(asyncio.create_task(self._deliver(order.stage)))
            row = {"type": order.body.TYPE, "id": str(order.id), "data": orjson.Fragment(encode(order.body))}
            self._queues[order.stage].append(orjson.dumps(row))
            self._wake[order.stage].set()

    def check(self) -> None:
        """Complaint: a sender has given up, because a stage does not understand it."""
        for sender in self._senders:
            if sender.done() and not sender.cancelled() and (failed := sender.exception()):
                raise failed

    async def submit(self, requests: Sequence[Mapping[str, object]], key: str) -> None:
        """Send orders to intake, in bodies that it accepts. Returns when it has taken all of them."""
        rows = [orjson.dumps(request) for request in requests]
        for number, part in enumerate(_parts(rows)):
            body = b'{"orders":[' + b",".join(part) + b"]}"
            headers = {"idempotency-key": f"{key}.{number}"}
            answer = await self._call("POST", "intake", "/v1/orders/batch", body, headers)
            self._note(answer)

    async def write(self, order_id: str, text: str) -> None:
        """Write a note on an order, once."""
        headers = {"idempotency-key": f"note-{order_id}"}
        await self._call(
            "POST", "intake", f"/v1/orders/{order_id}/notes", orjson.dumps({"text": text}), headers
        )

    async def define_node(self, node: Node) -> None:
        """Make a node known to routing, and wait until it is."""
        body = {
            "name": node.name,
            "country": node.country,
            "latitude": node.latitude,
            "longitude": node.longitude,
            "ships_to": node.ships_to,
            "operations": node.operations,
        }
        await self._define(f"/v1/nodes/{node.node}", f"node-{node.node}", body)

    async def define_transit(self, terms: Mapping[str, object]) -> None:
        """Say how long a service takes, and wait until routing knows."""
        body = {name: value for name, value in terms.items() if name != "service"}
        await self._define(f"/v1/transit/{terms['service']}", f"transit-{terms['service']}", body)

    async def _define(self, path: str, key: str, body: Mapping[str, object]) -> None:
        headers = {"prefer": "wait=10", "idempotency-key": key}
        await self._call("PUT", "routing", path, orjson.dumps(body), headers)

    async def _deliver(self, stage: str) -> None:
        queue, wake = self._queues[stage], self._wake[stage]
        while True:
            await wake.wait()
            wake.clear()
            while queue:
                rows = _ready(queue)
                body = b'{"commands":[' + b",".join(rows) + b"]}"
                answer = await self._call("POST", stage, "/v1/commands", body, {})
                for _ in rows:
                    queue.popleft()
                self.sent[stage] += len(rows)
                self._note(answer)

    async def _call(self, method: str, stage: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        """The answer's body. Complaint: the stage refuses the request as a whole."""
        url = f"http://{self._settings.http_host}:{self._settings.port(stage)}{path}"
        attempt = 0
        while True:
            try:
                answer = await self._http.request(method, url, content=body, headers=headers)
            except httpx.TransportError:
                pass
            else:
                if answer.status_code < 300:
                    return answer.content
                if answer.status_code < 500 and answer.status_code not in (408, 425, 429):
                    raise Complaint(
                        f"{stage} refuses the demo's request to {path} ({answer.status_code}).",
                        f"See `orderlog logs {stage}`; its answer is below.",
                        details=answer.text[:2000],
                    )
            self.retries[stage] += 1
            await asyncio.sleep(BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS) - 1)])
            attempt += 1

    def _note(self, answer: bytes) -> None:
        for result in orjson.loads(answer)["results"]:
            if result["status"] >= 400:
                problem = result.get("problem", {})
                self.refused[f"{problem.get('title')}: {problem.get('detail')}"] += 1


def _ready(queue: deque[bytes]) -> list[bytes]:
    """What goes into the next request; it stays queued until it was taken."""
    rows: list[bytes] = []
    size = 0
    for row in queue:
        size += len(row) + 1
        if rows and (size > BODY_BYTES_MAX or len(rows) == ROWS_MAX):
            break
        rows.append(row)
    return rows


def _parts(rows: Sequence[bytes]) -> Iterable[list[bytes]]:
    queue = deque(rows)
    while queue:
        part = _ready(queue)
        for _ in part:
            queue.popleft()
        yield part
