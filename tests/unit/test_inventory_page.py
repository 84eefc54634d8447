"""The worked examples of docs/inventory.md: their steps are taken, and each figure is what comes of them."""

from libs.events.availability import SkuAvailability
from libs.events.bundles import AssembleKit, BundlePart, DefineBundle, TakeKitApart
from libs.events.contract import Contract
from libs.events.inventory import NETWORK
from libs.events.promise import ChannelTerms, DefinePromiseTerms, HoldStock, Share, Wanted
from libs.events.timer import TimerDue
from libs.runtime.stage import dump_part
from services.inventory.availability import answer, state
from services.inventory.order import OrderPart
from services.inventory.stock import EMPTY_SKU, SkuPart
from tests.unit.inventory_page import worked
from tests.unit.inventory_trade import accepted, adjust, cancelled, line, of_basket, receive, routed
from tests.unit.inventory_world import World


def read(step: str) -> Contract | None:
    """A step as an input; None where time passes."""
    match step.split():
        case ["receive", units]:
            return receive("MUG", int(units), "LON")
        case ["adjust", units]:
            return adjust("MUG", int(units), "LON")
        case ["terms"]:
            ways = (
                ChannelTerms(channel="marketplace", buffer=5, sold_out_at=10),
                ChannelTerms(channel="web", shown_max=20),
            )
            return DefinePromiseTerms(sku="MUG", channels=ways, low_at=15)
        case ["terms", "safety", safety, "web", units]:
            share = Share(channel="web", units=int(units), lends_to=("pos",))
            return DefinePromiseTerms(sku="MUG", safety_stock=int(safety), shares=(share,))
        case ["hold", basket, units, channel]:
            wanted = (Wanted(sku="MUG", quantity=int(units)),)
            return HoldStock(promise_id=basket, lines=wanted, channel=channel)
        case ["order", order_id, units, channel]:
            order = accepted(order_id, ("MUG", int(units)))
            return order.model_copy(update={"channel": channel})
        case ["order", order_id, units, channel, basket]:
            order = accepted(order_id, ("MUG", int(units))).model_copy(update={"channel": channel})
            return of_basket(basket, order)
        case ["plan", order_id, units]:
            return routed(order_id, 1, LON=(line(1, "MUG", int(units)),))
        case ["expire", _]:
            return None
    raise AssertionError(f"`{step}` is no step that this test knows")


def figures(world: World) -> list[int]:
    part = world.parts.get("sku/MUG", EMPTY_SKU)
    assert isinstance(part, SkuPart)
    buckets = [world.balance["MUG", NETWORK, name] for name in ("held", "reserved")]
    on_hand, allocated = (world.balance["MUG", "LON", name] for name in ("on_hand", "allocated"))
    waiting = part.wanted - part.reserved
    return [
        on_hand,
        *buckets,
        allocated,
        waiting,
        *(part.claimable(c) for c in ("web", "pos", "marketplace")),
    ]


def test_each_figure_of_the_worked_example_is_what_comes_of_its_steps() -> None:
    world, told = World(), worked("worked")
    assert len(told) >= 8
    for step, expected in told:
        body = read(step)
        if body is None:
            world.due(world.timers[f"promise/{step.split()[1]}", "expire"])
        else:
            world.take(body)
        while soon := [t for t in world.timers.values() if t.name != "expire"]:
            world.due(soon[0])
        assert figures(world) == expected, f"after `{step}`"


def said_of(world: World) -> tuple[SkuAvailability, tuple[str, ...]]:
    """What the channels are told, and the timers that it wants."""
    said = state("sku/MUG", 1, dump_part(world.parts["sku/MUG"]))
    assert said is not None
    return said


def test_each_figure_that_channels_show_is_what_comes_of_the_terms() -> None:
    world, told = World(), worked("shown")
    assert len(told) >= 6
    for step, expected in told:
        body = read(step)
        assert body is not None
        world.take(body)
        for name in said_of(world)[1]:
            world.take(TimerDue(timer_stream="sku/MUG", name=name))
        part, (said, due) = world.parts["sku/MUG"], said_of(world)
        assert isinstance(part, SkuPart)
        assert due == (), "told once"
        by_channel = {one.channel: [one.available, one.shown] for one in said.channels}
        alike = [said.available] * 2
        channels = [by_channel.get(name, alike) for name in ("marketplace", "web")]
        assert [part.free, said.available, *channels[0], *channels[1], int(said.low)] == expected, (
            f"after `{step}`"
        )


def read_bundles(step: str, world: World) -> Contract:
    """A step of the example of bundles and kits as an input."""
    match step.split():
        case ["receive", sku, units]:
            return receive(sku, int(units), "LON")
        case ["bundle" | "kit" as kind, sku, *made]:
            parts = tuple(BundlePart(sku=name, quantity=units) for name, units in pairs(made))
            return DefineBundle(sku=sku, parts=parts, kept="parts" if kind == "bundle" else "assembled")
        case ["order", order_id, *wanted]:
            return accepted(order_id, *pairs(wanted))
        case ["plan", order_id]:
            order = world.parts[order_id]
            assert isinstance(order, OrderPart)
            return routed(order_id, 1, LON=order.pending)
        case ["cancel", order_id]:
            return cancelled(order_id)
        case ["assemble", sku, units]:
            return AssembleKit(sku=sku, node="LON", quantity=int(units))
        case ["take-apart", sku, units]:
            return TakeKitApart(sku=sku, node="LON", quantity=int(units))
    raise AssertionError(f"`{step}` is no step that this test knows")


def pairs(texts: list[str]) -> list[tuple[str, int]]:
    return [(name, int(units)) for name, _, units in (text.partition("=") for text in texts)]


def figures_of_bundles(world: World) -> list[int]:
    skus = {
        stream.removeprefix("sku/"): part for stream, part in world.parts.items() if isinstance(part, SkuPart)
    }
    boxes = answer([Wanted(sku="GIFT-BOX", quantity=1)], None, skus)["skus"][0]["available"]
    there = {
        (sku, bucket): sum(
            units for (name, _, where), units in world.balance.items() if (name, where) == (sku, bucket)
        )
        for sku in ("MUG", "TEA", "HAMPER")
        for bucket in ("on_hand", "reserved", "allocated")
    }
    return [
        *(there["MUG", bucket] for bucket in ("on_hand", "reserved", "allocated")),
        *(there["TEA", bucket] for bucket in ("on_hand", "reserved")),
        there["HAMPER", "on_hand"],
        boxes,
    ]


def test_each_figure_of_the_example_of_bundles_is_what_comes_of_its_steps() -> None:
    world, told = World(), worked("bundles")
    assert len(told) >= 8
    for step, expected in told:
        world.take(read_bundles(step, world))
        while world.timers:
            world.due(next(iter(world.timers.values())))
        assert figures_of_bundles(world) == expected, f"after `{step}`"
