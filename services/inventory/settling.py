"""Differences that a person is asked about: with another system, or of a count that is too large to believe.

A shelf has at most one that waits. What is newer takes the place of what is older, and what would be booked
a second time is refused: an approval books the variance alone, so the books must be those that it was taken
from, but for what moved in both.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from libs.events.contract import Event
from libs.events.stocktaking import (
    AdjustmentProposed,
    DifferenceSettled,
    DifferenceSuperseded,
    ProposeAdjustment,
    SettleDifference,
)
from services.inventory.desk import Desk, SupplyPosting, not_yet, served, spared, too_many, unknown
from services.inventory.differences import Difference
from services.inventory.lot_control import without_lots
from services.inventory.lot_counts import book_lots
from services.inventory.serial_control import without_serials

_RECOUNT = "Reject it, and count the shelf, or compare a newer snapshot."


def propose(desk: Desk, command: ProposeAdjustment) -> list[Event]:
    """Ask a person about a difference with another system, or none about an older one: they agree."""
    id_, node, as_of = command.proposal_id, command.node, command.as_of
    if refusal := unknown(desk, node) or not_yet(desk, as_of):
        return refusal
    if command.variance and (id_ in desk.supply.differences or id_ in desk.supply.counts):
        return desk.refuse(
            "already_proposed",
            f"Proposal {id_} of {desk.sku} was made before.",
            "Nothing: it waits for a person, or was settled. Another one has an id of its own.",
        )
    if refusal := _stale(desk, command):
        return refusal
    closed = superseded(desk, older(desk, node, as_of), "snapshot", id_)
    if not command.variance:
        return closed or desk.refuse(
            "no_change", f"Proposal {id_} changes nothing.", "Propose only differences."
        )
    if refusal := outrun(desk, id_, node, as_of):
        return refusal
    asked = AdjustmentProposed(
        sku=desk.sku,
        proposal_id=id_,
        node=node,
        variance=command.variance,
        as_of=as_of,
        system=command.system,
        explanation=command.explanation,
        up_to=desk.stock.position,
    )
    return [*closed, asked]


def settle(desk: Desk, command: SettleDifference) -> list[Event]:
    """A person decided about a held count or a proposal."""
    id_ = command.proposal_id
    found = desk.supply.differences.get(id_)
    if found is None:
        return _not_open(desk, id_)
    variance = found.variance if command.approve else 0
    refusal = (_overtaken(desk, id_, found) if command.approve else []) or too_many(desk, variance)
    if variance > 0 and not found.lots:
        refusal = refusal or without_lots(
            desk,
            f"the difference {id_}",
            "Book the units to their lot: `orderlog stock adjust`, and reject the difference.",
        )
    if variance:
        refusal = refusal or without_serials(
            desk,
            f"the difference {id_}",
            "Book the units with their numbers: `orderlog stock adjust`, and reject the difference.",
        )
    if refusal:
        return refusal
    looked = found.source == "count" and command.approve
    if found.lots and command.approve:
        broken, spare, posting, short = book_lots(desk, found.node, found.lots, looked)
    else:
        broken, spare, posting, short = book(desk, found.node, variance, looked)
    settled_ = DifferenceSettled(
        sku=desk.sku,
        proposal_id=id_,
        node=found.node,
        source=found.source,
        approved=command.approve,
        variance=found.variance,
        allocated_short=short,
        note=command.note,
        effective_at=found.as_of,
        movements=posting.booked(),
    )
    return [*broken, *served(spare, settled_)]


def older(desk: Desk, node: str, until: datetime) -> dict[str, Difference]:
    """What waits of a node, and was true no later than that."""
    waiting = desk.supply.differences
    return {id_: one for id_, one in waiting.items() if one.node == node and one.as_of <= until}


def superseded(
    desk: Desk, old: Mapping[str, Difference], cause: Literal["count", "snapshot", "feed"], by: str
) -> list[Event]:
    """Something newer was told of these differences' shelf: they ask nobody any more."""
    return [
        DifferenceSuperseded(
            sku=desk.sku,
            proposal_id=id_,
            node=one.node,
            source=one.source,
            variance=one.variance,
            as_of=one.as_of,
            cause=cause,
            by=by,
        )
        for id_, one in old.items()
    ]


