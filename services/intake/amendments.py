"""What may be amended about an order that was placed: where it goes, and by which service.

Of an order that is held nobody else knows, so its terms are changed here, and a hold for its address is
settled by one that can be delivered to. Of an accepted one the wish is told, and fulfillment decides.
"""

from collections.abc import Collection

from libs.events.amendments import (
    AmendedTerms,
    AmendOrder,
    HeldOrderAmended,
    OrderAmendmentRequested,
)
from libs.events.contract import terms_alone
from libs.events.intake import OrderHeld, ReleaseHold
from services.intake.changes import Changes
from services.intake.geography import CENTRES, located
from services.intake.queue import Told

ADDRESS = "address"
"""The hold of an order that goes nowhere that is known."""


def wrong(command: AmendOrder) -> Told | None:
    """Why it cannot be meant; None where it can."""
    if (command.destination is None) != (command.contact is None):
        return Told(
            "incomplete_address",
            f"order {command.order_id}: an address is amended as a whole, destination and contact.",
            "Send both, or use POST /v1/orders/{order_id}/amend, which makes them of ship_to.",
        )
    if command.destination is None and command.service is None:
        return Told(
            "nothing_to_amend",
            f"order {command.order_id}: neither an address nor a service is given.",
            "Say where it is to go, or by which service.",
        )
    if command.destination is not None and command.destination.country not in CENTRES:
        return Told(
            "unknown_country",
            f"order {command.order_id}: {command.destination.country} is not a country that goods can be"
            " sent to.",
            "Find the right one with the customer; the order stays as it was.",
        )
    return None


def asked(known: Changes, command: AmendOrder, held: bool) -> OrderAmendmentRequested | HeldOrderAmended:
    """The amendment by its name: done, of an order that is held; else a wish."""
    terms = dict(terms_alone(AmendedTerms, command))
    if command.destination is not None:
        terms["destination"] = located(command.destination)
    kind = HeldOrderAmended if held else OrderAmendmentRequested
    return kind(
        order_id=command.order_id,
        amendment_id=f"{command.order_id}-A{known.amendments + 1}",
        reason=command.reason,
        **terms,
    )


def amended(held: OrderHeld, event: HeldOrderAmended) -> OrderHeld:
    """A held order with its new terms."""
    terms = {"destination": event.destination, "contact": event.contact, "service": event.service}
    return held.model_copy(update={name: value for name, value in terms.items() if value is not None})


def settled(command: AmendOrder, open_: Collection[str]) -> ReleaseHold | None:
    """The release of the hold that the new address settles."""
    if command.destination is None or ADDRESS not in open_:
        return None
    return ReleaseHold(order_id=command.order_id, hold=ADDRESS, note="The address was amended.")
