"""What could be promised now, and what a channel shows of it, by the arithmetic that a reservation goes by.

For shops, before they show a basket or hold it, and for the topic that tells every channel (`state`). It
claims nothing: between the answer and the order others may be faster. Who must be sure holds a promise.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson
from pydantic import TypeAdapter

from libs.events.availability import ChannelAvailability, SkuAvailability
from libs.events.backorders import Backorders, OpenBackorders
from libs.events.contract import Event
from libs.events.places import Delivery
from libs.events.policy import OrderPolicy
from libs.events.promise import Wanted
from libs.events.record import record
from services.inventory import bundle_figures, caps, dates
from services.inventory.bundles import in_parts
from services.inventory.dates import Question
from services.inventory.holding import summed
from services.inventory.ledger import positions
from services.inventory.lots import Lots
from services.inventory.places import PlacesPart
from services.inventory.policies import PoliciesPart, could_have
from services.inventory.queue import Turn
from services.inventory.recipes import NO_RECIPE, Recipe
from services.inventory.serving import Serving
from services.inventory.shelf_life import lasting
from services.inventory.stock import EMPTY_SKU, OrderClaim, SkuPart, SubstitutesOf
from services.inventory.supplies import SupplyPart
from services.inventory.terms import LEVEL, Terms
from services.inventory.touched import named_skus


def read_sku(part: bytes) -> SkuPart:
    """A SKU's part, for its figures. Claims are left out but where terms or policies make them matter: a SKU
    that many wait for has many, and they are most of it. So are lots of which no channel asks anything."""
    raw: dict[str, Any] = orjson.loads(part)
    terms = raw.get("terms")
    claims: dict[str, OrderClaim] = {}
    turns = {order_id: Turn(**turn) for order_id, turn in raw.get("turns", {}).items()}
    found = raw.get("lots")
    lots = _LOTS.validate_python(found) if found is not None and found.get("limits") else None
    bound = raw.get("serving")
    if (
        turns
        or bound is not None
        or lots is not None
        or (terms is not None and raw["wanted"] > raw["reserved"])
    ):
        claims = {
            holder: OrderClaim(claim["wanted"], claim["held"], claim["since"], claim.get("channel"))
            for holder, claim in raw["claims"].items()
        }
    return SkuPart(
        raw["position"],
        raw["on_hand"],
        raw["allocated"],
        raw["reserved"],
        raw["wanted"],
        claims,
        None if terms is None else _terms(terms),
        turns,
        None if (recipe := raw.get("recipe")) is None else Recipe(**recipe),
        int(raw.get("supplied", 0)),
        lots,
        substitutes=None
        if (named := raw.get("substitutes")) is None
        else SubstitutesOf(named["version"], tuple(named["skus"])),
        baskets={} if lots is None and bound is None else raw.get("baskets", {}),
        closed=tuple(raw.get("closed") or ()) or None,
        arrivals=tuple(tuple(one) for one in raw.get("arrivals") or ()) or None,
        serving=None if bound is None else _SERVING.validate_python(bound),
        untrusted=tuple(raw.get("untrusted") or ()) or None,
    )


_LOTS, _SERVING = TypeAdapter(Lots), TypeAdapter(Serving)


def _terms(raw: dict[str, Any]) -> Terms:
    capped = raw.get("backorders")
    return Terms(**raw if capped is None else {**raw, "backorders": Backorders.model_validate(capped)})


def read_recipe(part: bytes) -> SkuPart:
    """A SKU's part, for what it is made of alone. Hardly any is made of something, which is seen without
    decoding the claims of who waits: a text has no quotes but escaped ones."""
    return read_sku(part) if part.rfind(b'"recipe":null') < 0 else EMPTY_SKU


read_supply = TypeAdapter(SupplyPart).validate_json
"""What is to come of a SKU."""
read_places = TypeAdapter(PlacesPart).validate_json
"""Calendars and services."""
read_policies = TypeAdapter(PoliciesPart).validate_json
"""Classes, and which orders are of which."""


def parts_named(skus: Iterable[SkuPart]) -> set[str]:
    """SKUs of which bundles among these are made; nothing where there is none."""
    return {
        sku for part in skus if part.recipe is not None and part.recipe.unpacked for sku in part.recipe.parts
    }


@record
class Asking:
    """For whom, and of which units, figures are asked."""

    channel: str | None
    at: datetime | None = None
    policy: OrderPolicy | None = None
    """What an order of the basket would go by."""
    node: str | None = None
    """Of this node's units alone."""
    country: str | None = None
    """Where it would be sent."""


def answer(
    lines: Iterable[Wanted],
    channel: str | None,
    skus: Mapping[str, SkuPart],
    at: datetime | None = None,
    policy: OrderPolicy | None = None,
    node: str | None = None,
) -> dict[str, Any]:
    """The basket as a whole and SKU by SKU; several lines of one SKU are one demand, and a bundle is demand
    for its parts, summed with what else the basket wants of them. `skus` has its bundles' parts as well."""
    told = _told(summed(lines), Asking(channel, at, policy, node), skus)
    return told if node is None else {**told, "node": node}


