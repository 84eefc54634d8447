"""Tables that a suite writes into a page of the docs, between markers, with the commit that they are of."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RELIABILITY = ROOT / "docs" / "reliability.md"


def part(page: Path, name: str) -> tuple[str, str, str]:
    """What stands before, between and after a page's markers of this name."""
    before, begins, rest = page.read_text().partition(f"<!-- {name} -->")
    kept, ends, after = rest.partition(f"<!-- /{name} -->")
    assert ends, f"{page} has no markers <!-- {name} --> and <!-- /{name} -->"
    return before + begins, kept, ends + after


def write(page: Path, name: str, text: str) -> None:
    """Put text between the markers, in place of what is there."""
    before, _, after = part(page, name)
    page.write_text(f"{before}\n{text}\n\n{after}")
