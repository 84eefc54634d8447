"""Serial numbers of what a node picks and ships, where inventory's pick list asks for them.

They are told with the pick, or with the dispatch at the latest; what the dispatch tells of a line replaces
what the pick told. Whether such a unit is on the node's shelf is known to inventory alone.
"""

from collections.abc import Iterable, Mapping

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import (
    ConfirmPick,
    DispatchShipment,
    PickConfirmed,
    PickShorted,
    ShipmentDispatched,
    ShortLine,
)
from libs.events.measure import SERIAL_LENGTH_MAX
from libs.events.order import LineQuantity, LineSerials, PickFrom
from libs.events.record import record
from libs.events.refusal import refuse

Named = tuple[LineSerials, ...]


@record
class Numbers:
    """The serial numbers of one fulfillment order that has units with some."""

    skus: tuple[str, ...]
    """Which of its SKUs ask for them."""
    named: Named = ()
    at_pick: Named = ()
    """Those that the pick told, whatever the dispatch has told since."""

    @property
    def by_line(self) -> dict[int, tuple[str, ...]]:
        """Those that were told, by line."""
        return by_line(self.named)


def by_line(named: Named) -> dict[int, tuple[str, ...]]:
    """Numbers by line."""
    return {one.line: one.serials for one in named}


def asked(picks: Iterable[PickFrom] | None) -> Numbers | None:
    """What a pick list asks for; None where it asks for no number."""
    skus = tuple(dict.fromkeys(pick.sku for pick in picks or () if pick.serialised))
    return Numbers(skus) if skus else None


def told_by(body: ConfirmPick | DispatchShipment) -> dict[int, tuple[str, ...]]:
    """Numbers by line, as a report tells them."""
    if isinstance(body, ConfirmPick):
        return {pick.line: pick.serials for pick in body.picks if pick.serials}
    return {line.line: line.serials for line in body.serials or () if line.serials}


def numbered(
    numbers: Numbers | None, lines: Iterable[LineQuantity], told: Mapping[int, tuple[str, ...]]
) -> Named | None:
    """The numbers of these lines, with those that are told; None where there are none."""
    found = {**(numbers.by_line if numbers else {}), **told}
    units = [line for line in lines if line.line in found]
    return tuple(LineSerials(line=x.line, sku=x.sku, serials=found[x.line]) for x in units) or None


def misnamed(
    heard: Envelope[Contract],
    numbers: Numbers | None,
    lines: Iterable[LineQuantity],
    told: Mapping[int, tuple[str, ...]],
    *,
    all_of_them: bool,
) -> list[Event]:
    """A refusal of numbers that do not fit what leaves; with `all_of_them`, also of units without one."""
    left = dict(told)
    for line in lines:
        left.pop(line.line, None)
        serials = next((x.serials for x in numbered(numbers, (line,), told) or ()), ())
        at = f"line {line.line} ({line.sku})"
        if numbers is None or line.sku not in numbers.skus:
            if serials:
                next_step = "Leave them out; inventory says which SKUs ask for them (`orderlog stock item`)."
                return refuse(
                    heard,
                    "no_serials",
                    f"Units of {at} have no serial numbers, and some are named.",
                    next_step,
                )
            continue
        if len(serials) < line.quantity and (serials or all_of_them):
            return refuse(
                heard,
                "serials_required",
                f"Each unit of {at} has a serial number: {line.quantity} units, {len(serials)} numbers.",
                "Scan the numbers of all its units, and report it again.",
            )
        if len(serials) > line.quantity:
            return refuse(
                heard,
                "too_many_serials",
                f"{len(serials)} serial numbers are named for {line.quantity} units of {at}.",
                "Name those of the units that are sent, and no others.",
            )
    if left:
        return refuse(
            heard,
            "no_such_line",
            f"Serial numbers are named for line {min(left)}, of which nothing is sent.",
            "Name them by the lines of the fulfillment order.",
        )
    return _unfit(heard, numbered(numbers, lines, told) or ())


def misnamed_short(
    heard: Envelope[Contract],
    numbers: Numbers | None,
    short: Iterable[ShortLine],
    told: Mapping[int, tuple[str, ...]],
) -> list[Event]:
    """A refusal of numbers of units that were found damaged."""
    for line in short:
        serials, at = line.serials or (), f"line {line.line} ({line.sku})"
        if serials and (numbers is None or line.sku not in numbers.skus or line.reason != "damaged"):
            return refuse(
                heard,
                "no_serials",
                f"Serial numbers are named for units of {at} that are not there, or have none.",
                "Name those of units that were found damaged, of a SKU that has serial numbers.",
            )
        if len(serials) > line.quantity:
            return refuse(
                heard,
                "too_many_serials",
                f"{len(serials)} serial numbers are named for {line.quantity} damaged units of {at}.",
                "Name one a unit.",
            )
        both = LineSerials(line=line.line, sku=line.sku, serials=(*told.get(line.line, ()), *serials))
        if refusal := _unfit(heard, (both,)):
            return refusal
    return []


def sent_twice(
    heard: Envelope[Contract], events: Iterable[Event], others: Mapping[str, Named]
) -> list[Event]:
    """A refusal of events that name a unit of another fulfillment order of the order; `others`, by its id.
    One of the two labels was misread, and of two units with one number only one could come back."""
    taken = {
        (line.sku, serial): id_ for id_, named in others.items() for line in named for serial in line.serials
    }
    for event in events:
        for line in _named(event):
            for serial in line.serials or ():
                if id_ := taken.get((line.sku, serial)):
                    return refuse(
                        heard,
                        "serial_twice",
                        f"Serial number {serial} of {line.sku} is named for {id_} as well.",
                        "Scan the unit again. If its number is right, the other one was misread: name that "
                        "one's right number with its dispatch first; if that has left, take another unit.",
                    )
    return []


def _named(event: Event) -> Iterable[LineSerials | ShortLine]:
    if isinstance(event, PickShorted):
        return event.lines
    return (event.serials or ()) if isinstance(event, PickConfirmed | ShipmentDispatched) else ()


def _unfit(heard: Envelope[Contract], told: Named) -> list[Event]:
    seen: set[tuple[str, str]] = set()
    for line in told:
        for serial in line.serials:
            if (line.sku, serial) in seen:
                return refuse(
                    heard,
                    "serial_twice",
                    f"Serial number {serial} of {line.sku} is named twice.",
                    "Scan each unit once; if two labels have the same number, keep the units apart.",
                )
            if len(serial) > SERIAL_LENGTH_MAX:
                return refuse(
                    heard,
                    "serial_too_long",
                    f"Serial number {serial} of {line.sku} has {len(serial)} characters; at most "
                    f"{SERIAL_LENGTH_MAX} are kept.",
                    "Send the number alone: the scanner may have read a whole label (GS1: what follows 21).",
                )
            seen.add((line.sku, serial))
    return []
