"""Units on their way between nodes: dispatched, in transit, received (short, over, damaged), overdue, closed.

Each movement stays at one node, so a dispatch passes through the contra bucket `transfer`: from `on_hand` to
`transfer` where they leave, from `transfer` to `in_transit` where they are awaited. Nodes tell of their ends
independently, so a receipt may come before its dispatch; it is kept, and booked with that. Units above what
was dispatched, also of a transfer that is done with, go into quarantine: a person says whose they are.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from libs.events.contract import Event
from libs.events.supply import (
    CloseTransfer,
    DispatchTransfer,
    ReceiveTransfer,
    TransferClosed,
    TransferDispatched,
    TransferOverdue,
    TransferReceiptHeld,
    TransferReceived,
)
from services.inventory.desk import Desk, SupplyPosting, after, not_yet, served, too_many, unknown
from services.inventory.lot_transfers import land, open_lots, parts, sent, unreceivable, unsendable
from services.inventory.serial_control import leaving
from services.inventory.supplies import Transfer

Outcome = Literal["partial", "complete", "short", "over"]


def dispatch(desk: Desk, command: DispatchTransfer) -> list[Event]:
    """Units leave a node; what was received of them by now is booked with it."""
    refusal = (
        unknown(desk, command.source_node, command.target_node)
        or not_yet(desk, command.effective_at)
        or _not_to_send(desk, command)
        or leaving(desk, command.serials, command.quantity, "on_hand", command.source_node)
        or unsendable(desk, command)
    )
    if refusal:
        return refusal
    known = desk.supply.transfers.get(command.transfer_id, Transfer())
    posting = SupplyPosting(desk)
    serials = command.serials or None
    for lot, units in parts(command.lots, command.quantity):
        posting.move(command.source_node, "on_hand", "transfer", units, lot, serials)
    for lot, units in parts(command.lots, command.quantity):
        posting.move(command.target_node, "transfer", "in_transit", units, lot, serials)
    dispatched = TransferDispatched(
        sku=desk.sku,
        transfer_id=command.transfer_id,
        source_node=command.source_node,
        target_node=command.target_node,
        quantity=command.quantity,
        due_at=command.due_at,
        effective_at=command.effective_at,
        check_at=_check_at(desk, command.transfer_id, command.due_at),
        movements=posting.booked(),
    )
    dispatched = sent(dispatched, command.target_node)
    events: list[Event] = [dispatched]
    there = after(desk, dispatched)
    for early in known.early:
        received = _received(there, command.transfer_id, early)
        events.append(received)
        there = after(there, received)
    return served(desk, *events)


def receive(desk: Desk, command: ReceiveTransfer) -> list[Event]:
    """Units arrived; of a transfer that nobody has dispatched yet, it is kept."""
    id_ = command.transfer_id
    known = desk.supply.transfers.get(id_, Transfer())
    refusal = (
        not_yet(desk, command.effective_at)
        or _not_to_receive(desk, known, command)
        or _misnamed(desk, known, command)
        or unreceivable(desk, command)
    )
    if refusal:
        return refusal
    if not known.source_node:
        return [
            TransferReceiptHeld(
                sku=desk.sku,
                transfer_id=id_,
                receipt_id=command.receipt_id,
                quantity=command.quantity,
                damaged=command.damaged,
                final=command.final,
                effective_at=command.effective_at,
                lots=command.lots,
                damaged_lots=command.damaged_lots,
            )
        ]
    over = command.quantity + command.damaged - known.open
    return too_many(desk, over) or served(desk, _received(desk, id_, command))


def close(desk: Desk, command: CloseTransfer) -> list[Event]:
    """What never arrived is lost, or back where it came from."""
    id_ = command.transfer_id
    known = desk.supply.transfers.get(id_)
    if known is None or not known.source_node:
        return _unknown_transfer(desk, id_)
    if known.closed:
        return desk.refuse(
            "transfer_closed",
            f"Transfer {id_} of {desk.sku} is done with: all of it has arrived, or was given up.",
            "If units of it turn up, receive them: they wait in quarantine.",
        )
    if refusal := leaving(desk, command.serials, known.open, "in_transit", known.target_node):
        return refusal
    serials = command.serials or None
    posting = SupplyPosting(desk)
    lots = [(None, known.open)] if desk.stock.lots is None else [*open_lots(desk, id_).items()]
    for lot, units in lots:
        if command.outcome == "lost":
            posting.move(known.target_node, "in_transit", "missing", units, lot, serials)
        else:
            posting.move(known.target_node, "in_transit", "transfer", units, lot, serials)
            posting.move(known.source_node, "transfer", "on_hand", units, lot, serials)
    closed = TransferClosed(
        sku=desk.sku,
        transfer_id=id_,
        outcome=command.outcome,
        quantity=known.open,
        reason=command.reason,
        check_at=_check_at(desk, id_, None),
        movements=posting.booked(),
    )
    return served(desk, closed)


def overdue(desk: Desk) -> list[Event]:
    """Tell of every transfer that should have arrived by now, each once."""
    late = [
        (id_, known)
        for id_, known in desk.supply.transfers.items()
        if _awaited(known) and known.due_at is not None and known.due_at <= desk.at
    ]
    told: list[Event] = []
    for id_, known in late:
        assert known.due_at is not None, f"{id_} is late for nothing"
        event = TransferOverdue(
            sku=desk.sku,
            transfer_id=id_,
            source_node=known.source_node,
            target_node=known.target_node,
            open=known.open,
            due_at=known.due_at,
            check_at=_check_at(desk, id_, None),
        )
        desk = after(desk, event)
        told.append(event)
    return told


def _received(desk: Desk, id_: str, receipt: ReceiveTransfer | TransferReceiptHeld) -> TransferReceived:
    """The receipt of a dispatched transfer; units above what was dispatched go into quarantine."""
    known = desk.supply.transfers[id_]
    node = known.target_node
    posting = SupplyPosting(desk)
    if desk.stock.lots is None:
        over, left = _landed(posting, known, receipt)
    else:
        over, left = land(desk, posting, id_, receipt)
    short = left if receipt.final else 0
    outcome: Outcome = "partial"
    if over:
        outcome = "over"
    elif short:
        outcome = "short"
    elif not left:
        outcome = "complete"
    still_open = left - short
    return TransferReceived(
        sku=desk.sku,
        transfer_id=id_,
        receipt_id=receipt.receipt_id,
        node=node,
        quantity=receipt.quantity,
        damaged=receipt.damaged,
        outcome=outcome,
        over=over,
        short=short,
        open=still_open,
        effective_at=receipt.effective_at,
        check_at=_check_at(desk, id_, known.due_at if still_open and not known.overdue else None),
        movements=posting.booked(),
    )


def _landed(
    posting: SupplyPosting, known: Transfer, receipt: ReceiveTransfer | TransferReceiptHeld
) -> tuple[int, int]:
    """Post what arrived; the units beyond what is on its way, and those that are still to come."""
    node = known.target_node
    good = min(receipt.quantity, known.open)
    broken = min(receipt.damaged, known.open - good)
    over = receipt.quantity + receipt.damaged - good - broken
    left = known.open - good - broken
    good_ones, broken_ones = _serials(receipt)
    posting.move(node, "in_transit", "on_hand", good, serials=good_ones)
    posting.move(node, "in_transit", "damaged", broken, serials=broken_ones)
    posting.move(node, "adjustment", "quarantine", over)
    posting.move(node, "in_transit", "missing", left if receipt.final else 0)
    return over, left


def _awaited(transfer: Transfer) -> bool:
    return bool(transfer.source_node and transfer.open and not transfer.overdue and not transfer.closed)


def _check_at(desk: Desk, id_: str, due_at: datetime | None) -> datetime | None:
    """When the next transfer is overdue, `due_at` being this one's, if it is still to be looked at."""
    others: Iterable[datetime | None] = (
        known.due_at for other, known in desk.supply.transfers.items() if other != id_ and _awaited(known)
    )
    return min((due for due in (due_at, *others) if due is not None), default=None)


