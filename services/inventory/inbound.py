"""What is bought: expected under a supplier's document, and received against it (over, short, damaged).

`inbound` of a node is what has not arrived. A receipt takes from it first; what is more than was expected
comes from `supplier` like a receipt without a document, and what will never come goes back there.
"""

from libs.events.contract import Event
from libs.events.supply import (
    CancelSupply,
    ExpectSupply,
    ReceiptOutcome,
    ReceiveSupply,
    SupplyCancelled,
    SupplyExpected,
    SupplyReceived,
)
from services.inventory.desk import Desk, SupplyPosting, not_yet, served, too_many, unknown
from services.inventory.serial_control import arriving
from services.inventory.supplies import Expected


def expect(desk: Desk, command: ExpectSupply) -> list[Event]:
    """A statement of a purchase order or of an advance ship notice: the latest one counts."""
    if refusal := unknown(desk, command.node):
        return refusal
    known = desk.supply.expected.get(command.supply_id, Expected(command.node))
    if refusal := _overtaken(desk, known, command):
        return refusal
    if known.stated_at == command.stated_at:
        return []
    still_open = max(0, command.quantity - known.received)
    if refusal := too_many(desk, still_open - known.open):
        return refusal
    posting = SupplyPosting(desk)
    if known.node != command.node:
        posting.move(known.node, "inbound", "supplier", known.open)
        posting.move(command.node, "supplier", "inbound", still_open)
    else:
        posting.move(command.node, "supplier", "inbound", max(0, still_open - known.open))
        posting.move(command.node, "inbound", "supplier", max(0, known.open - still_open))
    return [
        SupplyExpected(
            sku=desk.sku,
            supply_id=command.supply_id,
            node=command.node,
            quantity=command.quantity,
            open=still_open,
            expected_at=command.expected_at,
            stated_at=command.stated_at,
            document=command.document,
            supplier=command.supplier,
            movements=posting.booked(),
        )
    ]


def cancel(desk: Desk, command: CancelSupply) -> list[Event]:
    """What has not arrived will not come."""
    known = desk.supply.expected.get(command.supply_id)
    if known is None:
        return _unknown_supply(desk, command.supply_id)
    if known.closed:
        return []
    posting = SupplyPosting(desk)
    posting.move(known.node, "inbound", "supplier", known.open)
    return [
        SupplyCancelled(
            sku=desk.sku,
            supply_id=command.supply_id,
            node=known.node,
            quantity=known.open,
            reason=command.reason,
            movements=posting.booked(),
        )
    ]


def receive(desk: Desk, command: ReceiveSupply) -> list[Event]:
    """Units arrived under a document."""
    arrived = command.quantity + command.damaged
    refusal = unknown(desk, command.node) or not_yet(desk, command.effective_at) or too_many(desk, arrived)
    known = desk.supply.expected.get(command.supply_id)
    refusal = refusal or _unfit(desk, known, command) or _misnamed(desk, command)
    if refusal:
        return refusal
    still_open = known.open if known else 0
    good = min(command.quantity, still_open)
    broken = min(command.damaged, still_open - good)
    left = still_open - good - broken
    short = left if command.final else 0
    over = arrived - good - broken if known and known.quantity else 0
    posting = SupplyPosting(desk)
    fine, poor = command.serials, command.damaged_serials
    numbers = (fine and fine[:good], poor and poor[:broken], fine and fine[good:], poor and poor[broken:])
    posting.move(command.node, "inbound", "on_hand", good, command.lot, numbers[0])
    posting.move(command.node, "inbound", "damaged", broken, command.lot, numbers[1])
    posting.move(command.node, "supplier", "on_hand", command.quantity - good, command.lot, numbers[2])
    posting.move(command.node, "supplier", "damaged", command.damaged - broken, command.lot, numbers[3])
    posting.move(command.node, "inbound", "supplier", short)
    outcome: ReceiptOutcome = "partial"
    if known is None or not known.quantity:
        outcome = "unannounced"
    elif over:
        outcome = "over"
    elif short:
        outcome = "short"
    elif not left:
        outcome = "complete"
    received = SupplyReceived(
        sku=desk.sku,
        supply_id=command.supply_id,
        receipt_id=command.receipt_id,
        node=command.node,
        quantity=command.quantity,
        damaged=command.damaged,
        outcome=outcome,
        over=over,
        short=short,
        open=left - short,
        effective_at=command.effective_at,
        movements=posting.booked(),
    )
    return served(desk, received)


def _misnamed(desk: Desk, command: ReceiveSupply) -> list[Event]:
    """A refusal of a receipt whose serial numbers cannot be."""
    good, broken = command.serials or (), command.damaged_serials or ()
    return arriving(desk, good, command.quantity, *broken) or arriving(desk, broken, command.damaged, *good)


def _overtaken(desk: Desk, known: Expected, command: ExpectSupply) -> list[Event]:
    """A refusal of a statement that a later one, or the end of the document, has made void."""
    id_ = command.supply_id
    if known.closed:
        return desk.refuse(
            "supply_closed",
            f"Nothing more is to come of {desk.sku} under {id_}: it was cancelled, or received for good.",
            "Send what is bought anew under a document of its own.",
        )
    if known.stated_at is None or command.stated_at > known.stated_at:
        return []
    same = (command.node, command.quantity, command.expected_at)
    if command.stated_at == known.stated_at and same == (known.node, known.quantity, known.expected_at):
        return []
    return desk.refuse(
        "superseded",
        f"{id_} was stated for {desk.sku} at {known.stated_at.isoformat()}; this statement is of "
        f"{command.stated_at.isoformat()}.",
        "Nothing needs to be done about an older statement. A new one has a later stated_at.",
    )


def _unfit(desk: Desk, known: Expected | None, command: ReceiveSupply) -> list[Event]:
    """A refusal of a receipt that does not fit its document."""
    id_, arrived = command.supply_id, command.quantity + command.damaged
    if not arrived and not command.final:
        return desk.refuse(
            "nothing_received",
            f"Receipt {command.receipt_id} of {desk.sku} under {id_} has no units.",
            "Say how many arrived, or final when nothing more is to come.",
        )
    if known is None:
        if desk.rules.rules.unannounced and arrived:
            return []
        return _unknown_supply(desk, id_)
    if command.receipt_id in known.receipts:
        return desk.refuse(
            "already_received",
            f"Receipt {command.receipt_id} of {desk.sku} under {id_} was booked before.",
            "Nothing: its units are counted once. Another delivery has a receipt_id of its own.",
        )
    if known.quantity and command.node != known.node:
        return desk.refuse(
            "another_node",
            f"{id_} expects {desk.sku} at {known.node}, and {command.node} reports it.",
            f"Check the node, or state {id_} anew for {command.node}.",
        )
    most = desk.rules.rules.over_receipt_percent_max
    total = known.received + arrived
    if most is not None and known.quantity and total * 100 > known.quantity * (100 + most):
        return desk.refuse(
            "over_receipt",
            f"{total} units of {desk.sku} would have come under {id_}, which is for {known.quantity}; the "
            f"supply rules take {most}% more.",
            f"Count them again; if they are there, state {id_} anew with what was bought.",
        )
    return []


def _unknown_supply(desk: Desk, id_: str) -> list[Event]:
    return desk.refuse(
        "unknown_supply",
        f"Nobody has said that {desk.sku} is expected under {id_}.",
        "Check the document's number, state it first (POST /v1/stock/supplies), or receive the units without "
        "one (POST /v1/stock/receipts).",
    )
