"""docs/settings.md against the code: every setting with its default and description, and the fixed bounds."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from libs.runtime import settings as module
from libs.runtime.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text()
SETTINGS = re.findall(r"^\| `(ORDERLOG_[A-Z_]+)` \| `(.*?)` \| (.+) \|$", PAGE, re.MULTILINE)
FIXED = re.findall(r"^\| `([a-z_/]+\.py)` \| `([A-Z_]+)` \| ([\d.]+) \| .+ \|$", PAGE, re.MULTILINE)
PROCESS = ("service", "serve", "consume", "edge", "answers", "probes", "sender", "kafka", "keyring")
"""The modules of libs.runtime that a running stage is made of."""


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


def test_every_time_and_size_that_a_stage_is_bound_by_stands_on_the_page() -> None:
    known = {(file, name) for file, name, _ in FIXED}
    for stem in PROCESS:
        file = f"libs/runtime/{stem}.py"
        for node in ast.parse((ROOT / file).read_text()).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if re.search(r"_(SECONDS|MS|MAX|BYTES)(_MAX|_MIN)?$", name):
                    assert (file, name) in known, f"{file}: {name} is not told in docs/settings.md"
