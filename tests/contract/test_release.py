"""`orderlog contracts check` lets a contract grow, and refuses what would break who reads it."""

import shutil
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import orjson
import pytest
from pydantic import Field, StringConstraints
from typer.testing import CliRunner

from cli import contract_commands, contracts
from cli.contracts import ROOT, Tree, check, export
from libs.events.catalogue import BY_TYPE
from libs.events.contract import Event, Value
from libs.events.intake import OrderClosed
from libs.events.release import Kind, differences, json_schema
from libs.events.upcasts import UPCASTS
from libs.runtime.complaint import Complaint


class Line(Value):
    """A line."""

    sku: str
    quantity: Annotated[int, Field(ge=1, le=100)]


class Before(Event):
    """What was released."""

    TYPE: ClassVar[str] = "oms.test.before"

    order_id: Annotated[str, StringConstraints(pattern="^[a-z]+$", max_length=10)]
    state: Literal["new", "old"] = "new"
    note: str = ""
    carrier: str | None = None
    lines: Annotated[tuple[Line, ...], Field(min_length=1)]
    weights: dict[str, int] = Field(default_factory=dict)


BEFORE = json_schema(Before)


def changed(path: str, **keywords: Any) -> dict[str, Any]:
    """BEFORE with keywords of one property set, or taken away where they are None."""
    schema = deepcopy(BEFORE)
    parent = schema["$defs"]["Line"] if path.startswith("lines.") else schema
    node = parent["properties"][path.removeprefix("lines.")]
    for keyword, value in keywords.items():
        node.pop(keyword, None)
        if value is not None:
            node[keyword] = value
    return schema