def _not_to_send(desk: Desk, command: DispatchTransfer) -> list[Event]:
    """A refusal of a dispatch that cannot have been."""
    id_, node, sku = command.transfer_id, command.source_node, desk.sku
    if node == command.target_node:
        return desk.refuse(
            "same_node", f"Transfer {id_} of {sku} goes from {node} to {node}.", "Name the node it goes to."
        )
    known = desk.supply.transfers.get(id_)
    if known is not None and known.source_node:
        return desk.refuse(
            "already_dispatched",
            f"Transfer {id_} of {sku} was dispatched from {known.source_node} before.",
            "Nothing: its units are counted once. Another transfer has a transfer_id of its own.",
        )
    there = desk.stock.on_hand.get(node, 0)
    if command.quantity > there:
        return desk.refuse(
            "not_on_hand",
            f"{command.quantity} units of {sku} cannot leave {node}: {there} are on hand there "
            "without an order.",
            "Check quantity and node; count the shelf if the units are there.",
        )
    if command.quantity > (spare := desk.stock.spare(node)):
        return desk.refuse(
            "promised",
            f"{command.quantity} units of {sku} cannot leave {node}: {spare} are not promised to orders.",
            f"Send at most {spare}.",
        )
    return []


def _not_to_receive(desk: Desk, known: Transfer, command: ReceiveTransfer) -> list[Event]:
    """A refusal of a receipt that does not fit its transfer."""
    id_ = command.transfer_id
    if command.receipt_id in known.receipts:
        return desk.refuse(
            "already_received",
            f"Receipt {command.receipt_id} of {desk.sku} under transfer {id_} was taken before.",
            "Nothing: its units are counted once. Another delivery has a receipt_id of its own.",
        )
    if not (command.quantity or command.damaged or command.final):
        return desk.refuse(
            "nothing_received",
            f"Receipt {command.receipt_id} of {desk.sku} under transfer {id_} has no units.",
            "Say how many arrived, or final when nothing more is to come.",
        )
    return []