def _told(wanted: Mapping[str, int], asking: Asking, skus: Mapping[str, SkuPart]) -> dict[str, Any]:
    demand = in_parts(wanted, skus)
    told = []
    for sku, units in wanted.items():
        recipe = skus.get(sku, EMPTY_SKU).recipe
        if recipe is not None and recipe.unpacked:
            told.append(_bundle(sku, units, asking, skus, recipe, demand))
        else:
            others = demand[sku] - units
            told.append(_figures(sku, units, asking, skus.get(sku, EMPTY_SKU), others))
    return {"available": all(not one["short"] for one in told), "channel": asking.channel, "skus": told}


def answer_dated(
    lines: Iterable[Wanted],
    channel: str | None,
    skus: Mapping[str, SkuPart],
    supplies: Mapping[str, SupplyPart],
    question: Question,
) -> dict[str, Any]:
    """The same with dates: of each SKU how much by when, and when the basket's units are delivered; of the
    basket, when the last of them is."""
    wanted = summed(lines)
    asking = Asking(channel, question.at, question.policy, country=question.destination.country)
    told, demand = _told(wanted, asking, skus), in_parts(wanted, skus)
    found = dates.promised(demand, channel, skus, supplies, question)
    for one in told["skus"]:
        parts = in_parts({one["sku"]: 1}, skus)
        others = {sku: demand[sku] - each * one["quantity"] for sku, each in parts.items()}
        one["atp"] = dates.atp_of_parts(parts, others, channel, skus, supplies, question)
        one["delivery"] = _delivery(dates.last(found[sku] for sku in parts))
    return told | {"delivery": _delivery(dates.last(found.values()))}


def _delivery(found: Delivery) -> dict[str, Any]:
    return found.model_dump(exclude_none=True)


def figure(
    part: SkuPart,
    channel: str | None,
    policy: OrderPolicy | None = None,
    node: str | None = None,
    country: str | None = None,
) -> tuple[int, int]:
    """Units that an order of the channel would be promised now, by its policy where it has one, and units
    that the channel may show. Of one node: as many of them as are there, and not allocated. Without a
    country: an order that any node may ship."""
    available = could_have(part, channel, policy, country)
    if node is not None:
        available = min(available, part.on_hand_for(channel).get(node, 0))
    if part.terms is None or channel is None:
        return available, available
    return available, part.terms.shown(channel, available)


def channels_of(part: SkuPart) -> list[dict[str, Any]]:
    """The figures of each channel that the SKU's terms name, and what it asks of lots."""
    found = []
    for channel in [] if part.terms is None else part.terms.named():
        available, shown = figure(part, channel)
        row = {"channel": channel, "available": available, "shown": shown, **_shelf_life(part, channel)}
        found.append(row)
    return found


def state(
    stream: str, version: int, part: bytes, at: datetime | None = None
) -> tuple[SkuAvailability, tuple[str, ...]] | None:
    """A SKU's part as the channels are told of it, and the timers that it wants, due at once. None for a SKU
    that never moved, has no terms and was never made of others (somebody asked for it, or mistyped it), and
    for a bundle: that is told by its parts (`bundle_state`)."""
    known = read_sku(part)
    terms, told, recipe = known.terms, tuple[ChannelAvailability, ...](), known.recipe or NO_RECIPE
    if recipe.unpacked or not (known.position or terms is not None or recipe.version):
        return None
    if terms is not None:
        figures = ((channel, *figure(known, channel)) for channel in terms.named())
        told = tuple(
            ChannelAvailability(
                channel=channel, available=available, shown=shown, backorders=caps.told(known, channel, at)
            )
            for channel, available, shown in figures
        )
    availability = SkuAvailability(
        sku=stream.removeprefix("sku/"),
        version=bundle_figures.told_version(known.recipe, version),
        position=known.position,
        terms_version=None if terms is None else terms.version,
        available=figure(known, None)[0],
        channels=told,
        low=terms is not None and terms.low,
        backorders=caps.told(known, None, at),
    )
    return availability, (LEVEL,) if terms is not None and terms.changes_level(known.offered) else ()


def told_with(stream: str, part: bytes) -> set[str]:
    """Streams of the bundles whose figures a SKU's part makes: its own, where it is one, and those that it
    is a part of. Hardly any SKU is either, which is seen without decoding it."""
    recipe = read_recipe(part).recipe
    if recipe is None:
        return set()
    return {f"sku/{sku}" for sku in recipe.within} | ({stream} if recipe.unpacked else set())


def made_of(stream: str, part: bytes) -> set[str]:
    """Streams of the parts of a bundle; nothing for a SKU that is none."""
    return {f"sku/{sku}" for sku in parts_named([read_recipe(part)])} - {stream}


