"""What a stage passes over in the events it hears, it has no use for: it decides the same with all of it."""

from dataclasses import replace

import pytest

from libs.runtime.digest import memory_digest
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