def _misnamed(desk: Desk, known: Transfer, command: ReceiveTransfer) -> list[Event]:
    """A refusal of a receipt whose serial numbers do not fit what was dispatched."""
    good, broken = command.serials or (), command.damaged_serials or ()
    if desk.stock.astray is None:
        return leaving(desk, (*good, *broken), 0, "in_transit", known.target_node)
    if not known.source_node:
        return _unknown_transfer(desk, command.transfer_id)
    came = command.quantity + command.damaged
    if came > known.open:
        return desk.refuse(
            "more_than_sent",
            f"{came} units of {desk.sku} came under transfer {command.transfer_id}, of which {known.open} "
            "are still on their way.",
            "Receive those that were sent; `orderlog stock serial` tells where the others should be.",
        )
    if command.final and came < known.open:
        return desk.refuse(
            "serials_required",
            f"{known.open - came} units of {desk.sku} under transfer {command.transfer_id} did not come, and "
            "their serial numbers are not named.",
            "Receive what came, not final; then close the transfer as lost, with the numbers of what lacks.",
        )
    return leaving(desk, good, command.quantity, "in_transit", known.target_node, *broken) or leaving(
        desk, broken, command.damaged, "in_transit", known.target_node, *good
    )


def _serials(
    receipt: ReceiveTransfer | TransferReceiptHeld,
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Of the good units, and of the broken ones; a receipt that was held is of a SKU that has none."""
    if isinstance(receipt, TransferReceiptHeld):
        return None, None
    return receipt.serials or None, receipt.damaged_serials or None


def _unknown_transfer(desk: Desk, id_: str) -> list[Event]:
    return desk.refuse(
        "unknown_transfer",
        f"Nobody has dispatched {desk.sku} under transfer {id_}.",
        "Check the transfer's number, or tell of its dispatch first.",
    )
