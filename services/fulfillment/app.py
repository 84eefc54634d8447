"""Wires the fulfillment stage: `python -m services.fulfillment.app`."""

from libs.runtime.service import run
from libs.runtime.stage import one_stream
from services.fulfillment import domain, state
from services.fulfillment.api import routes

STAGE = one_stream(
    "fulfillment",
    hears_types=domain.HEARS,
    passes_over=domain.PASSES_OVER,
    state=state.State,
    initial=state.INITIAL,
    decide=domain.decide,
    evolve=state.evolve,
)

if __name__ == "__main__":
    run(STAGE, routes)
