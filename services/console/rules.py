"""Who gets which exception, after how long, and by when it is to be settled: `exception_rules.json`.

The first rule of a kind whose `which` fits counts; times run from when the item began. As they are asked at
the moment of the question, a changed rule holds for all items at once, and nothing is folded anew.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Owner = Literal["support", "operations", "warehouse", "purchasing", "platform"]
OWNERS: tuple[Owner, ...] = ("support", "operations", "warehouse", "purchasing", "platform")
Kind = Literal[
    "hold",
    "backordered",
    "unroutable",
    "short_picked",
    "lost",
    "carrier_exception",
    "failed_message",
    "stuck",
]
KINDS: tuple[Kind, ...] = (
    "hold",
    "backordered",
    "unroutable",
    "short_picked",
    "lost",
    "carrier_exception",
    "failed_message",
    "stuck",
)
Minutes = Annotated[int, Field(ge=0, le=525_600)]


class Rule(BaseModel):
    """`which`: of this hold, or an order that stands in this segment; none: any. `after_minutes`: when it
    comes into the queue; `sla_minutes`: when it is overdue; both since it began. `action`: its button."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    which: str | None = None
    owner: Owner
    after_minutes: Minutes
    sla_minutes: Minutes
    title: str
    next_step: str
    action: Literal["release", "resolve", "order"]


RULES: tuple[Rule, ...] = tuple(
    TypeAdapter(list[Rule]).validate_json(Path(__file__).with_name("exception_rules.json").read_bytes())
)
