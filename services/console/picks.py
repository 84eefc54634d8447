"""What nodes were asked to pick of an order, and what of it they found, for Measures.

A pure reading of `State`. Work that nobody has picked yet is no part of it.
"""

from services.console.facts import State


def picks(state: State) -> str | None:
    """Of each node that has picked: its id, lines asked for, lines of which units lacked, units asked for and
    units that lacked, with commas between; nodes in order, with semicolons between. None before a pick."""
    found: dict[str, list[int]] = {}
    for work in state.fulfillment.work.values():
        if work.picked_at is None:
            continue
        picked, short = work.picked, work.short
        lacked = sum(short.values()) if short else 0
        asked = (
            len(picked.keys() | short.keys()) if short else len(picked),
            len(short),
            sum(picked.values()) + lacked,
            lacked,
        )
        so_far = found.get(work.node)
        found[work.node] = [*asked] if so_far is None else [a + b for a, b in zip(so_far, asked, strict=True)]
    if not found:
        return None
    return ";".join([",".join([node, *map(str, found[node])]) for node in sorted(found)])
