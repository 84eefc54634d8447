"""Wires the intake stage: `python -m services.intake.app`."""

from libs.runtime.service import run
from libs.runtime.stage import one_stream
from services.intake import domain
from services.intake.api import routes

STAGE = one_stream(
    "intake",
    hears_types=domain.HEARS,
    state=domain.State,
    initial=domain.INITIAL,
    decide=domain.decide,
    evolve=domain.evolve,
    waits_for="inventory",
)

if __name__ == "__main__":
    run(STAGE, routes)
