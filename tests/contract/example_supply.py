"""Examples of facts from outside: what is bought, moved, counted, and told by others."""

from datetime import timedelta

from libs.events import conditions as m
from libs.events import feeds as f
from libs.events import stocktaking as c
from libs.events import supply as u
from tests.contract.example_parts import HEART, PLACED_AT, Pairs

LATER = PLACED_AT + timedelta(days=7)
BEFORE = PLACED_AT - timedelta(hours=1)


def move(
    source: u.SupplyBucket, target: u.SupplyBucket, quantity: int = 6, *, node: str = "LON", position: int = 7
) -> u.Movements:
    return (
        u.SupplyMovement(
            sku=HEART, node=node, source=source, target=target, quantity=quantity, position=position
        ),
    )


RULES = u.SupplyRules(
    nodes=("LON", "LEE"),
    new_skus=False,
    over_receipt_percent_max=10,
    unannounced=False,
    count_approval_units=24,
    phantom_short_picks=2,
    feed_shrink_percent=20,
)
FEED = f.Feed(feed="acme", node="ACME", kind="vendor")
FULL_FEED = f.Feed(
    feed="acme",
    node="ACME",
    kind="vendor",
    buffer_units=5,
    buffer_percent=10,
    stale_minutes=120,
    sellable_only=True,
)
BOUGHT = {"sku": HEART, "supply_id": "PO-1077"}
SENT = {"sku": HEART, "transfer_id": "T-12"}