def with_property(name: str, node: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    schema = deepcopy(BEFORE)
    schema["properties"][name] = node
    schema["required"] += [name] if required else []
    return schema


def without(name: str) -> dict[str, Any]:
    schema = deepcopy(BEFORE)
    del schema["properties"][name]
    schema["required"] = [one for one in schema["required"] if one != name]
    return schema


def requiring(*names: str) -> dict[str, Any]:
    return {**deepcopy(BEFORE), "required": list(names)}


REQUIRED = tuple(BEFORE["required"])
NULLABLE: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": ""}
# (what changed, where it is told, breaks an event, breaks a command)
CHANGES = [
    (with_property("gift", {"type": "boolean", "default": False}), "gift", False, False),
    (with_property("gift", {"type": "boolean"}, required=True), "gift", True, True),
    (without("note"), "note", True, True),
    (without("lines"), "lines", True, True),
    (requiring(*REQUIRED, "note"), "note", True, True),
    (requiring("lines"), "order_id", True, False),
    (changed("note", type="integer"), "note", True, True),
    (changed("note", default="none"), "note", True, True),
    (changed("note", format="uri"), "note", True, True),
    (changed("note", type=None, **NULLABLE), "note", True, False),
    (changed("carrier", anyOf=None, type="string"), "carrier", True, True),
    (changed("state", enum=["new"]), "state", True, True),
    (changed("state", enum=["new", "old", "odd"]), "state", True, False),
    (changed("state", enum=None), "state", True, False),
    (changed("note", enum=["a"]), "note", True, True),
    (changed("order_id", pattern="^[a-z0-9]+$"), "order_id", True, True),
    (changed("order_id", pattern=None), "order_id", True, False),
    (changed("order_id", maxLength=9), "order_id", True, True),
    (changed("order_id", maxLength=20), "order_id", False, False),
    (changed("order_id", maxLength=None), "order_id", False, False),
    (changed("note", maxLength=500), "note", True, True),
    (changed("lines", minItems=2), "lines", True, True),
    (changed("lines", minItems=None), "lines", False, False),
    (changed("lines.quantity", maximum=99), "lines[].quantity", True, True),
    (changed("lines.quantity", minimum=0), "lines[].quantity", False, False),
    (changed("lines.sku", type="integer"), "lines[].sku", True, True),
    (changed("weights", additionalProperties={"type": "string"}), "weights.*", True, True),
    ({**deepcopy(BEFORE), "additionalProperties": False}, "(root)", True, True),
    ({**deepcopy(BEFORE), "propertyNames": {"maxLength": 3}}, "(root)", True, True),
]


@pytest.mark.parametrize(("now", "where", "breaks_event", "breaks_command"), CHANGES)
def test_each_change_is_told_where_and_judged_by_kind(
    now: dict[str, Any], where: str, breaks_event: bool, breaks_command: bool
) -> None:
    kinds: tuple[tuple[Kind, bool], ...] = (("event", breaks_event), ("command", breaks_command))
    for kind, breaks in kinds:
        found = differences(BEFORE, now, kind)
        assert [(one.where, one.breaking) for one in found] == [(where, breaks)], kind


def test_the_same_contract_in_other_words_is_no_change() -> None:
    again = deepcopy(BEFORE)
    again["description"] = again["properties"]["note"]["description"] = "In other words."
    again["properties"] = dict(reversed(again["properties"].items()))
    again["$defs"]["Row"] = again["$defs"].pop("Line")
    again["properties"]["lines"]["items"] = {"$ref": "#/$defs/Row"}
    assert differences(BEFORE, again, "event") == []


def test_a_renamed_field_is_named() -> None:
    renamed = without("note")
    renamed["properties"]["remark"] = BEFORE["properties"]["note"]
    found = {one.where: one.what for one in differences(BEFORE, renamed, "event")}
    assert found == {"note": "removed (renamed to remark?)", "remark": "added, optional"}


# From here on: the command's work on a whole tree of files.

CLOSED = "oms.intake.order_closed"
DISPATCHED = "oms.fulfillment.shipment_dispatched"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the committed contracts in which everything is released."""
    root = tmp_path_factory.mktemp("released")
    for folder in ("contracts", "tests/contract/golden"):
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / "pyproject.toml", root)
    export(Tree(root), release=True)
    return root


@pytest.fixture
def tree(released: Path, tmp_path: Path) -> Tree:
    """One of one's own."""
    return Tree(shutil.copytree(released, tmp_path / "clone"))


def told(tree: Tree) -> list[str]:
    return [f"{one.where}: {one.what} -> {one.next_step}" for one in check(tree)]


def test_what_is_committed_here_is_what_the_code_says() -> None:
    assert told(Tree(ROOT)) == []


def test_a_release_freezes_everything_once(tree: Tree) -> None:
    manifest = orjson.loads(tree.manifest.read_bytes())
    assert len(manifest["schemas"]) == sum(contract.VERSION for contract in BY_TYPE.values())
    for entry in manifest["schemas"].values():  # one each, and one more for what a version gained since
        assert 1 <= len(entry["sha256"]) == len(set(entry["sha256"]))
    assert "unreleased" not in (tree.root / "contracts" / "README.md").read_text()
    assert told(tree) == []
    assert export(tree, release=True) == []


class ClosedWithMore(OrderClosed):
    """An optional field more."""

    closed_by: str = ""


class ClosedWithLess(Event):
    """A field less."""

    TYPE: ClassVar[str] = CLOSED

    order_id: str
    outcome: str


class ClosedAnew(OrderClosed):
    """The next version."""

    VERSION: ClassVar[int] = 2

    closed_by: str


def test_an_optional_addition_is_let_through_and_the_next_release_records_it(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BY_TYPE, CLOSED, ClosedWithMore)
    released = tree.schema(f"{CLOSED}.v1").read_bytes()
    assert told(tree) == []
    assert export(tree) == []
    assert tree.schema(f"{CLOSED}.v1").read_bytes() == released
    export(tree, release=True)
    assert "closed_by" in orjson.loads(tree.schema(f"{CLOSED}.v1").read_bytes())["properties"]
    assert len(orjson.loads(tree.manifest.read_bytes())["schemas"][f"{CLOSED}.v1"]["sha256"]) == 2
    monkeypatch.setitem(BY_TYPE, CLOSED, OrderClosed)
    assert any("closed_by: removed, in a released version" in line for line in told(tree))


def test_a_breaking_change_is_refused_by_field_with_what_to_do(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BY_TYPE, CLOSED, ClosedWithLess)
    lines = told(tree)
    assert any(
        line.startswith(f"{CLOSED}.v1: reason: removed, in a released version")
        and "set ClosedWithLess.VERSION = 2" in line
        and f"add the upcast ('{CLOSED}', 1)" in line
        for line in lines
    )
    assert any("order_closed.v1.full.json: loses reason when it is read" in line for line in lines)
    with pytest.raises(Complaint, match="Nothing was released"):
        export(tree, release=True)


def test_a_new_version_needs_its_upcast_then_its_files(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BY_TYPE, CLOSED, ClosedAnew)
    assert any(line.startswith(f"{CLOSED}.v1: has no upcast to version 2") for line in told(tree))
    monkeypatch.setitem(UPCASTS, (CLOSED, 1), lambda old: old | {"closed_by": "nobody"})
    lines = told(tree)
    assert any(f"{CLOSED}.v2: has no committed schema" in line for line in lines)
    for form in ("full", "minimal"):
        assert any(f"{CLOSED}.v2.{form}.json: is missing" in line for line in lines)


def test_a_golden_payload_that_its_upcast_cannot_read_is_refused(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(UPCASTS, (DISPATCHED, 1), lambda old: old)
    assert any(f"{DISPATCHED}.v1.full.json: no longer decodes" in line for line in told(tree))


def test_a_released_type_cannot_vanish(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(BY_TYPE, CLOSED)
    assert any(line.startswith(f"{CLOSED}.v1: was released, and the code no longer") for line in told(tree))


@pytest.mark.parametrize(
    "name",
    [
        f"contracts/schemas/{CLOSED}.v1.json",
        f"contracts/schemas/{DISPATCHED}.v1.json",
        f"tests/contract/golden/{CLOSED}.v1.full.json",
    ],
)
def test_a_released_file_is_neither_edited_nor_deleted(tree: Tree, name: str) -> None:
    path = tree.root / name
    path.write_bytes(path.read_bytes() + b"\n")
    assert any(line.startswith(f"{name}: was released and has been changed since") for line in told(tree))
    path.unlink()
    assert any(path.stem in line for line in told(tree))


def test_the_manifest_only_grows(tree: Tree) -> None:
    def git(*words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@shop.example"]
        subprocess.run(["git", "-C", str(tree.root), *who, *words], check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "release")
    git("tag", "-a", "v1", "-m", "v1")
    manifest = orjson.loads(tree.manifest.read_bytes())
    del manifest["schemas"][f"{CLOSED}.v1"]
    tree.manifest.write_bytes(orjson.dumps(manifest))
    assert any(f"released.json: {CLOSED}.v1: is not what the last release says" in one for one in told(tree))


def test_before_a_release_export_follows_the_code_and_removes_what_is_gone(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.manifest.unlink()
    export(tree)
    monkeypatch.setitem(BY_TYPE, CLOSED, ClosedWithMore)
    stray = tree.schema("oms.intake.order_vanished.v1")
    stray.write_bytes(b"{}")
    assert any("its committed schema is not what the code says" in line for line in told(tree))
    assert f"contracts/schemas/{CLOSED}.v1.json" in export(tree)
    assert not stray.exists()
    assert told(tree) == []


@pytest.mark.parametrize("name", ["asyncapi.json", "README.md"])
def test_generated_documents_are_kept_current(tree: Tree, name: str) -> None:
    (tree.root / "contracts" / name).write_text("edited by hand")
    assert any(line.startswith(f"contracts/{name}: is not what the code says") for line in told(tree))


def test_the_command_says_it_and_fails(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contracts, "ROOT", tree.root)
    good = CliRunner().invoke(contract_commands.app, ["check", "--json"])
    assert (good.exit_code, orjson.loads(good.stdout.splitlines()[-1])["ok"]) == (0, True)
    monkeypatch.setitem(BY_TYPE, CLOSED, ClosedWithLess)
    bad = CliRunner().invoke(contract_commands.app, ["check", "--json"])
    said = orjson.loads(bad.stdout.splitlines()[-1])
    assert (bad.exit_code, said["ok"]) == (1, False)
    assert any("reason: removed" in one["what"] for one in said["findings"])
