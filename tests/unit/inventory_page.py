"""docs/inventory.md and the worked examples in it, whose figures tests compute."""

import re
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "inventory.md").read_text()


def table(name: str) -> list[str]:
    """Lines of the table between the page's markers of that name."""
    return PAGE.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0].strip().splitlines()


def worked(name: str) -> list[tuple[str, list[int]]]:
    """(step, figures) of each row of an example."""
    found = []
    for text in table(name):
        step = re.search(r"`([^`]+)`", text)
        if step:
            found.append((step[1], [int(cell) for cell in text.split("|")[2:-1]]))
    return found
