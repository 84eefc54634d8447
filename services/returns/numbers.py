"""Serial numbers of units that come back: each is one that the order was sent, and has not come back before.

What a shipment had is told when it is delivered. A unit whose number cannot be read may come back without, to
be scrapped: it is not sold again.
"""

from collections.abc import Iterable, Mapping

from libs.events.order import LineSerials
from libs.events.returns import Disposition, InspectedUnits, ReturnedUnits

Sent = Mapping[int, tuple[str, ...]]
"""Numbers that the customer has, by line."""
Wrong = tuple[str, str, str]
"""Code, message and next step of a refusal."""


def delivered(sent: Sent, serials: Iterable[LineSerials] | None) -> dict[int, tuple[str, ...]]:
    """What the customer has after a delivery."""
    after = dict(sent)
    for line in serials or ():
        after[line.line] = (*after.get(line.line, ()), *line.serials)
    return after


def kept(sent: Sent, units: Iterable[ReturnedUnits]) -> dict[int, tuple[str, ...]]:
    """What the customer has after a return."""
    after = dict(sent)
    for unit in units:
        if unit.serials:
            after[unit.line] = tuple(one for one in after.get(unit.line, ()) if one not in unit.serials)
    return after


class Came:
    """The numbers of one receipt, by line, disposition and condition."""

    def __init__(self, sent: Sent) -> None:
        self._sent = sent
        self._found: dict[tuple[int, Disposition, str | None], tuple[str, ...]] = {}
        self._seen: set[tuple[int, str]] = set()
        """By line: units of two SKUs may have the same number."""

    def of(self, line: int, disposition: Disposition, condition: str | None) -> tuple[str, ...] | None:
        """Those of a line; None where none were told."""
        return self._found.get((line, disposition, condition))

    def take(self, units: InspectedUnits, lines: Mapping[int, int]) -> Wrong | None:
        """The numbers of units, which stand for so many of these lines (several, of a bundle); what is wrong
        with them, if anything is. A number that several lines were sent with is taken for one that lacks
        some, after those that only one was sent with."""
        told = units.serials or ()
        named: dict[int, tuple[str, ...]] = {line: () for line in lines if line in self._sent}
        if told and not named:
            return (
                "no_serials",
                f"Line {units.line}: no unit of it was sent with a serial number, and {told[0]} is named.",
                "Leave the serial numbers out.",
            )
        for serial in sorted(told, key=lambda one: len(self._sent_with(one, named))):
            having = self._sent_with(serial, named)
            if not having:
                return (
                    "serial_not_sent",
                    f"Line {units.line}: a unit with serial number {serial} was not sent with this order, or "
                    "has come back already.",
                    "Read the label again (case matters); `orderlog stock serial SKU NUMBER` tells with "
                    "which order it left. Goods of another order, or none of ours, are not taken back here.",
                )
            free = [line for line in having if (line, serial) not in self._seen]
            if not free:
                return (
                    "serial_twice",
                    f"Line {units.line}: serial number {serial} is named twice.",
                    "Name the number of each unit once.",
                )
            line = next((line for line in free if len(named[line]) < lines[line]), free[0])
            self._seen.add((line, serial))
            named[line] = (*named[line], serial)
        for line, serials in named.items():
            if serials:
                key = (line, units.disposition, units.condition)
                self._found[key] = (*self._found.get(key, ()), *serials)
        return _misnamed(units.disposition, named, lines)

    def _sent_with(self, serial: str, lines: Iterable[int]) -> list[int]:
        return [line for line in lines if serial in self._sent[line]]


def _misnamed(
    disposition: Disposition, named: Mapping[int, tuple[str, ...]], lines: Mapping[int, int]
) -> Wrong | None:
    """Units that are to be sold again without a number, or numbers of units that did not come."""
    for line, told in named.items():
        quantity = lines[line]
        if len(told) > quantity:
            return (
                "too_many_serials",
                f"Line {line}: {len(told)} serial numbers are named for {quantity} units.",
                "Name one a unit.",
            )
        if len(told) < quantity and (told or disposition != "scrap"):
            return (
                "serials_required",
                f"Line {line}: each unit was sent with a serial number: {quantity} units, {len(told)} "
                "numbers.",
                "Name the number of each unit. One that cannot be read is not sold again: report it "
                "apart, to be scrapped.",
            )
    return None
