"""The shape of the house, where no linter knows our rules: purity, lengths, packages, links, clean files.

Each rule is a function from a file's text to complaints; each is shown to bite on a line that breaks it.
"""

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = {"tests": 500}
"""By top folder; 400 elsewhere. A test's tables may take more room."""
NOT_OURS = {".git", ".venv", ".orderlog", ".hypothesis", "build", "__pycache__"}

EDGES = {
    "app.py",
    "api.py",
    "sender.py",
    "supply_api.py",
    "amend_api.py",
    "feed_api.py",
    "feed_map_api.py",
    "policy_api.py",
    "channel_days_api.py",
    "rules_api.py",
    "bundle_api.py",
    "substitute_api.py",
    "basket_api.py",
    "items_api.py",
    "needs_api.py",
    "queue_api.py",
    "snapshot_api.py",
    "defined_api.py",
    "unknown_api.py",
    "book.py",
    "lot_book.py",
}
"""Modules of a service that may do I/O; every other one there is pure. The console, a read side, stores."""
EDGE_FOLDERS = {"web", "pages"}
"""The same, of the console: what stands between its queries and people."""
CLOCK_AND_DICE = {
    "datetime.now": "time arrives as data",
    "datetime.utcnow": "time arrives as data",
    "datetime.today": "time arrives as data",
    "date.today": "time arrives as data",
    "uuid.uuid1": "ids are derived: libs.events.ids",
    "uuid.uuid4": "ids are derived: libs.events.ids",
    "os.urandom": "a replay must be identical",
}
CLOCK_AND_DICE_MODULES = {"random": "a replay must be identical", "secrets": "a replay must be identical"}
CLOCK_AND_DICE_MODULES |= {"time": "time arrives as data"}
IO_MODULES = {
    "aiokafka",
    "aiosmtplib",
    "asyncio",
    "asyncpg",
    "fastapi",
    "faststream",
    "httpx",
    "opentelemetry",
}
IO_MODULES |= {"psycopg", "socket", "structlog", "subprocess"}

MACHINE_PATH = re.compile(r"(?<![\w./-])/(?:work|farm|root|home|Users)/\w")
REGISTRY_HOST = re.compile(r"pypi\.org/simple|pythonhosted\.org|registry\.npmjs|repo1?\.maven|proxy\.golang")
LOCK_LINE = re.compile(
    r"[a-z0-9._-]+==\S+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?|"
    r"    # (via|via [\w.-]+|  [\w.-]+)( \(pyproject\.toml\))?|#[^/]*|"
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@cache
def files() -> tuple[Path, ...]:
    """Every file of the project, relative to its root."""
    found: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in NOT_OURS and not f.endswith((".egg-info", "_cache"))]
        found += [Path(folder, name).relative_to(ROOT) for name in names if name != ".git"]
    return tuple(sorted(found))


def python_files() -> list[Path]:
    return [path for path in files() if path.suffix == ".py"]


def is_deterministic(path: Path) -> bool:
    """What a replay runs: contracts, deciders, trade modules, and the console's projections."""
    if path.parts[:2] == ("libs", "events"):
        return True
    if path.parts[:2] == ("services", "console") and path.parts[2] in EDGE_FOLDERS:
        return False
    return path.parts[0] == "services" and path.name not in EDGES


def does_no_io(path: Path) -> bool:
    return is_deterministic(path) and path.parts[1] != "console"


