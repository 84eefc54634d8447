"""What an order cost, as far as events say: what its carriers asked for all its shipments.

Handling is not in it: no event states what a pick, a parcel or a return costs a node.
"""

from services.console.facts import ChargedBy, State


def carriage(state: State) -> ChargedBy | None:
    """Of an order that is through: all its shipments together. None where that of one is not known, where
    they are in several currencies, and where nothing was sent."""
    if state.fulfillment.completed_at is None:
        return None
    charges = [shipment.charge for shipment in state.fulfillment.shipments.values()]
    known = [charge for charge in charges if charge is not None]
    if not known or len(known) < len(charges) or len({charge.currency for charge in known}) > 1:
        return None
    return ChargedBy(sum(charge.amount_minor for charge in known), known[0].currency)