def bundle_state(
    stream: str, parts: Mapping[str, tuple[int, bytes]], at: datetime | None = None
) -> SkuAvailability | None:
    """A bundle as the channels are told of it, of its own part and those of its parts, each with its version
    by stream. None for a SKU that is none by now."""
    skus = {name.removeprefix("sku/"): read_sku(part) for name, (_, part) in parts.items()}
    sku = stream.removeprefix("sku/")
    known = skus[sku]
    recipe, terms = known.recipe or NO_RECIPE, known.terms
    if not recipe.unpacked:
        return None
    told = dict[str | None, tuple[tuple[int, int], OpenBackorders | None]]()
    for channel in (None, *bundle_figures.channels_of(recipe, skus, terms)):
        figures = {part: figure(skus.get(part, EMPTY_SKU), channel) for part in recipe.parts}
        available = {part: units for part, (units, _) in figures.items()}
        waits = bundle_figures.may_wait(recipe, skus, available, channel, at)
        told[channel] = bundle_figures.bundles_there(recipe, figures, terms, channel), waits
    return SkuAvailability(
        sku=sku,
        version=bundle_figures.told_version(recipe, sum(version for version, _ in parts.values())),
        position=known.position,
        terms_version=None if terms is None else terms.version,
        available=told[None][0][0],
        channels=tuple(
            ChannelAvailability(channel=channel, available=there, shown=shown, backorders=waits)
            for channel, ((there, shown), waits) in told.items()
            if channel is not None
        ),
        low=terms is not None and terms.low,
        backorders=told[None][1],
        bundle_version=recipe.version,
    )


def touched(event: Event) -> set[str]:
    """Streams of the SKUs whose availability an event of inventory may change."""
    streams = {f"sku/{sku}" for sku in named_skus(event)} | {stream for stream, _ in positions(event)}
    return {stream for stream in (*streams, event.stream) if stream.startswith("sku/")}


def _bundle(
    sku: str,
    quantity: int,
    asking: Asking,
    skus: Mapping[str, SkuPart],
    recipe: Recipe,
    demand: Mapping[str, int],
) -> dict[str, Any]:
    """It can be promised as often as its scarcest part allows, beside what else the basket wants of that."""
    parts = [
        _figures(part, each * quantity, asking, skus.get(part, EMPTY_SKU), demand[part] - each * quantity)
        for part, each in recipe.parts.items()
    ]
    figures = {one["sku"]: (one["available"], one["shown"]) for one in parts}
    own = skus.get(sku, EMPTY_SKU).terms
    there, shown = bundle_figures.bundles_there(recipe, figures, own, asking.channel)
    available = {one["sku"]: one["available"] for one in parts}
    waits = bundle_figures.may_wait(recipe, skus, available, asking.channel, asking.at)
    return {
        **_figures(sku, quantity, asking, EMPTY_SKU, 0),
        "available": there,
        "shown": shown,
        "short": max(0, quantity - there),
        **({} if waits is None else {"backorders": waits.model_dump()}),
        "bundle_version": recipe.version,
        "parts": parts,
    }


def _figures(sku: str, quantity: int, asking: Asking, part: SkuPart, others: int) -> dict[str, Any]:
    """`others` are units of it that the basket wants for other things: a bundle and its part, say."""
    channel, policy = asking.channel, asking.policy
    there, shown = [
        max(0, units - others) for units in figure(part, channel, policy, asking.node, asking.country)
    ]
    terms = part.terms or Terms(0)
    buffer = 0 if channel is None else terms.buffers.get(channel, 0)
    capped = caps.told(part, channel, asking.at)
    return {
        "sku": sku,
        "quantity": quantity,
        "available": there,
        "shown": shown,
        "short": max(0, quantity - there),
        "on_hand": sum(part.on_hand.values()),
        "promised": part.reserved,
        "waiting": part.wanted - part.reserved,
        "safety_stock": terms.safety_stock,
        "buffer": buffer,
        "kept_for_others": terms.withheld(channel) - terms.safety_stock - buffer,
        "terms_version": None if part.terms is None else part.terms.version,
        **({} if capped is None else {"backorders": capped.model_dump()}),
        **_shelf_life(part, channel),
        "nodes": [
            _at_node(node, units, part, asking.country) for node, units in sorted(part.on_hand.items())
        ],
    }


def _at_node(node: str, units: int, part: SkuPart, country: str | None) -> dict[str, Any]:
    """What is on hand at a node; where the node is switched off, does not ship there, or its feed is silent,
    it says so, and none of it is promised."""
    told = {"node": node, "on_hand": units}
    if part.serving is not None and not part.serving.serves(node, country):
        told["not_served"] = True
    if node in (part.untrusted or ()):
        return told | {"feed_silent": True}
    return told | {"switched_off": True} if node in (part.closed or ()) else told


def _shelf_life(part: SkuPart, channel: str | None) -> dict[str, Any]:
    """What a channel asks of the lots that it is given, where it does, and the units on hand of such lots."""
    limit = None if part.lots is None else part.lots.limits.get(channel or "")
    if part.lots is None or limit is None:
        return {}
    there = lasting(part.lots, limit.expires_from)
    return {"shelf_life": {"days_min": limit.days_min, "expires_from": limit.expires_from, "on_hand": there}}