def clock_and_dice(tree: ast.AST) -> Iterator[str]:
    """Uses of a clock or of chance, however imported."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute | ast.Name):
            continue
        written = ast.unparse(node)
        first, _, rest = written.partition(".")
        meant = ".".join(filter(None, (names.get(first, first), rest)))
        for banned, why in CLOCK_AND_DICE.items():
            if meant.endswith(banned) and first in names:
                yield f"line {node.lineno}: {written}: {why}"
        top = meant.partition(".")[0]
        if top in CLOCK_AND_DICE_MODULES and first in names:
            yield f"line {node.lineno}: {written}: {CLOCK_AND_DICE_MODULES[top]}"


def imports_of_io(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for module in modules:
            if module.partition(".")[0] in IO_MODULES or f"{module}.".startswith("libs.runtime."):
                yield f"line {getattr(node, 'lineno', 0)}: a pure module imports {module}"
                break


def long_functions(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"line {node.lineno}: {node.name} has {lines} lines, {FUNCTION_LINES_MAX} is the limit"


def more_than_a_docstring(tree: ast.Module) -> Iterator[str]:
    if ast.get_docstring(tree) is None:
        yield "says nothing: a package's docstring tells what it owns and for whom"
    if len(tree.body) > 1:
        yield f"line {tree.body[1].lineno}: a package holds a docstring, never code or re-exports"


def traces_of_a_machine(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if MACHINE_PATH.search(line):
            yield f"line {number}: a path of one machine: {line.strip()[:80]}"
        if REGISTRY_HOST.search(line):
            yield f"line {number}: a package registry's host: {line.strip()[:80]}"


def foreign_lock_lines(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if not LOCK_LINE.fullmatch(line):
            yield f"line {number}: neither a pin, a hash nor a comment without addresses: {line[:80]}"


def unlocked(requirements: list[str], lock: str) -> list[str]:
    """Requirements that the lock does not pin, or pins to a version outside their range."""
    pinned = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", lock, re.MULTILINE))
    missing = []
    for requirement in map(Requirement, requirements):
        version = pinned.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            missing.append(str(requirement))
    return missing


def anchors(markdown: str) -> set[str]:
    """Heading anchors, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+?) *$", CODE_FENCE.sub("", markdown), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path, text: str) -> Iterator[str]:
    """Links of a page that lead nowhere in this repository; addresses elsewhere are not followed."""
    for link in LINK.findall(CODE_FENCE.sub("", text)):
        if "://" in link or link.startswith("mailto:"):
            continue
        target, _, anchor = link.partition("#")
        there = (page.parent / target).resolve() if target else page.resolve()
        if not there.exists():
            yield f"{link}: no such file"
        elif anchor and anchor not in anchors(there.read_text()):
            yield f"{link}: {there.name} has no such heading"


def complaints(path: Path) -> Iterator[str]:
    """Everything that is wrong with the shape of one Python file."""
    text = (ROOT / path).read_text()
    tree = ast.parse(text)
    lines = text.count("\n")
    limit = FILE_LINES_MAX.get(path.parts[0], 400)
    if lines > limit:
        yield f"{lines} lines, {limit} is the limit: give a part of it a name and a file"
    yield from long_functions(tree)
    if path.name == "__init__.py":
        yield from more_than_a_docstring(tree)
    if is_deterministic(path):
        yield from clock_and_dice(tree)
    if does_no_io(path):
        yield from imports_of_io(tree)


def test_python_files_keep_the_shape() -> None:
    assert len(python_files()) > 50
    found = [f"{path}: {complaint}" for path in python_files() for complaint in complaints(path)]
    assert not found, "\n".join(found)


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = []
    for path in files():
        try:
            text = (ROOT / path).read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path}: {complaint}" for complaint in traces_of_a_machine(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-runtime.lock"])
