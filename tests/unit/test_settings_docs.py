"""docs/settings.md against the code: every setting with its default and description, and the fixed bounds."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from libs.runtime import settings as module
from libs.runtime.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text()
SETTINGS = re.findall(r"^\| `(ORDERLOG_[A-Z_]+)` \| `(.*?)` \| (.+) \|$", PAGE, re.MULTILINE)
FIXED = re.findall(r"^\| `([a-z_/]+\.py)` \| `([A-Z_]+)` \| ([\d.]+) \| .+ \|$", PAGE, re.MULTILINE)
CODE = (*ROOT.glob("libs/runtime/**/*.py"), *ROOT.glob("services/console/**/*.py"))
PAGES = ROOT / "services" / "console" / "pages"
"""What they list is theirs to say."""
BOUND = re.compile(r"_(SECONDS|MS|MAX|BYTES)(_MAX|_MIN)?$")
FORM = re.compile(r"_(LENGTH|DIGITS)_MAX$|(KEY|NONCE|TAG|SIGNATURE|PLAINTEXT)_BYTES|_(TOLD|LISTED)_MAX$")
"""How a field or a sentence is formed; no bound of what a process does."""


def described() -> Iterator[tuple[str, str, str]]:
    """Variable, default and description of every setting, as the page's rows have them."""
    source = Path(str(module.__file__)).read_text()
    [owner] = [
        node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == "Settings"
    ]
    for field, below in zip(owner.body, owner.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(below, ast.Expr), f"{field.target.id} says nothing about itself"
            assert isinstance(below.value, ast.Constant)
            name = field.target.id
            default: Any = Settings.model_fields[name].default
            text = default.get_secret_value() if isinstance(default, SecretStr) else str(default)
            yield f"ORDERLOG_{name.upper()}", text, " ".join(str(below.value.value).split())


def test_every_setting_stands_on_the_page_as_the_code_has_it() -> None:
    found = list(described())
    assert {name for name, _, _ in found} == {f"ORDERLOG_{name.upper()}" for name in Settings.model_fields}
    assert {name: (default, text) for name, default, text in SETTINGS} == {
        name: (default, text) for name, default, text in found
    }
    assert len(SETTINGS) == len(found), "a setting stands there twice"


@pytest.mark.parametrize(("file", "name", "value"), FIXED, ids=lambda value: str(value))
def test_a_fixed_bound_has_the_value_that_the_page_says(file: str, name: str, value: str) -> None:
    constant = getattr(import_module(file.removesuffix(".py").replace("/", ".")), name)
    assert float(constant) == float(value)


def test_every_time_and_size_that_a_process_is_bound_by_stands_on_the_page() -> None:
    known = {(file, name) for file, name, _ in FIXED}
    missing = [
        f"{file}: {name}"
        for path in CODE
        if PAGES not in path.parents
        for file in [str(path.relative_to(ROOT))]
        for name in bounds(path)
        if (file, name) not in known and _is_number(file, name)
    ]
    assert not missing, f"not told in docs/settings.md: {missing}"


def bounds(path: Path) -> Iterator[str]:
    """Names of a module's constants that bound something."""
    for node in ast.parse(path.read_text()).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and BOUND.search(target.id) and not FORM.search(target.id):
            yield target.id


def _is_number(file: str, name: str) -> bool:
    return isinstance(getattr(import_module(file.removesuffix(".py").replace("/", ".")), name), int | float)


def test_a_time_out_of_the_console_is_bounded() -> None:
    for name in (
        "console_wait_seconds",
        "console_connect_seconds",
        "oidc_timeout_seconds",
        "page_streams_max",
    ):
        with pytest.raises(ValidationError):
            Settings.model_validate({name: 0})
