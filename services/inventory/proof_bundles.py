"""The part of the proof that is about bundles and kits: each is of the parts that its definition says.

For `proof`, which walks the log. A definition has no position among its SKU's movements, and may stand in a
later lane than what was decided by it; what names one that was not read yet is held against it when it comes.
"""

from collections.abc import Iterable

from libs.events.backorders import BackorderRefused
from libs.events.bundles import BundleDefined, BundlesUnpacked, KitAssembled, KitTakenApart
from libs.events.changes import LinesReleased
from libs.events.contract import Event
from libs.events.inventory import StockBackordered, StockReleased, StockReserved
from libs.events.order import LineQuantity, UnpackedLine, in_parts
from libs.events.substitutes import SubstitutesDefined
from services.inventory.proof_rows import LogRow
from services.inventory.stock import AnyMovement

_Recipe = tuple[str, str, int]
"""Tenant, SKU and version of a definition."""
_Told = tuple[LogRow, int, dict[str, int]]
"""Where so many bundles or kits were said to be these units of parts, by SKU."""
_Lines = dict[int, tuple[str, int]]
"""SKU and units by line."""


class Bundles:
    """Definitions so far, what was decided by those to come, and orders unpacked and not yet promised."""

    def __init__(self) -> None:
        self._recipes: dict[_Recipe, tuple[bool, dict[str, int]]] = {}
        """Whether it is kept assembled, and units of each part."""
        self._waiting: dict[_Recipe, list[tuple[bool, _Told]]] = {}
        self._unpacked: dict[tuple[str, str], _Lines] = {}
        """Lines that an order must be promised next, by tenant and order."""
        self._substitutes: dict[_Recipe, tuple[str, ...]] = {}
        """By what a SKU may be replaced, by version."""
        self._cut: dict[tuple[str, str], tuple[LineQuantity, ...]] = {}
        """Lines of orders that gave them up before they were met."""

    def take(self, row: LogRow, event: Event, moves: Iterable[AnyMovement]) -> str:
        """Apply an event whose movements were counted; what is wrong with it, if anything is."""
        tenant = row.tenant
        match event:
            case BundleDefined():
                recipe = {part.sku: part.quantity for part in event.parts}
                version = (tenant, event.sku, event.bundle_version)
                if version in self._recipes:
                    return f"defines version {event.bundle_version} of {event.sku} again"
                self._recipes[version] = (event.kept == "assembled", recipe)
                told = self._waiting.pop(version, [])
                return next((wrong for one in told if (wrong := self._amiss(version, *one))), "")
            case SubstitutesDefined():
                self._substitutes[tenant, event.sku, event.version] = event.substitutes
            case BundlesUnpacked():
                parts = [part for line in event.bundles for part in line.parts]
                cut = in_parts(event.bundles, self._cut.pop((tenant, event.order_id), ()))
                self._unpacked[tenant, event.order_id] = _less(_lines((*event.others, *parts)), cut)
                wrongs = (self._unpacks(row, line) for line in event.bundles)
                return next((wrong for wrong in wrongs if wrong), "")
            case BackorderRefused():
                rest, key = _lines(event.rest), (tenant, event.order_id)
                unpacked = self._unpacked.pop(key, None)
                if unpacked is not None and _less(unpacked, event.lines) != rest:
                    return f"refuses and keeps other lines than order {event.order_id} was unpacked into"
                if rest:
                    self._unpacked[key] = rest
            case StockReserved() | StockBackordered() if self._unpacked:
                lines = self._unpacked.pop((tenant, event.order_id), None)
                later = event.later if isinstance(event, StockReserved) else None
                if lines is not None and lines != _lines((*event.lines, *(later or ()))):
                    return f"is of other lines than order {event.order_id} was unpacked into, or left with"
            case LinesReleased():
                key = tenant, event.order_id
                if key in self._unpacked:
                    self._unpacked[key] = _less(self._unpacked[key], event.lines)
                elif not event.movements:
                    self._cut[key] = (*self._cut.get(key, ()), *event.lines)
            case StockReleased() if self._unpacked:
                self._unpacked.pop((tenant, event.order_id), None)
            case KitAssembled() | KitTakenApart():
                return self._makes(row, event, moves)
        return ""

    def amiss(self) -> tuple[LogRow, str] | None:
        """At the end: what was decided by a definition that never comes, and where."""
        for (_, sku, version), told in self._waiting.items():
            row = told[0][1][0]
            return row, f"goes by version {version} of {sku}, which is nowhere defined"
        return None

    def _unpacks(self, row: LogRow, line: UnpackedLine) -> str:
        if line.substituted:
            return self._replaces(row, line)
        parts: dict[str, int] = {}
        for part in line.parts:
            parts[part.sku] = parts.get(part.sku, 0) + part.quantity
        return self._check((row.tenant, line.sku, line.bundle_version), False, (row, line.quantity, parts))

    def _replaces(self, row: LogRow, line: UnpackedLine) -> str:
        """One of the SKU's substitutes must be sent, as many as were ordered. A definition that is read later
        is not held against it: its lane may be far behind."""
        where = f"{line.quantity} units of {line.sku} are replaced"
        if sum(part.quantity for part in line.parts) != line.quantity or len(line.parts) != 1:
            return f"{where} by {sum(part.quantity for part in line.parts)}"
        known = self._substitutes.get((row.tenant, line.sku, line.bundle_version))
        if known is not None and line.parts[0].sku not in known:
            return f"{where} by {line.parts[0].sku}, which version {line.bundle_version} does not name"
        return ""

    def _makes(self, row: LogRow, event: KitAssembled | KitTakenApart, moves: Iterable[AnyMovement]) -> str:
        """Kits and parts must change places at the kit's node, as many as the definition says."""
        into, out_of = ("kitted", "on_hand") if isinstance(event, KitAssembled) else ("on_hand", "kitted")
        kits, parts = 0, dict[str, int]()
        for move in moves:
            own = move.sku == event.sku
            if move.node != event.node or (move.source, move.target) != (
                (into, out_of) if own else (out_of, into)
            ):
                return f"moves {move.source} to {move.target} of {move.sku} at {move.node}"
            if own:
                kits += move.quantity
            else:
                parts[move.sku] = parts.get(move.sku, 0) + move.quantity
        if kits != event.quantity:
            return f"says {event.quantity} units of {event.sku} and moves {kits}"
        return self._check((row.tenant, event.sku, event.bundle_version), True, (row, kits, parts))

    def _check(self, key: _Recipe, assembled: bool, told: _Told) -> str:
        if key not in self._recipes:
            self._waiting.setdefault(key, []).append((assembled, told))
            return ""
        return self._amiss(key, assembled, told)

    def _amiss(self, key: _Recipe, assembled: bool, told: _Told) -> str:
        kept_assembled, recipe = self._recipes[key]
        row, units, parts = told
        where = f"lane {row.lane} sequence {row.seq}"
        if kept_assembled != assembled:
            kept = "assembled" if kept_assembled else "as parts"
            return f"version {key[2]} of {key[1]} is kept {kept}, which {where} contradicts"
        wanted = {sku: each * units for sku, each in recipe.items()}
        if parts != wanted:
            return f"{units} units of {key[1]} are {wanted} by version {key[2]}; {where} has {parts}"
        return ""


def _lines(lines: Iterable[LineQuantity]) -> _Lines:
    return _added({}, lines, 1)


def _less(known: _Lines, lines: Iterable[LineQuantity]) -> _Lines:
    return _added(known, lines, -1)


def _added(known: _Lines, lines: Iterable[LineQuantity], sign: int) -> _Lines:
    after = dict(known)
    for line in lines:
        _, before = after.pop(line.line, (line.sku, 0))
        if units := before + sign * line.quantity:
            after[line.line] = (line.sku, units)
    return after