def test_locks_hold_pins_and_hashes_only(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert text.count("==") > 40
    assert not list(foreign_lock_lines(text))


def test_the_lock_holds_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    every = [*project["dependencies"], *extras["local"], *extras["dev"]]
    wanted = {"requirements.lock": every, "requirements-runtime.lock": project["dependencies"]}
    for lock, requirements in wanted.items():
        assert unlocked(requirements, (ROOT / lock).read_text()) == [], f"{lock} is behind: run `make lock`"


def test_make_runs_every_test() -> None:
    makefile = (ROOT / "Makefile").read_text()
    quick = re.findall(
        r"tests/[\w./]+", "\n".join(re.findall(r"^(?:QUICK|\t.*'not e2e').*", makefile, re.MULTILINE))
    )
    stack = re.findall(r"tests/\w+", "".join(re.findall(r"^STACK .*", makefile, re.MULTILINE)))
    assert "tests/unit" in quick
    for path in python_files():
        if path.name.startswith("test_") and not path.as_posix().startswith((*quick, "tests/chaos/")):
            assert path.as_posix().startswith(tuple(stack)), f"{path}: neither `make check` nor `make test`"
            assert "pytest.mark.e2e" in (ROOT / path).read_text(), f"{path} is not marked as on the stack"


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs/adr/README.md").read_text()
    pages = [path.name for path in files() if path.parts[:2] == ("docs", "adr") and path.name[0].isdigit()]
    assert len(pages) > 1
    assert [page for page in pages if f"({page})" not in index] == []
    numbers = [page[:4] for page in pages]
    assert len(set(numbers)) == len(numbers), "two decisions share a number"


def test_links_in_the_docs_lead_somewhere() -> None:
    pages = [path for path in files() if path.suffix == ".md"]
    assert ROOT / "README.md" in [ROOT / page for page in pages]
    found = [
        f"{page}: {dead}" for page in pages for dead in dead_links(ROOT / page, (ROOT / page).read_text())
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "code",
    [
        "from datetime import UTC, datetime\nx = datetime.now(UTC)",
        "import datetime as dt\nx = dt.datetime.utcnow()",
        "from datetime import datetime as clock\nx = clock.now",
        "from uuid import uuid4\nx = uuid4()",
        "import uuid\nx = uuid.uuid4()",
        "import random\nx = random.random()",
        "from random import choice\nx = choice([1])",
        "from time import monotonic as now\nx = now()",
        "import time\nx = time.time()",
    ],
)
def test_a_clock_or_a_die_is_seen(code: str) -> None:
    assert list(clock_and_dice(ast.parse(code)))


def test_time_as_data_is_no_clock() -> None:
    code = "from datetime import datetime\ndef f(at: datetime, time: int) -> int:\n    return at.hour + time"
    assert not list(clock_and_dice(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "import asyncpg",
        "from libs.runtime.settings import Settings",
        "from libs import runtime",
        "import asyncio as a",
    ],
)
def test_io_in_a_pure_module_is_seen(code: str) -> None:
    assert list(imports_of_io(ast.parse(code)))


def test_what_is_too_long_is_seen() -> None:
    body = "\n".join(["    pass"] * FUNCTION_LINES_MAX)
    assert list(long_functions(ast.parse(f"def long():\n{body}")))
    assert not list(long_functions(ast.parse(f"def fits():\n{body[9:]}")))


def test_code_in_a_package_is_seen() -> None:
    assert list(more_than_a_docstring(ast.parse('"""Says."""\nfrom libs import events')))
    assert list(more_than_a_docstring(ast.parse("")))
    assert not list(more_than_a_docstring(ast.parse('"""Says."""')))


def test_traces_of_a_machine_are_seen() -> None:
    assert list(traces_of_a_machine("cd " + "/".join(["", "root", "orderlog"])))
    assert list(traces_of_a_machine("https://files." + "pythonhosted" + ".org/x.whl"))
    assert not list(traces_of_a_machine("see docs/work/plan and https://example.org/home/page"))


@pytest.mark.parametrize(
    "line", ["--index-url https://mirror/simple", "--find-links wheels", "# from /srv/x", "a>=1"]
)
def test_an_address_in_a_lock_is_seen(line: str) -> None:
    assert list(foreign_lock_lines(line))


def test_a_lock_that_is_behind_is_seen() -> None:
    lock = "orjson==3.13.0 \\\n    --hash=sha256:00\npyyaml==6.0.3 \\\n"
    assert unlocked(["orjson>=3.14", "PyYAML>=6", "rich"], lock) == ["orjson>=3.14", "rich"]


def test_a_dead_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One way through\n[a](#one-way-through) [b](page.md#nothing) [c](gone.md) [d](https://x.example)"
    )
    assert list(dead_links(page, page.read_text())) == [
        "page.md#nothing: page.md has no such heading",
        "gone.md: no such file",
    ]
