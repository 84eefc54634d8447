"""Inventory's HTTP edge for facts from outside: bought, moved, counted, told by feeds, and compared."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from libs.events.conditions import MoveStock
from libs.events.contract import Command, Count, Name, NodeId, Sku
from libs.events.lots import QuarantineLot, ReleaseLot
from libs.events.measure import LOTS_MAX, LotId, SerialNumbers, UnitName
from libs.events.serials import CorrectSerials
from libs.events.stocktaking import ProposeAdjustment, RecordCount, SettleDifference, SuspectStock
from libs.events.supply import (
    CancelSupply,
    CloseTransfer,
    DefineSupplyRules,
    DispatchTransfer,
    ExpectSupply,
    ReceiveSupply,
    ReceiveTransfer,
    SupplyRules,
)
from libs.runtime.edge import MANY_MAX, Edge
from libs.runtime.problems import Problem
from libs.runtime.tokens import Claims
from services.inventory import book, lots_past, needs_book
from services.inventory.api import ItemsRequest, one_or_many, read_item
from services.inventory.feed_api import feed_routes
from services.inventory.feed_map_api import feed_map_routes
from services.inventory.items_api import item_routes
from services.inventory.needs_api import needs_routes
from services.inventory.queue_api import queue_routes
from services.inventory.reconcile import LOOKBACK, Place, explain
from services.inventory.snapshot_api import Complete, SnapshotRow, left_out, told
from services.inventory.unknown_api import must_be_sku

_Items = Annotated[ItemsRequest, Tag("items")]
_TAKEN: tuple[tuple[str, type[Command], str], ...] = (
    ("/supplies", ExpectSupply, "State a line of a purchase order or a ship notice, or up to 500"),
    ("/supplies/receipts", ReceiveSupply, "Receive a line of a purchase order, or up to 500"),
    ("/supplies/cancellations", CancelSupply, "Expect a line of a purchase order no more, or up to 500"),
    ("/transfers", DispatchTransfer, "Send units of a SKU to another node, or of up to 500"),
    ("/transfers/receipts", ReceiveTransfer, "Receive units of a transfer, or of up to 500"),
    ("/transfers/closings", CloseTransfer, "Say that units of a transfer are lost or back, or of up to 500"),
    ("/moves", MoveStock, "Quarantine, release, break, mend or scrap units of a SKU, or of up to 500"),
    ("/lots/quarantines", QuarantineLot, "Recall a lot: sell nothing more of it, or of up to 500"),
    ("/lots/releases", ReleaseLot, "Sell a lot again, or up to 500"),
    ("/proposals", ProposeAdjustment, "Propose an adjustment of a SKU, or of up to 500"),
    ("/serials/corrections", CorrectSerials, "Correct serial numbers of a shelf, or of up to 500"),
    ("/suspicions", SuspectStock, "Promise nothing more of a shelf until it is counted, or of up to 500"),
    ("/settlements", SettleDifference, "Approve or reject a difference of a SKU, or of up to 500"),
)
"""Path, command and summary of what is taken as it comes."""
_FOR_PEOPLE = frozenset({SettleDifference})
"""Commands that no program may send: whoever found the difference does not approve it."""


class LotCountRequest(BaseModel):
    """What was counted of one lot of a shelf."""

    model_config = ConfigDict(extra="forbid")

    lot: LotId
    counted: Count


class CountRequest(BaseModel):
    """A count as somebody takes it; the edge reads what the ledger had then."""

    model_config = ConfigDict(extra="forbid")

    sku: Sku
    count_id: Name
    node: NodeId
    counted: Count
    counted_at: AwareDatetime
    reason_code: Name = "count"
    unit: UnitName | None = None
    lot: LotId | None = None
    serials: SerialNumbers | None = None
    lots: Annotated[list[LotCountRequest], Field(min_length=1, max_length=LOTS_MAX)] | None = None
    """The whole shelf by lot; a lot that is left out was not found."""


class CountsRequest(BaseModel):
    """Up to 500 counts, each answered by itself."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[CountRequest], Field(min_length=1, max_length=MANY_MAX)]


class SnapshotRequest(BaseModel):
    """Rows of a snapshot, all of one moment."""

    model_config = ConfigDict(extra="forbid")

    as_of: AwareDatetime
    rows: Annotated[list[Any], Field(max_length=MANY_MAX)]
    """Each a SnapshotRow; one that is none is answered with what is wrong with it."""
    complete: Complete | None = None
    """That they are all of a node, or of a part of it: what they leave out is compared as well, as none."""

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if not self.rows and self.complete is None:
            raise ValueError("there are no rows, and they do not claim to be all of a node")
        return self