def outrun(desk: Desk, id_: str, node: str, as_of: datetime) -> list[Event]:
    """A refusal of a difference that would wait, when one waits that is newer, or as new."""
    for other, one in desk.supply.differences.items():
        if one.node == node and one.as_of >= as_of:
            return desk.refuse(
                "superseded",
                f"{id_} of {desk.sku} at {node} is of {as_of.isoformat()}; {other}, of "
                f"{one.as_of.isoformat()}, waits for a person already.",
                f"Settle {other} first: `orderlog stock settle`. If it is rejected, send this one again.",
            )
    return []


def book(
    desk: Desk,
    node: str,
    variance: int,
    looked: bool,
    lot: str | None = None,
    serials: tuple[str, ...] | None = None,
) -> tuple[list[Event], Desk, SupplyPosting, int]:
    """What a variance moves at a node, once what is suspect is back when somebody `looked`: the promises that
    break, the desk after that, the movements, and the units that lack and are allocated."""
    doubted = desk.supply.units("suspect", node) if looked else 0
    there = desk.stock.on_hand.get(node, 0) + doubted
    gone = min(max(0, -variance), there)
    broken, spare = spared(desk, {node: gone - doubted})
    posting = SupplyPosting(spare)
    posting.move(node, "suspect", "on_hand", doubted)
    posting.move(node, "adjustment", "on_hand", max(0, variance), lot, serials or None)
    posting.move(node, "on_hand", "written_off", gone, serials=serials or None)
    return broken, spare, posting, max(0, -variance) - gone


def _not_open(desk: Desk, id_: str) -> list[Event]:
    """A refusal to settle what waits for nobody."""
    if by := desk.supply.superseded.get(id_):
        return desk.refuse(
            "superseded",
            f"{id_} of {desk.sku} asks nothing any more: {by} is newer.",
            f"Settle {by}, if it waits: `orderlog stock differences`.",
        )
    settled = id_ in desk.supply.counts
    return desk.refuse(
        "already_settled" if settled else "unknown_proposal",
        f"{id_} of {desk.sku} {'is settled' if settled else 'asks nothing: nobody has proposed it'}.",
        "List what waits: `orderlog stock differences`.",
    )


def _stale(desk: Desk, command: ProposeAdjustment) -> list[Event]:
    """A refusal of a snapshot that is older than a count, or was held against other books."""
    id_, node, position = command.proposal_id, command.node, command.position
    if position is not None and position > desk.stock.position:
        return desk.refuse(
            "unknown_position",
            f"Proposal {id_} was held against position {position} of {desk.sku}, which stands at "
            f"{desk.stock.position}.",
            "Compare the snapshot again, and send the position that the answer names.",
        )
    mark = desk.supply.counted.get(node)
    if mark is not None and command.as_of <= mark.counted_at:
        return desk.refuse(
            "superseded",
            f"{desk.sku} at {node} was counted, or settled, as of {mark.counted_at.isoformat()}; proposal "
            f"{id_} is of {command.as_of.isoformat()}.",
            "Nothing: what is newer has spoken. Compare a snapshot of after that.",
        )
    if mark is not None and position is not None and position < mark.position:
        return desk.refuse(
            "book_changed",
            f"{desk.sku} at {node} was booked by a count since it was read for proposal {id_}.",
            "Compare the snapshot again.",
        )
    return []


def _overtaken(desk: Desk, id_: str, found: Difference) -> list[Event]:
    """A refusal to book a difference that may be booked already, in part or as a whole."""
    node, why = found.node, ""
    mark = desk.supply.counted.get(node)
    vain = sum(at > found.position for at in desk.supply.short_picks.get(node, ()))
    if mark is not None and mark.counted_at > found.as_of:
        why = f"it was counted, or settled, as of {mark.counted_at.isoformat()}"
    elif found.corrected is not None:
        why = f"{found.corrected:+} units were booked there to correct it"
    elif vain:
        why = f"{vain} picks found nothing there, and took what lacked off the books"
    if not why:
        return []
    return desk.refuse(
        "superseded",
        f"{id_} says {found.variance:+} of {desk.sku} at {node} as of {found.as_of.isoformat()}; since it "
        f"was told, {why}.",
        _RECOUNT,
    )
