"""Parts that several stages' contracts share: lines, destinations, sealed personal data."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from libs.events.contract import AmountMinor, Country, LineNumber, Name, Quantity, Sku, Value
from libs.events.measure import Bin, LotId, SerialNumber


class Sealed(Value):
    """Personal data of one data subject, AES-256-GCM under the subject's key. Only the keyring opens it.

    `nonce` and `ciphertext` are base64; the associated data is `tenant|order id|subject|generation`: it opens
    only where it belongs. Once the subject's key is destroyed, nobody reads it again.
    """

    subject: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]
    """Pseudonym of the data subject: `c:<customer id>`, or `o:<order id>` for a guest."""
    generation: Annotated[int, Field(ge=1)] = 1
    """Which of the subject's keys; a new one after an erasure."""
    nonce: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{16}$")]
    ciphertext: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/=]{24,16384}$")]


class Destination(Value):
    """Where it goes, as coarse as a sourcing decision needs it. The address itself is sealed."""

    country: Country
    postcode_area: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9 -]{1,8}$")] | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None


class OrderLine(Value):
    """One line as ordered."""

    line: LineNumber
    sku: Sku
    quantity: Quantity
    unit_price_minor: AmountMinor
    description: Name | None = None


class Charge(Value):
    """Money that is no goods: postage, a discount (negative), a manual charge."""

    kind: Name
    amount_minor: AmountMinor


class LineQuantity(Value):
    """So many units of one order line."""

    line: LineNumber
    sku: Sku
    quantity: Quantity


class PartLine(LineQuantity):
    """A line that stands for one part of a bundle, of all units of the bundle that were ordered."""

    price_weight: Annotated[int, Field(strict=True, ge=1)] = 1
    """Of one unit, against the weights of the other parts: how the ordered line's price is shared."""


class UnpackedLine(LineQuantity):
    """A line as ordered, of a bundle, and the lines of its parts, by which it is fulfilled. Their numbers are
    no ordered line's. Of a part with very many units there may be several."""

    bundle_version: Annotated[int, Field(strict=True, ge=1)]
    """By which definition of the bundle (`oms.inventory.bundle_defined`), or of the SKU's substitutes."""
    parts: Annotated[tuple[PartLine, ...], Field(min_length=1)]
    substituted: Literal["lacks"] | None = None
    """It is no bundle: its part is sent in its place, unit for unit, by `oms.inventory.substitutes_defined`.
    `lacks`: because not all of it was there."""


Unpacked = tuple[UnpackedLine, ...]


def in_parts(
    bundles: Unpacked | None, lines: Iterable[LineQuantity], there: Mapping[int, int] | None = None
) -> tuple[LineQuantity, ...]:
    """Lines of an order with its bundles' as lines of their parts, so many of each as those bundles have.

    Of a part that has several lines, the first that has units gives them: `there`, by line, or as many as
    the bundles had. So what is left of bundles is the whole without this of what was given up: never this of
    what is left.
    """
    by_line = {bundle.line: bundle for bundle in bundles or ()}
    if there is None:
        there = {part.line: part.quantity for bundle in by_line.values() for part in bundle.parts}
    open_ = dict(there)
    found: list[LineQuantity] = []
    for line in lines:
        bundle = by_line.get(line.line)
        if bundle is None:
            found.append(line)
            continue
        units: dict[str, int] = {}
        for part in bundle.parts:
            units[part.sku] = units.get(part.sku, 0) + part.quantity
        left = {sku: total // bundle.quantity * line.quantity for sku, total in units.items()}
        for part in bundle.parts:
            if taken := min(open_.get(part.line, 0), left[part.sku]):
                left[part.sku] -= taken
                open_[part.line] -= taken
                found.append(LineQuantity(line=part.line, sku=part.sku, quantity=taken))
    return tuple(found)


class NodeLines(Value):
    """So many units of these lines at one node."""

    node: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$")]
    lines: tuple[LineQuantity, ...]


class PickFrom(Value):
    """Where so many units of a SKU are picked at a node, as far as it is known."""

    node: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$")]
    sku: Sku
    quantity: Annotated[int, Field(strict=True, ge=1)]
    lot: LotId | None = None
    bin: Bin | None = None
    put_away: Literal[True] | None = None
    """The bin is one into which these units were put away, beside that in which the node keeps the SKU."""
    serialised: Literal[True] | None = None
    """Each unit's serial number is to be told with the pick, or with the dispatch at the latest."""


class LineSerials(Value):
    """The serial numbers of units of one line."""

    line: LineNumber
    sku: Sku
    serials: tuple[SerialNumber, ...]


class Reason(Value):
    """Why something was refused, held or rejected, and what the reader can do about it."""

    code: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    message: Annotated[str, StringConstraints(max_length=1000)]