def supply_routes(edge: Edge) -> APIRouter:
    """What inventory answers about facts from outside, under /v1/stock."""
    router = APIRouter(prefix="/v1/stock", tags=["supply"])
    keepers = Annotated[Claims, Depends(edge.require("integrator", "operator"))]
    for path, command, summary in _TAKEN:
        _take(router, edge, path, command, summary)
    _counts(router, edge, keepers)
    feed_routes(router, edge, keepers)
    feed_map_routes(router, edge, keepers)
    _readings(router, edge)
    router.include_router(item_routes(edge))
    router.include_router(needs_routes(edge))
    router.include_router(queue_routes(edge))

    @router.put("/rules", status_code=202, summary="Replace the rules for facts from outside")
    async def define_rules(
        request: Request, claims: Annotated[Claims, Depends(edge.require("operator"))], body: SupplyRules
    ) -> Response:
        return await edge.submit(request, claims, DefineSupplyRules(rules=body))

    return router


def _take(router: APIRouter, edge: Edge, path: str, command: type[Command], summary: str) -> None:
    """One command, or many of it."""
    roles = ("operator",) if command in _FOR_PEOPLE else ("integrator", "operator")
    one_or_many_: Any = Annotated[
        Annotated[command, Tag("item")] | _Items,
        Discriminator(one_or_many),
    ]

    @router.post(path, status_code=202, summary=summary, operation_id=command.TYPE)
    async def take(
        request: Request,
        claims: Annotated[Claims, Depends(edge.require(*roles))],
        body: one_or_many_,
    ) -> Response:
        if isinstance(body, ItemsRequest):
            commands = [read_item(command, item) for item in body.items]
            return await edge.submit_many(request, claims, commands)
        assert isinstance(body, command)
        return await edge.submit(request, claims, body)


def _counts(router: APIRouter, edge: Edge, keepers: Any) -> None:
    @router.post("/counts", status_code=202, summary="Record a count of a SKU at a node, or up to 500")
    async def record_counts(
        request: Request, claims: keepers, body: CountRequest | CountsRequest
    ) -> Response:
        items = body.items if isinstance(body, CountsRequest) else [body]
        commands = await _with_books(edge, claims.tenant, items)
        if isinstance(body, CountsRequest):
            return await edge.submit_many(request, claims, commands)
        if isinstance(commands[0], Problem):
            raise commands[0]
        return await edge.submit(request, claims, commands[0])

    @router.get("/differences", summary="Counts and proposals that wait for a person, by SKU")
    async def differences(
        claims: keepers,
        limit: Annotated[int, Query(ge=1, le=MANY_MAX)] = 100,
        after: Annotated[Sku | None, Query(description="The SKU of the last one before.")] = None,
    ) -> Response:
        async with edge.reading() as connection:
            found = await book.differences(connection, claims.tenant, after or "", limit)
        return _json({"differences": found})


_END = 2**63 - 1
"""Behind every movement."""


def _readings(router: APIRouter, edge: Edge) -> None:
    readers = Annotated[Claims, Depends(edge.require("viewer", "support", "operator", "integrator"))]

    @router.get("/{sku}/book", summary="What the ledger had of a SKU on a node's shelf at a moment")
    async def read_book(
        claims: readers, sku: Sku, node: NodeId, at: Annotated[AwareDatetime | None, Query()] = None
    ) -> Response:
        async with edge.reading() as connection:
            moment = at or datetime.now(UTC)
            [shelf] = await book.shelves(connection, claims.tenant, [(sku, node)], moment)
            lots = await lots_past.shelf_of_lots(connection, claims.tenant, sku, node, moment)
        found = {"sku": sku, "node": node, "at": moment, "book": shelf.units, "position": shelf.position}
        return _json(found | ({"lots": lots} if lots else {}))

    @router.get("/idle", summary="Shelves with units on hand on which nothing has moved for so many days")
    async def read_idle(
        claims: readers,
        days: Annotated[int, Query(ge=1, le=3650)] = 90,
        limit: Annotated[int, Query(ge=1, le=MANY_MAX)] = 100,
        sku: Annotated[Sku | None, Query(description="The SKU of the last one before.")] = None,
        node: Annotated[NodeId | None, Query(description="Its node.")] = None,
    ) -> Response:
        since = datetime.now(UTC) - timedelta(days=days)
        async with edge.reading() as connection:
            found = await book.idle(connection, claims.tenant, since, (sku or "", node or ""), limit)
        return _json({"shelves": found})

    @router.get("/{sku}/supply", summary="What is to come of a SKU, and what of it is not on hand")
    async def read_supply(claims: readers, sku: Sku) -> Response:
        async with edge.reading() as connection:
            await must_be_sku(connection, claims.tenant, sku)
            found = await book.documents(connection, claims.tenant, sku)
            senders = await needs_book.suppliers(connection, claims.tenant, sku)
        for one in found["expected"]:
            one["supplier"] = senders.get(one["supply_id"])
        return _json(found)

    @router.get("/{sku}/movements", summary="Movements of a SKU, the latest first, with what each came of")
    async def read_movements(
        claims: readers,
        sku: Sku,
        node: Annotated[list[NodeId] | None, Query(description="Only these nodes'.")] = None,
        limit: Annotated[int, Query(ge=1, le=MANY_MAX)] = 100,
        before: Annotated[int, Query(ge=1, lt=2**63, description="The `next` of the page before.")] = _END,
    ) -> Response:
        async with edge.reading() as connection:
            found = await book.movements(connection, claims.tenant, sku, before, node, limit + 1)
        following = found[limit - 1]["position"] if len(found) > limit else None
        return _json({"sku": sku, "movements": found[:limit], "next": following})

    @router.post("/comparisons", summary="Compare rows of a snapshot with the ledger as of its moment")
    async def compare(claims: readers, body: SnapshotRequest) -> Response:
        if body.as_of > datetime.now(UTC):
            raise Problem(
                422,
                "effective_in_future",
                "The snapshot is of the future",
                f"The snapshot is said to be of {body.as_of.isoformat()}.",
                "Check the other system's clock and time zone.",
            )
        return _json(await _answer(edge, claims.tenant, body))


