"""In the dark the console has other colours and is the same otherwise: the browser's tests build on it."""

import re
from pathlib import Path

CSS = (Path(__file__).parents[2] / "services" / "console" / "assets" / "console.css").read_text()


def test_the_dark_scheme_only_sets_colours() -> None:
    [dark] = re.findall(r"@media \(prefers-color-scheme: dark\) \{(.*?)\n\}", CSS, re.DOTALL)
    [(selector, rules)] = re.findall(r"([^{}]+)\{([^{}]*)\}", dark)
    assert selector.strip() == ":root"
    assert all(
        re.fullmatch(r"--[\w-]+: #[0-9a-f]{6}", rule.strip()) for rule in rules.split(";") if rule.strip()
    )
    assert "prefers-color-scheme" not in CSS.replace("@media (prefers-color-scheme: dark)", "")
