"""Why these nodes and not others: every candidate that sourcing weighed, each with its reason.

Written for the person who asks months later. At most `LISTED_MAX` are listed; the rest is summed up in one.
"""

from collections.abc import Mapping, Sequence

from libs.events.order import Reason
from libs.events.routing import Candidate
from services.routing.sourcing import Choice, Offer, tenths_of_way

LISTED_MAX = 20
RIVALS_MAX = 5


def routed(need: Mapping[str, int], found: Sequence[Offer], choice: Choice) -> tuple[Candidate, ...]:
    """The chosen nodes first, then what was weighed against them: nodes of use, rival sets, the others."""
    wanted = sum(need.values())
    best = choice.offers
    behind = _Behind(best)
    alone = best[0] if len(best) == 1 else None
    if_complete = behind if alone else None
    useful, useless = _by_use(found)
    chosen = _set(best, wanted, _why(choice, useful, wanted), chosen=True)
    singles = [_single(offer, _why_not(offer, wanted, if_complete)) for offer in useful if offer is not alone]
    against = [_set(nodes, wanted, _why_not_together(nodes, behind)) for nodes in choice.rivals[:RIVALS_MAX]]
    others = [_single(offer, _why_not(offer, wanted, if_complete)) for offer in useless]
    listed = [chosen, *singles, *against, *others]
    return _bounded(listed, further_sets=len(choice.rivals) - len(against))


def reviewed(held: Sequence[Candidate], named: Sequence[Offer], wanted: int) -> tuple[Candidate, ...]:
    """What was weighed when the plan was held, after the nodes that a person chose instead."""
    chosen = _set(named, wanted, "named by whoever reviewed it", chosen=True)
    others = [_passed_over(one) for one in held if one.nodes != chosen.nodes]
    listed = [chosen, *others]
    if len(listed) <= LISTED_MAX:
        return tuple(listed)
    kept = listed[: LISTED_MAX - 1]
    more = Candidate(nodes=(), chosen=False, units=0, reason="further candidates, as when it was held")
    return (*kept, more)


def _passed_over(one: Candidate) -> Candidate:
    if not one.chosen:
        return one
    reason = f"held, and not taken by whoever reviewed it: {one.reason}"[:300]
    return one.model_copy(update={"chosen": False, "reason": reason})


def unroutable(need: Mapping[str, int], found: Sequence[Offer]) -> tuple[Candidate, ...]:
    """Every node with what it lacks, those of use first."""
    wanted = sum(need.values())
    useful, useless = _by_use(found)
    return _bounded([_single(offer, _why_not(offer, wanted, None)) for offer in (*useful, *useless)], 0)


def uncovered(
    need: Mapping[str, int], short: Mapping[str, int], found: Sequence[Offer], country: str
) -> tuple[Reason, ...]:
    """What stands in the way of shipping it, SKU by SKU."""
    usable = [offer for offer in found if _usable(offer)]
    reasons: list[Reason] = []
    if not usable:
        reasons.append(
            Reason(
                code="no_node",
                message=f"no node may ship to {country}; define one, activate one, or widen its ships_to.",
            )
        )
    skus = list(short)
    for sku in skus[:LISTED_MAX]:
        elsewhere = [offer.node for offer in found if not _usable(offer) and offer.units.get(sku)][:3]
        hint = f"; nodes that may not ship it have some: {', '.join(elsewhere)}" if elsewhere else ""
        reasons.append(
            Reason(
                code="not_covered",
                message=f"{sku}: {need[sku]} units needed, {need[sku] - short[sku]} at nodes that may ship "
                f"to {country}{hint}.",
            )
        )
    if len(skus) > LISTED_MAX:
        reasons.append(Reason(code="more", message=f"{len(skus) - LISTED_MAX} further SKUs are not covered."))
    return tuple(reasons)


def _usable(offer: Offer) -> bool:
    return offer.barred is None


def _by_use(found: Sequence[Offer]) -> tuple[list[Offer], list[Offer]]:
    """Usable nodes with stock; barred ones with stock, then those without. Each part nearest first."""
    useful = [offer for offer in found if offer.total and offer.barred is None]
    if len(useful) == len(found):
        return useful, []
    useless = [offer for offer in found if not offer.total or offer.barred is not None]
    useless.sort(key=lambda offer: (offer.total == 0, offer.barred is not None))
    return useful, useless


def _single(offer: Offer, reason: str) -> Candidate:
    return Candidate(
        nodes=(offer.node,), chosen=False, distance_km=offer.distance_km, units=offer.total, reason=reason
    )


def _set(nodes: Sequence[Offer], wanted: int, reason: str, chosen: bool = False) -> Candidate:
    return Candidate(
        nodes=tuple(offer.node for offer in nodes),
        chosen=chosen,
        distance_km=_distance_km(nodes),
        units=wanted,
        reason=reason,
    )


def _distance_km(nodes: Sequence[Offer]) -> float | None:
    total = tenths_of_way(nodes)
    return None if total is None else total / 10


def _why(choice: Choice, useful: Sequence[Offer], wanted: int) -> str:
    count = len(choice.offers)
    if count == 1:
        complete = len([offer for offer in useful if offer.total == wanted])
        if complete == 1:
            return "the only node that has everything"
        return f"has everything; {_first(choice.offers)} of {complete} nodes that do"
    if not choice.exact:
        return (
            f"{count} nodes that have everything together; too many sets to weigh them all, so the nodes "
            "that add most were taken"
        )
    if not choice.rivals:
        return f"no fewer than {count} nodes have everything, and no other {count}"
    return (
        f"no fewer than {count} nodes have everything; {_first(choice.offers)} of {len(choice.rivals) + 1} "
        "such sets"
    )


def _first(nodes: Sequence[Offer]) -> str:
    return "first by country and id" if _distance_km(nodes) is None else "nearest"


class _Behind:
    """How far behind the chosen nodes others are; what is the same for all of them is worked out once."""

    __slots__ = ("_located", "_names", "_near")

    def __init__(self, best: Sequence[Offer]) -> None:
        self._near = sum([offer.cost for offer in best])
        self._located = _distance_km(best) is not None
        self._names = _names(best)

    def say(self, far: int) -> str:
        """In words, for nodes whose costs add up to `far`."""
        near, names = self._near, self._names
        assert far >= near
        if far == near:
            return f"no nearer, and later by id than {names}"
        if not self._located:
            return f"abroad, and {names} not, or less so"
        return f"{(far - near) / 10:.1f} km farther than {names}"


def _why_not(offer: Offer, wanted: int, behind: _Behind | None) -> str:
    if offer.barred is not None:
        return offer.barred
    if offer.total < wanted:
        return f"has {offer.total} of {wanted} units"
    assert behind is not None, "a node that has everything was passed over for several"
    return f"has everything, but {behind.say(offer.cost)}"


def _why_not_together(nodes: Sequence[Offer], behind: _Behind) -> str:
    return f"have everything together, but {behind.say(sum(offer.cost for offer in nodes))}"


def _names(nodes: Sequence[Offer]) -> str:
    names = [offer.node for offer in nodes]
    return " + ".join(names[:4]) + (f" + {len(names) - 4} more" if len(names) > 4 else "")


def _bounded(listed: list[Candidate], further_sets: int) -> tuple[Candidate, ...]:
    if len(listed) <= LISTED_MAX and further_sets == 0:
        return tuple(listed)
    kept = listed[: LISTED_MAX - 1]
    rest = len(listed) - len(kept) + further_sets
    more = Candidate(
        nodes=(), chosen=False, units=0, reason=f"{rest} further candidates, none of them better"
    )
    return (*kept, more)
