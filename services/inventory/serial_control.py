"""Serial numbers as people tell of them: which units arrive, leave, or are elsewhere than was told.

For the decisions about one SKU, as `lot_control` for lots. Of a SKU without serial numbers nothing is asked.
"""

from collections.abc import Callable

from libs.events.conditions import MoveStock
from libs.events.contract import Event
from libs.events.measure import SERIAL_LENGTH_MAX, SERIALS_MAX
from libs.events.serials import CorrectSerials, SerialsCorrected
from services.inventory.desk import Desk, SupplyPosting, served, unknown
from services.inventory.serials import NO_SERIAL, SHELF, SerialPart, key_of, place_of

Told = tuple[str, ...] | None


def arriving(desk: Desk, serials: Told, units: int, *more: str) -> list[Event]:
    """A refusal of units that come into the house with these numbers; `more` come beside them."""
    return _miscounted(desk, serials, units, *more) or _each(desk, serials or (), _in_the_way)


def leaving(desk: Desk, serials: Told, units: int, bucket: str, node: str, *more: str) -> list[Event]:
    """A refusal of units with these numbers that leave a bucket of a node; `more` leave it beside them."""
    place = place_of(bucket)

    def elsewhere(desk: Desk, serial: str, part: SerialPart) -> list[Event]:
        if (part.place, part.node) == (place, node):
            return []
        return desk.refuse(
            "serial_not_there",
            f"Serial number {serial} of {desk.sku} is not {_at(place, node)}: {_where(part)}.",
            f"Read the label again (case matters); `orderlog stock serial {desk.sku} {serial}` tells its "
            "history. If a number was misread before, correct it: `orderlog stock serial-correct`.",
        )

    return _miscounted(desk, serials, units, *more) or _each(desk, serials or (), elsewhere)


def mismoved(desk: Desk, command: MoveStock) -> list[Event]:
    """A refusal of a move that does not say which units; those that came without a number (found damaged at a
    pick, say) may be moved without one, and never on hand."""
    source, node, units = command.source, command.node, command.quantity
    without = -(desk.stock.astray or {}).get(f"{place_of(source)}/{node}", 0)
    if not command.serials and command.target != "on_hand" and units <= without:
        return []
    return leaving(desk, command.serials, units, source, node)


def without_serials(desk: Desk, what: str, next_step: str) -> list[Event]:
    """A refusal of what cannot be told of a SKU whose units have serial numbers."""
    if desk.stock.astray is None:
        return []
    return desk.refuse(
        "serials_required", f"Each unit of {desk.sku} has a serial number, and {what} names none.", next_step
    )


def correct(desk: Desk, command: CorrectSerials) -> list[Event]:
    """Numbers on a node's shelf are others, or their units left it without them."""
    node, wrong, right = command.node, command.wrong, command.right
    if refusal := unknown(desk, node) or leaving(desk, wrong, len(wrong), "on_hand", node):
        return refusal
    if right and (refusal := arriving(desk, right, len(wrong), *wrong)):
        return refusal
    posting = SupplyPosting(desk)
    if right:
        posting.move(node, "adjustment", "on_hand", len(right), serials=right)
        posting.move(node, "on_hand", "adjustment", len(wrong), serials=wrong)
    else:
        without = (desk.stock.astray or {}).get(f"{SHELF}/{node}", 0)
        if len(wrong) > without:
            return desk.refuse(
                "serials_are_there",
                f"{len(wrong)} units of {desk.sku} are said to have left {node} without their numbers; "
                f"{without} have.",
                "If they were misread when they came, name the right ones; if the units are gone, take them "
                "out: `orderlog stock adjust`.",
            )
        posting.move(node, "adjustment", "on_hand", len(wrong))
        posting.move(node, "on_hand", "adjustment", len(wrong), serials=wrong)
    corrected = SerialsCorrected(
        sku=desk.sku,
        node=node,
        wrong=wrong,
        right=right,
        reason=command.reason,
        movements=posting.booked(),
    )
    return served(desk, corrected)


def _miscounted(desk: Desk, serials: Told, units: int, *more: str) -> list[Event]:
    """A refusal unless each unit of a SKU that asks for it has one number, and others have none."""
    sku, told = desk.sku, serials or ()
    if desk.stock.astray is None:
        if not told:
            return []
        return desk.refuse(
            "no_serials",
            f"{sku} has no serial numbers, and {told[0]} is named.",
            "Leave it out, or say that the SKU is serialised before its first unit: `orderlog stock item`.",
        )
    if units > SERIALS_MAX:
        return desk.refuse(
            "too_many_at_once",
            f"{units} units of {sku} are told at once; {SERIALS_MAX} with serial numbers are taken.",
            f"Send them in parts of at most {SERIALS_MAX} units.",
        )
    if len(told) < units:
        return desk.refuse(
            "serials_required",
            f"Each unit of {sku} has a serial number: {units} units, {len(told)} numbers.",
            f"Name the serial numbers of the other {units - len(told)} too, and send it again.",
        )
    if len(told) > units:
        return desk.refuse(
            "too_many_serials",
            f"{len(told)} serial numbers of {sku} are named for {units} units.",
            "Name one a unit: correct the quantity, or leave out the numbers of units that are not meant.",
        )
    if twice := next((serial for serial in told if [*told, *more].count(serial) > 1), None):
        return desk.refuse(
            "serial_twice",
            f"Serial number {twice} of {sku} is named twice.",
            "Name the number of each unit once; if two labels have the same one, keep the units apart.",
        )
    if long := next((serial for serial in told if len(serial) > SERIAL_LENGTH_MAX), None):
        return desk.refuse(
            "serial_too_long",
            f"Serial number {long} of {sku} has {len(long)} characters; at most "
            f"{SERIAL_LENGTH_MAX} are kept.",
            "Send the serial number alone: the scanner may have read a whole label (GS1: what follows 21).",
        )
    return []


def _each(
    desk: Desk, serials: tuple[str, ...], look: Callable[[Desk, str, SerialPart], list[Event]]
) -> list[Event]:
    """The refusal of the first number that is amiss."""
    for serial in serials:
        if refusal := look(desk, serial, desk.numbers.get(key_of(desk.sku, serial), NO_SERIAL)):
            return refusal
    return []


def _in_the_way(desk: Desk, serial: str, part: SerialPart) -> list[Event]:
    """A refusal of a number that cannot come into the house, as its unit is there or with a customer."""
    if part.in_house:
        return desk.refuse(
            "serial_in_stock",
            f"Serial number {serial} of {desk.sku} is in stock: {_where(part)}.",
            f"Read the label again (case matters); `orderlog stock serial {desk.sku} {serial}` tells its "
            "history. If the other label was misread, correct that: `orderlog stock serial-correct`.",
        )
    if part.place == "issued":
        return desk.refuse(
            "serial_sold",
            f"Serial number {serial} of {desk.sku} left with order {part.order_id}.",
            "Receive it as a return of that order, or read the label again (case matters).",
        )
    return []


def _where(part: SerialPart) -> str:
    if not part.place:
        return "no unit with it ever came"
    return (
        f"it left with order {part.order_id}"
        if part.place == "issued"
        else f"it is {_at(part.place, part.node)}"
    )


def _at(place: str, node: str) -> str:
    where = {SHELF: "on the shelf of", "in_transit": "on its way to", "adjustment": "taken off the books of"}
    return f"{where.get(place, place.replace('_', ' ') + ' at')} {node}"
