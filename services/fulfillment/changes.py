"""What fulfillment makes of a change by support: units taken off before they are picked, a release withheld.

Of a line, units without a node go first, then those at the nodes that were asked last and have not picked
them. Picked or packed units stay: they would have to be found again among the others of their parcel.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from libs.events.amendments import AllocationOutdated, AmendedTerms
from libs.events.changes import (
    AllocationDeclined,
    HoldPlaced,
    Kept,
    KeptUnits,
    LineCancellationDeclined,
    LineCancellationRequested,
    LinesCancelled,
    OrderResumed,
    StoppedUnits,
)
from libs.events.contract import Event
from libs.events.inventory import StockAllocated
from libs.events.order import Destination, LineQuantity, NodeLines, PickFrom, Sealed, Unpacked
from libs.events.record import record
from services.fulfillment.accounts import Accounts, both, less, merged, place
from services.fulfillment.work import Work

_LISTED_MAX = 5

Changing = (
    LineCancellationRequested
    | LinesCancelled
    | LineCancellationDeclined
    | AllocationDeclined
    | HoldPlaced
    | OrderResumed
)
"""What support did, heard of intake, and what came of it."""


@record
class Withheld:
    """What was allocated while the order was held: of `StockAllocated`, what a release needs."""

    order_id: str
    round: int
    nodes: tuple[NodeLines, ...]
    destination: Destination
    contact: Sealed | None = None
    later: tuple[LineQuantity, ...] | None = None
    bundles: Unpacked | None = None
    picks: tuple[PickFrom, ...] | None = None
    service: str | None = None


@record
class Support:
    """What support did to the order, as far as fulfillment goes by it."""

    held: bool = False
    """By a person, since before anything was released."""
    withheld: tuple[Withheld, ...] = ()
    """What was allocated meanwhile, round by round, and waits for the end of the hold."""
    cancellations: tuple[str, ...] = ()
    """Those of lines that were answered."""
    amended: AmendedTerms | None = None
    """What of the order's terms is other than it was."""


NO_SUPPORT = Support()


def cancel_lines(
    accounts: Accounts,
    work: Mapping[str, Work],
    asked: LineCancellationRequested,
    bundles: Unpacked | None = None,
) -> list[Event]:
    """What is stopped, and what it is too late for. The lines' accounts must be known; of bundles, those of
    their parts are, from the first allocation on, and a part alone does not leave its bundle."""
    without_node = both(asked.lines, _awaiting(accounts))
    left = {units.line: units.quantity for units in less(asked.lines, without_node)}
    stopped: list[StoppedUnits] = []
    for id_, at_node in reversed(list(work.items())):
        if at_node.step == "released" and (off := both(at_node.asked, left)):
            stopped.append(StoppedUnits(fulfillment_order_id=id_, node=at_node.node, lines=off))
            for units in off:
                left[units.line] -= units.quantity
    cancelled = merged(without_node, *(units.lines for units in stopped))
    events: list[Event] = []
    if cancelled:
        events.append(
            LinesCancelled(
                order_id=asked.order_id,
                cancellation_id=asked.cancellation_id,
                lines=cancelled,
                work=tuple(stopped),
                reason=asked.reason,
            )
        )
    if kept := _kept(accounts, work, left, bundles):
        events.append(
            LineCancellationDeclined(
                order_id=asked.order_id,
                cancellation_id=asked.cancellation_id,
                lines=kept,
                reason=_why(kept),
            )
        )
    return events


def off_work(work: Mapping[str, Work], stopped: Iterable[StoppedUnits]) -> dict[str, Work]:
    """The work without these units."""
    after = dict(work)
    for units in stopped:
        after[units.fulfillment_order_id] = after[units.fulfillment_order_id].without(units.lines)
    return after


def withheld(allocated: StockAllocated) -> Withheld:
    """What of it waits for the end of a hold."""
    return Withheld(
        allocated.order_id,
        allocated.round,
        allocated.nodes,
        allocated.destination,
        allocated.contact,
        allocated.later,
        allocated.bundles,
        allocated.picks,
        allocated.service,
    )


