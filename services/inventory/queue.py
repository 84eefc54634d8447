"""Who is next for a SKU's units: those who wait, by class, then by age; who is passed over, or taken from.

An order without a policy is of the rank `STANDARD_RANK` and has no turn: what is kept of the others stands
beside their claims, so that a SKU whose orders have no policies carries nothing of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

import orjson

from libs.events.policy import STANDARD_RANK
from libs.events.record import record
from services.inventory.serving import UNTOLD, Reach, Serving
from services.inventory.shelf_life import Room
from services.inventory.terms import Terms


@record
class Turn:
    """What else is known of the claim of an order that has a policy."""

    rank: int = STANDARD_RANK
    whole: int = 0
    """Units that it wants all of, with all else that it ordered, or none: its claim wants none as long."""
    passed: bool = False
    """There were enough of these units for it when it last looked, and others lacked: it is not called for
    these again before it has looked once more."""
    takes: bool = False
    """Whether it is given what orders behind it were promised."""
    step_days: int = 0
    """After each so many days it stands a rank higher; 0, never."""


class Claimed(Protocol):
    """A claim, as the queue sees it."""

    @property
    def wanted(self) -> int: ...
    @property
    def held(self) -> int: ...
    @property
    def since(self) -> str | None: ...
    @property
    def channel(self) -> str | None: ...


Claim = TypeVar("Claim", bound=Claimed)
Turns = Mapping[str, Turn]
"""By order id; of orders that have policies, as long as they want anything of the SKU."""
NO_TURN = Turn()
WAITER = "~basket/"
"""How claims of held baskets that wait begin, which always have a turn: behind any order's id, for what an
order leaves of a basket stands behind that order, as old as it is."""
_LAST = datetime.max.replace(tzinfo=UTC)
Share = tuple[str, int, bool]
"""An order, units, and whether it is only called to look whether the rest is there."""
Units = list[tuple[str, int]]
"""Orders and units of each."""
Towards = tuple[Reach, Serving]
"""What can be sent where, and where each goes, of a SKU whose nodes do not all ship everywhere."""


def waiter(promise_id: str) -> str:
    """By what name a held basket that may wait stands among the claims."""
    return WAITER + promise_id


def as_text(since: datetime) -> str:
    """Since when somebody waits, as claims have it: ISO 8601, which orjson writes in a fifth of the time."""
    return orjson.dumps(since, option=orjson.OPT_UTC_Z)[1:-1].decode()


def place(holder: str, claim: Claimed, turns: Turns) -> tuple[int, datetime, str]:
    """Where a claim stands: a smaller place is served first."""
    assert claim.since is not None, f"nobody knows since when {holder} waits"
    turn, since = turns.get(holder, NO_TURN), datetime.fromisoformat(claim.since)
    if not turn.step_days:
        return turn.rank, since, holder
    # All that move up do so alike, so who is before whom never changes: a rank is worth so many days of age.
    return STANDARD_RANK, since + timedelta(days=(turn.rank - STANDARD_RANK) * turn.step_days), holder


def in_line(claims: Iterable[tuple[str, Claim]], turns: Turns) -> Sequence[tuple[str, Claim]]:
    """Claims by class, the oldest of each first."""
    return sorted(claims, key=lambda item: place(item[0], item[1], turns))


def lacking(claims: Mapping[str, Claimed], turns: Turns) -> Units:
    """Those who wait, in the order in which they are served, and what each lacks: who wants all or nothing,
    all that it wants."""
    waiting = [
        (holder, claim)
        for holder, claim in claims.items()
        if claim.wanted > claim.held or (holder in turns and turns[holder].whole)
    ]
    return [
        (holder, turns.get(holder, NO_TURN).whole or claim.wanted - claim.held)
        for holder, claim in in_line(waiting, turns)
    ]


def without_empty(
    claims: Mapping[str, Claim], turns: Mapping[str, Turn]
) -> tuple[dict[str, Claim], dict[str, Turn]]:
    """Claims and turns without baskets that wait for nothing and hold nothing: of them nothing is kept."""
    left = {
        holder: claim
        for holder, claim in claims.items()
        if claim.wanted or claim.held or not holder.startswith(WAITER)
    }
    return left, {name: turn for name, turn in turns.items() if name in left or name not in claims}


def shares(
    free: int,
    claims: Mapping[str, Claimed],
    turns: Turns,
    terms: Terms | None,
    room: Room | None = None,
    towards: Towards | None = None,
) -> list[Share]:
    """What those who wait get of free units now, each what the terms leave to it, `room` for its age, and can
    be sent `towards` where it goes. Who wants all or nothing counts where all is there of this SKU: the units
    are kept for it until it has looked for the rest. They are too for who has not told yet where it goes."""
    left, found = free, list[Share]()
    for holder, missing in lacking(claims, turns):
        turn = turns.get(holder, NO_TURN)
        there = left if terms is None else left - terms.kept(left, room, claims[holder].channel, turn.rank)
        country = None if towards is None else towards[1].orders.get(holder, UNTOLD)
        if towards is not None and country != UNTOLD:
            there = min(there, towards[0].spare(country))
        if turn.whole:
            units = 0 if turn.passed or there < turn.whole else turn.whole
        else:
            units = min(missing, there)
        if units > 0:
            found.append((holder, units, bool(turn.whole) or country == UNTOLD))
            left -= units
            if towards is not None:
                towards[0].give(country, units)
            if room is not None:
                room.give(claims[holder].channel, units)
    return found


def before(
    found: Iterable[Share], claims: Mapping[str, Claimed], turns: Turns, rank: int, order_id: str | None
) -> list[Share]:
    """Those of these shares that an order may not take: of who stands before it. Who waits already
    stands where its claim does, any other behind its class."""
    mine: tuple[int, datetime, str] = rank, _LAST, ""
    if order_id is not None and order_id in turns:
        mine = place(order_id, claims[order_id], turns)
    return [share for share in found if place(share[0], claims[share[0]], turns) < mine]


def after(found: Iterable[Share], reach: Reach, serving: Serving) -> Reach:
    """What can be sent where once these have their shares."""
    for holder, units, _ in found:
        reach.give(serving.orders.get(holder, UNTOLD), units)
    return reach


def reallocated(
    claims: Mapping[str, Claimed], turns: Turns, days: Mapping[str, str], towards: Towards | None = None
) -> tuple[Units, Units]:
    """Who wins units that others were promised, and who loses them: the last in line first. Baskets, and what
    is allocated already, which is no claim any more, are left alone; so is what may be too old for who would
    win it, or cannot be sent to where that one goes. `days`: the last day that a lot has to have, by channel
    that asks."""
    orders = [item for item in claims.items() if not item[0].startswith(WAITER)]
    line = in_line([item for item in orders if item[1].held or item[1].wanted], turns)
    held = {holder: claim.held for holder, claim in line}
    won, lost = dict[str, int](), dict[str, int]()
    for number, (taker, claim) in enumerate(line):
        lacking = claim.wanted - held[taker]
        if not turns.get(taker, NO_TURN).takes:
            continue
        for giver, _ in reversed(line[number + 1 :]):
            units = min(lacking, held[giver])
            lasts, asked = (days.get(claims[who].channel or "", "") for who in (giver, taker))
            if units > 0 and lasts >= asked and towards is not None:
                units = _sent_instead(taker, giver, units, towards)
            if units > 0 and lasts >= asked:
                lacking -= units
                held[giver] -= units
                held[taker] += units
                won[taker] = won.get(taker, 0) + units
                lost[giver] = lost.get(giver, 0) + units
    net = {holder: won.get(holder, 0) - lost.get(holder, 0) for holder in (*won, *lost)}
    winners = [(holder, units) for holder, units in net.items() if units > 0]
    return winners, [(holder, -units) for holder, units in net.items() if units < 0]


def _sent_instead(taker: str, giver: str, units: int, towards: Towards) -> int:
    """Of units that one was promised, those that the other can be sent in its place."""
    reach, orders = towards[0], towards[1].orders
    if taker not in orders:
        return 0
    reach.give(orders.get(giver, UNTOLD), -units)
    taken = min(units, reach.spare(orders[taker]))
    reach.give(orders.get(giver, UNTOLD), units - taken)
    reach.give(orders[taker], taken)
    return taken
