"""Wires the returns stage: `python -m services.returns.app`."""

from libs.runtime.service import run
from libs.runtime.stage import one_stream
from services.returns import domain
from services.returns.api import routes

STAGE = one_stream(
    "returns",
    hears_types=domain.HEARS,
    passes_over=domain.PASSES_OVER,
    state=domain.State,
    initial=domain.INITIAL,
    decide=domain.decide,
    evolve=domain.evolve,
)

if __name__ == "__main__":
    run(STAGE, routes)