def surplus(
    allocations: Iterable[StockAllocated | Withheld], accounts: Accounts
) -> Iterator[AllocationDeclined]:
    """What of these allocations nobody waits for any more. They are read round by round and node by node, as
    the release does."""
    awaiting = _awaiting(accounts)
    for allocated in allocations:
        nodes: list[NodeLines] = []
        for at_node in allocated.nodes:
            wanted = both(at_node.lines, awaiting)
            for units in wanted:
                awaiting[units.line] -= units.quantity
            if more := less(at_node.lines, wanted):
                nodes.append(NodeLines(node=at_node.node, lines=more))
        if nodes:
            yield AllocationDeclined(order_id=allocated.order_id, round=allocated.round, nodes=tuple(nodes))


def reduced(
    withheld: Iterable[Withheld], declined: AllocationDeclined | AllocationOutdated
) -> tuple[Withheld, ...]:
    """What waits without what was declined of its round."""
    gone = {at_node.node: at_node.lines for at_node in declined.nodes}
    left: list[Withheld] = []
    for allocated in withheld:
        if allocated.round != declined.round:
            left.append(allocated)
            continue
        nodes = [
            NodeLines(node=at_node.node, lines=lines)
            for at_node in allocated.nodes
            if (lines := less(at_node.lines, gone.get(at_node.node, ())))
        ]
        if nodes:
            left.append(replace(allocated, nodes=tuple(nodes)))
    return tuple(left)


def why_not_held(work: Mapping[str, Work], ended: bool) -> str:
    """Why a hold comes too late, and what is possible instead."""
    if ended:
        return "Too late to hold: the order has come to its end."
    at_nodes = ", ".join(
        f"{id_} is {one.step} at {one.node}" for id_, one in list(work.items())[:_LISTED_MAX]
    )
    return (
        f"Too late to hold: {at_nodes}"[:380]
        + ". Cancel lines that are not picked yet, or the order before it is dispatched."
    )


def _awaiting(accounts: Accounts) -> dict[int, int]:
    return {line: account.awaiting for line, account in accounts.items()}


def _kept(
    accounts: Accounts, work: Mapping[str, Work], left: Mapping[int, int], bundles: Unpacked | None
) -> tuple[KeptUnits, ...]:
    """Units that stay, by what has become of them: the least advanced first."""
    rest = {line: units for line, units in left.items() if units}
    kept: list[KeptUnits] = [
        KeptUnits(line=bundle.line, sku=bundle.sku, quantity=units, code="bundle")
        for bundle in bundles or ()
        if (units := rest.pop(bundle.line, 0))
    ]
    stages: tuple[tuple[Kept, Sequence[LineQuantity]], ...] = (
        ("picked", merged(*(w.picked for w in work.values() if w.step in ("picked", "packed")))),
        ("dispatched", merged(*(w.picked for w in work.values() if w.step == "dispatched"))),
        (
            "ended",
            merged(*(place(accounts, name) for name in ("delivered", "lost", "cancelled", "unroutable"))),
        ),
    )
    for code, there in stages:
        for units_there in both(there, rest):
            rest[units_there.line] -= units_there.quantity
            kept.append(
                KeptUnits(
                    line=units_there.line, sku=units_there.sku, quantity=units_there.quantity, code=code
                )
            )
    assert not any(rest.values()), f"more units were to be cancelled than were ordered: {rest}"
    return tuple(kept)


_TOO_LATE = {
    "bundle": "parts at their nodes already: cancel the whole order before it is dispatched, or return them",
    "picked": "picked already: cancel the whole order before it is dispatched, or return them",
    "dispatched": "with the carrier: authorise a return once they are delivered",
    "ended": "at their end already",
}


def _why(kept: Sequence[KeptUnits]) -> str:
    found = [f"{units.quantity} of {units.sku} are {_TOO_LATE[units.code]}" for units in kept[:_LISTED_MAX]]
    more = f"; and {len(kept) - _LISTED_MAX} more" if len(kept) > _LISTED_MAX else ""
    return f"Too late: {'; '.join(found)}"[:480] + f"{more}."