SUPPLY: Pairs = (
    (u.DefineSupplyRules(rules=RULES), u.DefineSupplyRules(rules=u.SupplyRules(new_skus=True))),
    (
        u.ExpectSupply(
            **BOUGHT,
            node="LON",
            quantity=144,
            expected_at=LATER,
            stated_at=PLACED_AT,
            document="asn",
            supplier="Acme Ltd",
        ),
        u.ExpectSupply(**BOUGHT, node="LON", quantity=144, expected_at=LATER, stated_at=PLACED_AT),
    ),
    (u.CancelSupply(**BOUGHT, reason="Out of production."), u.CancelSupply(**BOUGHT)),
    (
        u.ReceiveSupply(
            **BOUGHT,
            receipt_id="GR-1",
            node="LON",
            quantity=140,
            damaged=2,
            final=True,
            effective_at=BEFORE,
        ),
        u.ReceiveSupply(**BOUGHT, receipt_id="GR-1", node="LON", quantity=140),
    ),
    (
        u.DispatchTransfer(
            **SENT, source_node="LON", target_node="LEE", quantity=6, due_at=LATER, effective_at=BEFORE
        ),
        u.DispatchTransfer(**SENT, source_node="LON", target_node="LEE", quantity=6, due_at=LATER),
    ),
    (
        u.ReceiveTransfer(**SENT, receipt_id="TR-1", quantity=5, damaged=1, final=True, effective_at=BEFORE),
        u.ReceiveTransfer(**SENT, receipt_id="TR-1", quantity=6),
    ),
    (
        u.CloseTransfer(**SENT, outcome="lost", reason="The lorry was robbed."),
        u.CloseTransfer(**SENT, outcome="returned"),
    ),
    (
        m.MoveStock(
            sku=HEART,
            node="LON",
            source="on_hand",
            target="quarantine",
            quantity=6,
            reason_code="recall",
            reference="QA-9",
            effective_at=BEFORE,
        ),
        m.MoveStock(
            sku=HEART,
            node="LON",
            source="quarantine",
            target="on_hand",
            quantity=6,
            reason_code="released",
        ),
    ),
    (
        c.RecordCount(
            sku=HEART,
            count_id="CC-77",
            node="LON",
            counted=138,
            counted_at=BEFORE,
            book=144,
            position=6,
            reason_code="cycle",
        ),
        c.RecordCount(
            sku=HEART, count_id="CC-77", node="LON", counted=144, counted_at=BEFORE, book=144, position=6
        ),
    ),
    (
        c.ProposeAdjustment(
            sku=HEART,
            proposal_id="WMS-3/LON",
            node="LON",
            variance=-6,
            as_of=BEFORE,
            system="wms",
            explanation="Nothing of the hour before and after it moved so many.",
        ),
        c.ProposeAdjustment(
            sku=HEART, proposal_id="WMS-3/LON", node="LON", variance=-6, as_of=BEFORE, system="wms"
        ),
    ),
    (
        c.SettleDifference(sku=HEART, proposal_id="CC-77", approve=True, note="Counted twice."),
        c.SettleDifference(sku=HEART, proposal_id="CC-77", approve=False),
    ),
    (
        c.SuspectStock(sku=HEART, node="LON", reason="Nothing has moved for 90 days."),
        c.SuspectStock(sku=HEART, node="LON"),
    ),
    (f.DefineFeed(definition=FULL_FEED), f.DefineFeed(definition=FEED)),
    (
        f.AmendFeed(
            feed="acme",
            node="ACME",
            kind="3pl",
            buffer_units=5,
            buffer_percent=10,
            stale_minutes=120,
            sellable_only=True,
        ),
        f.AmendFeed(feed="acme"),
    ),
    (f.RetireFeed(feed="acme", reason="The contract has ended."), f.RetireFeed(feed="acme")),
    (
        f.OpenFeedRun(feed="acme", run_id="R-1", rows=2, units=150, stated_at=BEFORE),
        f.OpenFeedRun(feed="acme", run_id="R-1", rows=0, units=0, stated_at=BEFORE),
    ),
    (f.ApproveFeedRun(feed="acme", run_id="R-1"), f.ApproveFeedRun(feed="acme", run_id="R-1")),
    (
        f.ReportStock(
            sku=HEART, feed="acme", run_id="R-1", mode="delta", packs=-2, pack_size=12, stated_at=BEFORE
        ),
        f.ReportStock(sku=HEART, feed="acme", packs=12, stated_at=BEFORE),
    ),
    (
        u.SupplyRulesDefined(version=2, rules=RULES),
        u.SupplyRulesDefined(version=1, rules=u.SupplyRules(new_skus=True)),
    ),
    (
        u.SupplyExpected(
            **BOUGHT,
            node="LON",
            quantity=144,
            open=138,
            expected_at=LATER,
            stated_at=PLACED_AT,
            document="asn",
            supplier="Acme Ltd",
            movements=move("supplier", "inbound", 138),
        ),
        u.SupplyExpected(
            **BOUGHT,
            node="LON",
            quantity=144,
            open=144,
            expected_at=LATER,
            stated_at=PLACED_AT,
            document="purchase_order",
            movements=(),
        ),
    ),
    (
        u.SupplyReceived(
            **BOUGHT,
            receipt_id="GR-1",
            node="LON",
            quantity=140,
            damaged=2,
            outcome="short",
            over=0,
            short=2,
            open=0,
            effective_at=BEFORE,
            movements=(
                *move("inbound", "on_hand", 140),
                *move("inbound", "damaged", 2, position=8),
                *move("inbound", "supplier", 2, position=9),
            ),
        ),
        u.SupplyReceived(
            **BOUGHT,
            receipt_id="GR-1",
            node="LON",
            quantity=6,
            outcome="partial",
            open=138,
            movements=move("inbound", "on_hand"),
        ),
    ),
    (
        u.SupplyCancelled(
            **BOUGHT,
            node="LON",
            quantity=6,
            reason="Out of production.",
            movements=move("inbound", "supplier"),
        ),
        u.SupplyCancelled(**BOUGHT, node="LON", quantity=0, movements=()),
    ),
    (
        u.TransferDispatched(
            **SENT,
            source_node="LON",
            target_node="LEE",
            quantity=6,
            due_at=LATER,
            effective_at=BEFORE,
            check_at=LATER,
            movements=(
                *move("on_hand", "transfer"),
                *move("transfer", "in_transit", node="LEE", position=8),
            ),
        ),
        u.TransferDispatched(
            **SENT,
            source_node="LON",
            target_node="LEE",
            quantity=6,
            due_at=LATER,
            movements=(
                *move("on_hand", "transfer"),
                *move("transfer", "in_transit", node="LEE", position=8),
            ),
        ),
    ),
    (
        u.TransferReceiptHeld(
            **SENT, receipt_id="TR-1", quantity=5, damaged=1, final=True, effective_at=BEFORE
        ),
        u.TransferReceiptHeld(**SENT, receipt_id="TR-1", quantity=6),
    ),
    (
        u.TransferReceived(
            **SENT,
            receipt_id="TR-1",
            node="LEE",
            quantity=4,
            damaged=1,
            outcome="short",
            over=0,
            short=1,
            open=0,
            effective_at=BEFORE,
            check_at=LATER,
            movements=(
                *move("in_transit", "on_hand", 4, node="LEE"),
                *move("in_transit", "damaged", 1, node="LEE", position=8),
                *move("in_transit", "missing", 1, node="LEE", position=9),
            ),
        ),
        u.TransferReceived(
            **SENT,
            receipt_id="TR-1",
            node="LEE",
            quantity=6,
            outcome="complete",
            open=0,
            movements=move("in_transit", "on_hand", node="LEE"),
        ),
    ),
    (
        u.TransferOverdue(**SENT, source_node="LON", target_node="LEE", open=6, due_at=LATER, check_at=LATER),
        u.TransferOverdue(**SENT, source_node="LON", target_node="LEE", open=6, due_at=LATER),
    ),
    (
        u.TransferClosed(
            **SENT,
            outcome="lost",
            quantity=6,
            reason="The lorry was robbed.",
            check_at=LATER,
            movements=move("in_transit", "missing", node="LEE"),
        ),
        u.TransferClosed(
            **SENT, outcome="lost", quantity=6, movements=move("in_transit", "missing", node="LEE")
        ),
    ),
    (
        m.StockMoved(
            sku=HEART,
            node="LON",
            source="on_hand",
            target="quarantine",
            quantity=6,
            reason_code="recall",
            reference="QA-9",
            effective_at=BEFORE,
            movements=move("on_hand", "quarantine"),
        ),
        m.StockMoved(
            sku=HEART,
            node="LON",
            source="damaged",
            target="scrapped",
            quantity=6,
            reason_code="broken",
            movements=move("damaged", "scrapped"),
        ),
    ),
    (
        c.CountRecorded(
            sku=HEART,
            count_id="CC-77",
            node="LON",
            counted=138,
            effective_at=BEFORE,
            book=144,
            variance=-6,
            outcome="booked",
            allocated_short=1,
            reason_code="cycle",
            up_to=6,
            movements=move("on_hand", "written_off", 5),
        ),
        c.CountRecorded(
            sku=HEART,
            count_id="CC-77",
            node="LON",
            counted=144,
            effective_at=BEFORE,
            book=144,
            variance=0,
            outcome="matched",
            up_to=6,
            movements=(),
        ),
    ),
    (
        c.AdjustmentProposed(
            sku=HEART,
            proposal_id="WMS-3/LON",
            node="LON",
            variance=-6,
            as_of=BEFORE,
            system="wms",
            explanation="Nothing of the hour before and after it moved so many.",
        ),
        c.AdjustmentProposed(
            sku=HEART, proposal_id="WMS-3/LON", node="LON", variance=-6, as_of=BEFORE, system="wms"
        ),
    ),
    (
        c.DifferenceSettled(
            sku=HEART,
            proposal_id="CC-77",
            node="LON",
            source="count",
            approved=True,
            variance=-6,
            allocated_short=1,
            note="Counted twice.",
            effective_at=BEFORE,
            movements=move("on_hand", "written_off", 5),
        ),
        c.DifferenceSettled(
            sku=HEART,
            proposal_id="CC-77",
            node="LON",
            source="snapshot",
            approved=False,
            variance=-6,
            effective_at=BEFORE,
            movements=(),
        ),
    ),
    (
        c.DifferenceSuperseded(
            sku=HEART,
            proposal_id="CC-77",
            node="LON",
            source="count",
            variance=-6,
            as_of=BEFORE,
            cause="snapshot",
            by="WMS-3/LON",
        ),
        c.DifferenceSuperseded(
            sku=HEART,
            proposal_id="WMS-3/LON",
            node="LON",
            source="snapshot",
            variance=-6,
            as_of=BEFORE,
            cause="feed",
            by="acme",
        ),
    ),
    (
        c.StockSuspected(
            sku=HEART,
            node="LON",
            quantity=6,
            short_picks=2,
            reason="Doubted.",
            movements=move("on_hand", "suspect"),
        ),
        c.StockSuspected(
            sku=HEART, node="LON", quantity=6, short_picks=1, movements=move("on_hand", "suspect")
        ),
    ),
    (f.FeedDefined(definition=FULL_FEED), f.FeedDefined(definition=FEED)),
    (
        f.FeedRetired(feed="acme", node="ACME", reason="The contract has ended."),
        f.FeedRetired(feed="acme", node="ACME"),
    ),
    (
        f.FeedRunOpened(
            feed="acme", run_id="R-2", rows=1, units=15, stated_at=BEFORE, held=True, units_before=150
        ),
        f.FeedRunOpened(feed="acme", run_id="R-1", rows=2, units=150, stated_at=BEFORE),
    ),
    (f.FeedRunApproved(feed="acme", run_id="R-2"), f.FeedRunApproved(feed="acme", run_id="R-2")),
    (
        f.StockReported(
            sku=HEART,
            feed="acme",
            node="ACME",
            run_id="R-1",
            mode="full",
            told=144,
            withheld=15,
            stated_at=BEFORE,
            stale_at=LATER,
            check_at=LATER,
            movements=(
                *move("supplier", "vendor", 144, node="ACME"),
                *move("vendor", "on_hand", 129, node="ACME", position=8),
            ),
        ),
        f.StockReported(
            sku=HEART,
            feed="acme",
            node="ACME",
            mode="delta",
            told=0,
            withheld=0,
            stated_at=BEFORE,
            stale_at=LATER,
            movements=(),
        ),
    ),
    (
        f.FeedStale(
            sku=HEART,
            feed="acme",
            node="ACME",
            stated_at=BEFORE,
            check_at=LATER,
            movements=move("on_hand", "vendor", 129, node="ACME"),
        ),
        f.FeedStale(sku=HEART, feed="acme", node="ACME", stated_at=BEFORE, movements=()),
    ),
)
