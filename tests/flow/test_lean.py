"""What a stage passes over in the events it hears, it has no use for: it decides the same with all of it."""

from dataclasses import replace

import pytest

from libs.runtime.digest import memory_digest
from libs.runtime.stage import PassesOver, Stage
from services.fulfillment.app import STAGE as FULFILLMENT
from services.fulfillment.domain import PASSES_OVER as FULFILLMENT_PASSES_OVER
from services.inventory.app import STAGE as INVENTORY
from services.inventory.hears import PASSES_OVER as INVENTORY_PASSES_OVER
from services.notifications.app import STAGE as NOTIFICATIONS
from services.notifications.domain import PASSES_OVER as NOTIFICATIONS_PASSES_OVER
from services.returns.app import STAGE as RETURNS
from services.returns.domain import PASSES_OVER as RETURNS_PASSES_OVER
from services.routing.app import STAGE as ROUTING
from services.routing.domain import PASSES_OVER as ROUTING_PASSES_OVER
from tests.flow import world as worlds
from tests.flow.life import life


@pytest.mark.parametrize("seed", range(4))
async def test_a_stage_decides_the_same_when_it_reads_whole_events(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lean = await life(seed)
    monkeypatch.setattr(worlds, "STAGES", tuple(replace(stage, lean={}) for stage in worlds.STAGES))
    whole = await life(seed)

    assert any(process.stage.lean for process in lean.processes.values())
    for name, process in whole.processes.items():
        assert not process.stage.lean
        assert memory_digest(whole.logs[name], process.stage) == memory_digest(lean.logs[name], process.stage)


@pytest.mark.parametrize(
    ("stage", "passes_over"),
    [
        (INVENTORY, INVENTORY_PASSES_OVER),
        (ROUTING, ROUTING_PASSES_OVER),
        (FULFILLMENT, FULFILLMENT_PASSES_OVER),
        (NOTIFICATIONS, NOTIFICATIONS_PASSES_OVER),
        (RETURNS, RETURNS_PASSES_OVER),
    ],
    ids=lambda given: given.name if isinstance(given, Stage) else "",
)
def test_a_stage_reads_without_what_it_says_that_it_passes_over(
    stage: Stage, passes_over: PassesOver
) -> None:
    assert stage.lean.keys() == {(event.TYPE, event.VERSION) for event in passes_over}
