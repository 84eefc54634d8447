"""SKU parts as they were written before baskets stood apart: read as they are, written anew with a change.

A held basket was a claim like an order's, by the name of its stream, with an age of its own.
"""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator

from services.inventory.stock import HOLDER, SkuPart


def brought_up(part: SkuPart) -> SkuPart:
    """The part as it is written now."""
    old = [item for item in part.claims.items() if item[0].startswith(HOLDER)]
    if not old:
        return part
    old.sort(key=lambda item: item[1].since or "")
    baskets = {holder.removeprefix(HOLDER): claim.held for holder, claim in old}
    claims = {holder: claim for holder, claim in part.claims.items() if not holder.startswith(HOLDER)}
    return replace(part, claims=claims, baskets=baskets | part.baskets)


def stored(kind: type[Any]) -> Any:
    """How a part of this kind is read."""
    return Annotated[kind, AfterValidator(brought_up)] if kind is SkuPart else kind
