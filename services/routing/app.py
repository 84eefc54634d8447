"""Wires the routing stage: `python -m services.routing.app`."""

from libs.events.routing import NODES_STREAM
from libs.runtime.service import run
from libs.runtime.stage import many_streams
from services.routing import domain
from services.routing.api import routes

STAGE = many_streams(
    "routing",
    hears_types=domain.HEARS,
    passes_over=domain.PASSES_OVER,
    part_type=lambda stream: domain.NodesPart if stream == NODES_STREAM else domain.OrderPart,
    empty=domain.empty,
    more_streams=domain.more_streams,
    compose=domain.compose,
    decompose=domain.decompose,
    decide=domain.decide,
    evolve=domain.evolve,
    shared=domain.SHARED,
)

if __name__ == "__main__":
    run(STAGE, routes)
