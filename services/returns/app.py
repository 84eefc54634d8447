"""Wires the returns stage: `python -m services.returns.app`."""

from libs.runtime.service import run
from libs.runtime.stage import one_stream
from services.returns import domain, state
from services.returns.api import routes

STAGE = one_stream(
    "returns",
    hears_types=domain.HEARS,
    passes_over=domain.PASSES_OVER,
    state=state.State,
    initial=state.INITIAL,
    decide=domain.decide,
    evolve=state.evolve,
)

if __name__ == "__main__":
    run(STAGE, routes)
