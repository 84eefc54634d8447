"""Examples of what a SKU is on the shelf, and of its lots."""

from datetime import date

from libs.events import channel_days as c
from libs.events import items as i
from libs.events import lots as t
from libs.events import serials as n
from libs.events import supply as u
from tests.contract.example_parts import HEART, Pairs
from tests.contract.example_supply import LATER

UNITS = (
    i.UnitOfMeasure(unit="inner", holds=6),
    i.UnitOfMeasure(unit="case", holds=4, of="inner"),
    i.UnitOfMeasure(unit="piece", holds=1, per=12),
)

DAYS = (c.ChannelDays(channel="wholesale", shelf_days_min=5),)
OF_LOT = {"sku": HEART, "lot": "L-2291"}
LAST_DAY = date(2011, 3, 31)


def of_lot(source: u.SupplyBucket, target: u.SupplyBucket, position: int) -> u.SupplyMovement:
    return u.SupplyMovement(
        sku=HEART, node="LON", source=source, target=target, quantity=6, position=position, lot="L-2291"
    )


def with_serial(
    source: u.SupplyBucket, target: u.SupplyBucket, position: int, serial: str
) -> u.SupplyMovement:
    return u.SupplyMovement(
        sku=HEART,
        node="LON",
        source=source,
        target=target,
        quantity=1,
        position=position,
        serials=(serial,),
    )


OFF_THE_SHELF = (of_lot("on_hand", "quarantine", 7),)

ITEMS: Pairs = (
    (
        i.DefineItem(sku=HEART, units=UNITS, lot_controlled=True, shelf_days_min=14),
        i.DefineItem(sku=HEART),
    ),
    (
        i.ItemDefined(
            sku=HEART, item_version=2, units=UNITS, lot_controlled=True, shelf_days_min=14, check_at=LATER
        ),
        i.ItemDefined(sku=HEART, item_version=1),
    ),
    (c.DefineChannelDays(channels=DAYS), c.DefineChannelDays(channels=())),
    (c.ChannelDaysDefined(version=2, channels=DAYS), c.ChannelDaysDefined(version=1, channels=())),
    (i.PlaceItem(sku=HEART, node="LON", bin="A-12-3"), i.PlaceItem(sku=HEART, node="LON")),
    (i.ItemPlaced(sku=HEART, node="LON", bin="A-12-3"), i.ItemPlaced(sku=HEART, node="LON")),
    (
        i.MoveBetweenBins(sku=HEART, node="LON", quantity=40, source="A-12-3", target="R-7-2"),
        i.MoveBetweenBins(sku=HEART, node="LON", quantity=40),
    ),
    (
        i.BinsMoved(
            sku=HEART,
            node="LON",
            cause="moved",
            changes=(i.BinChange(bin="R-7-1", delta=-40), i.BinChange(bin="R-7-2", delta=40)),
            up_to=6,
        ),
        i.BinsMoved(
            sku=HEART, node="LON", cause="gone", changes=(i.BinChange(bin="R-7-1", delta=-4),), up_to=7
        ),
    ),
    (t.QuarantineLot(**OF_LOT, reason="Glass was found."), t.QuarantineLot(**OF_LOT)),
    (t.ReleaseLot(**OF_LOT, reason="It was none."), t.ReleaseLot(**OF_LOT)),
    (
        t.LotDefined(**OF_LOT, expires_on=LAST_DAY, check_at=LATER),
        t.LotDefined(**OF_LOT, expires_on=LAST_DAY),
    ),
    (
        t.LotExpired(
            **OF_LOT, up_to=6, expires_on=LAST_DAY, allocated=2, check_at=LATER, movements=OFF_THE_SHELF
        ),
        t.LotExpired(**OF_LOT, up_to=6, expires_on=LAST_DAY, movements=()),
    ),
    (
        t.LotQuarantined(
            **OF_LOT,
            up_to=6,
            reason="Glass was found.",
            allocated=2,
            check_at=LATER,
            movements=OFF_THE_SHELF,
        ),
        t.LotQuarantined(**OF_LOT, up_to=6, movements=()),
    ),
    (
        t.LotReleased(
            **OF_LOT,
            up_to=7,
            reason="It was none.",
            check_at=LATER,
            movements=(of_lot("quarantine", "on_hand", 8),),
        ),
        t.LotReleased(**OF_LOT, up_to=7, movements=()),
    ),
    (
        t.LotsLimited(
            sku=HEART,
            limits=(
                t.LotLimit(channel="pos", shelf_days_min=30, expires_from=date(2026, 4, 1)),
                t.LotLimit(channel="web", shelf_days_min=7, expires_from=date(2026, 3, 9)),
            ),
            up_to=8,
            check_at=LATER,
        ),
        t.LotsLimited(sku=HEART, up_to=8),
    ),
    (
        n.CorrectSerials(
            sku=HEART, node="LON", wrong=("SN-0017",), right=("SN-0011",), reason="7 was read for 1."
        ),
        n.CorrectSerials(sku=HEART, node="LON", wrong=("SN-0017",)),
    ),
    (
        n.SerialsCorrected(
            sku=HEART,
            node="LON",
            wrong=("SN-0017",),
            right=("SN-0011",),
            reason="7 was read for 1.",
            movements=(
                with_serial("adjustment", "on_hand", 9, "SN-0011"),
                with_serial("on_hand", "adjustment", 10, "SN-0017"),
            ),
        ),
        n.SerialsCorrected(sku=HEART, node="LON", wrong=("SN-0017",), movements=()),
    ),
)
