"""How an order's state is stored: as JSON, stage by stage, so that only what changed is written again.

The whole reads back as one `State`; what is at its default is left out.
"""

from typing import Any, TypeAlias

from pydantic import TypeAdapter

from libs.events.record import record
from services.console.facts import (
    INITIAL,
    FulfillmentFacts,
    IntakeFacts,
    InventoryFacts,
    NotificationsFacts,
    ReturnsFacts,
    RoutingFacts,
    State,
)

_STATES: TypeAdapter[State] = TypeAdapter(State)
_WRITERS = {
    "intake": TypeAdapter(IntakeFacts).serializer,
    "inventory": TypeAdapter(InventoryFacts).serializer,
    "routing": TypeAdapter(RoutingFacts).serializer,
    "fulfillment": TypeAdapter(FulfillmentFacts).serializer,
    "notifications": TypeAdapter(NotificationsFacts).serializer,
    "returns": TypeAdapter(ReturnsFacts).serializer,
}
"""By field of `State`, in its order."""
Source: TypeAlias = tuple[Any, ...]
"""All of an order that the sums by day are of, as `services.console.day_sums` has it."""


@record
class Written:
    """A state, and its JSON by stage: a member with a comma after it, or nothing if all is at its default.
    `source`: what of it is summed by day, where somebody has reckoned it."""

    state: State
    parts: tuple[str, ...]
    source: Source | None = None

    def facts(self) -> str:
        """The whole state as JSON."""
        at = self.state.last_at
        last_at = f',"last_at":"{at.isoformat().replace("+00:00", "Z")}"' if at else ""
        return f'{{{"".join(self.parts)}"events":{self.state.events}{last_at}}}'


UNWRITTEN = Written(INITIAL, ("",) * len(_WRITERS))


def write_state(state: State, before: Written = UNWRITTEN) -> Written:
    """The state's JSON; that of a stage that stood still since `before`, an earlier state, is taken over."""
    known = before.state
    return Written(
        state,
        tuple(
            part if getattr(state, stage) is getattr(known, stage) else _part(stage, state)
            for stage, part in zip(_WRITERS, before.parts, strict=True)
        ),
    )


def with_source(order: Written, source: Source) -> Written:
    """The same, and what of it is summed by day."""
    return Written(order.state, order.parts, source)


def read_state(facts: str) -> State:
    """The state that a row's `facts` hold."""
    return _STATES.validate_json(facts)


def read_written(facts: str) -> Written:
    """The same, with its JSON by stage."""
    return write_state(read_state(facts))


def _part(stage: str, state: State) -> str:
    written = _WRITERS[stage].to_json(getattr(state, stage), exclude_defaults=True)
    return "" if written == b"{}" else f'"{stage}":{written.decode()},'