async def _answer(edge: Edge, tenant: str, body: SnapshotRequest) -> dict[str, Any]:
    """What comes of each row; and of what they leave out, where they claim to be all."""
    read = [read_item(SnapshotRow, row) for row in body.rows]
    rows, following = [row for row in read if isinstance(row, SnapshotRow)], None
    if body.complete is not None:
        rest, following = await left_out(edge, tenant, body.complete, read)
        rows += rest
    found = iter(await _compared(edge, tenant, body.as_of, rows) if rows else [])
    results = [_problem(row) if isinstance(row, Problem) else next(found) for row in read]
    if body.complete is None:
        return {"results": results}
    return {"results": results, "left_out": told(found), "next": following}


async def _with_books(edge: Edge, tenant: str, items: Sequence[CountRequest]) -> list[RecordCount | Problem]:
    """Counts with what the ledger had at their times; by lot, where they are taken so."""
    commands: list[RecordCount | Problem] = []
    async with edge.reading() as connection:
        for item in items:
            place = (item.sku, item.node)
            [shelf] = await book.shelves(connection, tenant, [place], item.counted_at)
            told = item.model_dump() | {"book": max(0, shelf.units), "position": shelf.position}
            if item.lots is not None:
                had = await lots_past.shelf_of_lots(connection, tenant, *place, item.counted_at)
                told |= {"lots": _of_each_lot(item.lots, had), "book": sum(had.values())}
            commands.append(read_item(RecordCount, told))
    return commands


def _of_each_lot(found: Sequence[LotCountRequest], had: dict[str, int]) -> list[dict[str, Any]]:
    """What was counted of each lot, and what the ledger had; of those that nobody found, nothing."""
    missing = [lot for lot in had if lot not in {one.lot for one in found}]
    counts = [(one.lot, one.counted) for one in found] + [(lot, 0) for lot in missing]
    return [{"lot": lot, "counted": counted, "book": had.get(lot, 0)} for lot, counted in counts]


async def _compared(
    edge: Edge, tenant: str, as_of: datetime, rows: Sequence[SnapshotRow]
) -> list[dict[str, Any]]:
    places: list[Place] = [(row.sku, row.node) for row in rows]
    found: list[dict[str, Any]] = []
    async with edge.reading() as connection:
        shelves = await book.shelves(connection, tenant, places, as_of)
        waiting = await book.waiting(connection, tenant, places)
        differing = [
            place
            for place, row, shelf in zip(places, rows, shelves, strict=True)
            if row.quantity != shelf.units
        ]
        on_the_way = await book.on_the_way(connection, tenant, differing)
        for place, row, shelf in zip(places, rows, shelves, strict=True):
            moves = []
            if row.quantity != shelf.units:
                moves = await book.moved(connection, tenant, place, as_of, LOOKBACK)
            one = explain(row.quantity, shelf, as_of, moves, on_the_way.get(place, {}))
            found.append(
                {
                    "sku": row.sku,
                    "node": row.node,
                    "theirs": row.quantity,
                    "book": one.book,
                    "variance": one.variance,
                    "outcome": one.outcome,
                    "explanation": one.explanation,
                    "events": one.events,
                    "position": shelf.position,
                    "waiting": waiting.get(place),
                }
            )
    return found


def _problem(wrong: Problem) -> dict[str, Any]:
    return {"problem": wrong.document()}


def _json(found: object) -> Response:
    return Response(orjson.dumps(found), media_type="application/json")
