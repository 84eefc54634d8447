"""The committed form of the contracts, written from the code and held against it.

    contracts/schemas/<type>.v<version>.json             JSON Schema 2020-12; the released form once released
    contracts/asyncapi.json, contracts/README.md         generated, never edited
    contracts/released.json                              digests of what was released; only ever grows
    tests/contract/golden/<type>.v<version>.<form>.json  payload bytes, form `full` or `minimal`

Works in a clone of the repository, where these files are.
"""

import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson

from libs.events.asyncapi import channels, document
from libs.events.catalogue import BY_TYPE, Unreadable, decode, encode
from libs.events.contract import Contract
from libs.events.release import Json, differences, json_schema, key_of, kind_of
from libs.events.upcasts import UPCASTS
from libs.runtime.complaint import Complaint

ROOT = Path(__file__).resolve().parents[1]
FORMS = ("full", "minimal")
_EXPORT = "run `orderlog contracts export` and commit what it wrote"


@dataclass(frozen=True, slots=True)
class Tree:
    """Where a clone keeps its contracts."""

    root: Path

    @property
    def schemas(self) -> Path:
        return self.root / "contracts" / "schemas"

    @property
    def golden(self) -> Path:
        return self.root / "tests" / "contract" / "golden"

    @property
    def manifest(self) -> Path:
        return self.root / "contracts" / "released.json"

    def schema(self, key: str) -> Path:
        return self.schemas / f"{key}.json"

    def payload(self, key: str, form: str) -> Path:
        return self.golden / f"{key}.{form}.json"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `check` refuses: which contract or file, what is wrong, what to do."""

    where: str
    what: str
    next_step: str


def export(tree: Tree, *, release: bool = False) -> list[str]:
    """Write what differs; returns the names of the files that changed, relative to the clone.

    Complaint: this is no clone, an example is missing, or a release would break a released contract.
    """
    if not (tree.root / "pyproject.toml").exists():
        raise Complaint(
            f"{tree.root} is not a clone of the repository.", "Run `orderlog contracts` from a clone."
        )
    if release and (broken := [one for one in check(tree) if one.next_step != _EXPORT]):
        raise Complaint(
            f"Nothing was released: {broken[0].where}: {broken[0].what}.",
            f"What to do: {broken[0].next_step}. `orderlog contracts check` lists all.",
        )
    manifest = _manifest(tree)
    files = dict(_schema_files(tree, manifest, release=release)) | dict(_golden_files(tree, manifest))
    changed = [_name(tree, path) for path, content in files.items() if _write(path, content)]
    changed += [_name(tree, path) for path in _strays(tree, manifest) if _delete(path)]
    if release:
        manifest = _grown(tree, manifest)
        if _write(tree.manifest, _pretty(manifest)):
            changed.append(_name(tree, tree.manifest))
    changed += [_name(tree, path) for path, content in _documents(tree) if _write(path, content)]
    return changed


def check(tree: Tree) -> list[Finding]:
    """Everything that is missing, stale, or would break a reader of what was released."""
    manifest = _manifest(tree)
    found = [*_check_manifest(tree, manifest)]
    for contract in BY_TYPE.values():
        for version in range(1, contract.VERSION + 1):
            found += _check_version(tree, manifest, contract, version)
    if not found:
        stale = [path for path, content in _documents(tree) if not _holds(path, content)]
        found += [Finding(_name(tree, path), "is not what the code says", _EXPORT) for path in stale]
    return found


def _check_version(tree: Tree, manifest: Json, contract: type[Contract], version: int) -> Iterator[Finding]:
    key, latest = key_of(contract.TYPE, version), contract.VERSION
    if version < latest and (contract.TYPE, version) not in UPCASTS:
        yield Finding(
            key, f"has no upcast to version {version + 1}", "add it to UPCASTS in libs/events/upcasts.py"
        )
        return
    schema = tree.schema(key)
    if not schema.exists():
        yield Finding(key, "has no committed schema", _restore_or_export(version, latest))
    elif version == latest:
        yield from _check_latest(key, manifest, contract, orjson.loads(schema.read_bytes()))
    for form in FORMS:
        yield from _check_golden(tree, contract, version, form)


def _check_latest(key: str, manifest: Json, contract: type[Contract], committed: Json) -> Iterator[Finding]:
    current = json_schema(contract)
    if key not in manifest["schemas"]:
        if committed != current:
            yield Finding(key, "its committed schema is not what the code says", _EXPORT)
        return
    for change in differences(committed, current, kind_of(contract)):
        if change.breaking:
            yield Finding(
                key,
                f"{change.where}: {change.what}, in a released version",
                f"undo it, or set {contract.__name__}.VERSION = {contract.VERSION + 1} and add the upcast"
                f" ({contract.TYPE!r}, {contract.VERSION}) to libs/events/upcasts.py",
            )


def _check_golden(tree: Tree, contract: type[Contract], version: int, form: str) -> Iterator[Finding]:
    path = tree.payload(key_of(contract.TYPE, version), form)
    where = _name(tree, path)
    if not path.exists():
        yield Finding(where, "is missing", _restore_or_export(version, contract.VERSION))
        return
    payload = path.read_bytes()
    try:
        understood = decode(contract.TYPE, version, payload)
    except Unreadable as error:
        yield Finding(where, f"no longer decodes: {error}", "correct the contract or its upcast")
        return
    if version == contract.VERSION:
        for lost in _lost(orjson.loads(payload), orjson.loads(encode(understood)), ""):
            yield Finding(where, f"loses {lost} when it is read", "keep the field, or bump the version")


def _check_manifest(tree: Tree, manifest: Json) -> Iterator[Finding]:
    """What was released is still there, byte for byte, and still known to the code."""
    for key, entry in manifest["schemas"].items():
        type_, _, version = key.rpartition(".v")
        contract = BY_TYPE.get(type_)
        if contract is None or int(version) > contract.VERSION:
            yield Finding(key, "was released, and the code no longer knows it", "bring it back")
        yield from _check_digest(tree, tree.schema(key), entry["sha256"][-1])
    for name, digest in manifest["golden"].items():
        yield from _check_digest(tree, tree.golden / name, digest)
    for key, entry in _tagged(tree)["schemas"].items():
        kept = manifest["schemas"].get(key, {}).get("sha256", [])
        if kept[: len(entry["sha256"])] != entry["sha256"]:
            yield Finding(
                f"{_name(tree, tree.manifest)}: {key}",
                "is not what the last release says",
                "restore the entry; the manifest only grows",
            )


def _check_digest(tree: Tree, path: Path, digest: str) -> Iterator[Finding]:
    if path.exists() and _digest(path.read_bytes()) != digest:
        yield Finding(
            _name(tree, path),
            "was released and has been changed since",
            f"restore it with `git checkout <release> -- {_name(tree, path)}`",
        )


def _schema_files(tree: Tree, manifest: Json, *, release: bool) -> Iterator[tuple[Path, bytes]]:
    for contract in BY_TYPE.values():
        key = key_of(contract.TYPE, contract.VERSION)
        if release or key not in manifest["schemas"]:
            yield tree.schema(key), _pretty(json_schema(contract))


def _golden_files(tree: Tree, manifest: Json) -> Iterator[tuple[Path, bytes]]:
    examples = _examples()
    for contract in BY_TYPE.values():
        if contract.TYPE not in examples:
            raise Complaint(
                f"{contract.TYPE} has no example.",
                "Add a full and a minimal one to tests/contract/examples.py.",
            )
        for form in FORMS:
            path = tree.payload(key_of(contract.TYPE, contract.VERSION), form)
            if path.name not in manifest["golden"]:
                yield path, encode(examples[contract.TYPE][form])


def _documents(tree: Tree) -> Iterator[tuple[Path, bytes]]:
    folder = tree.schemas.parent
    payloads: dict[str, dict[str, Any]] = {}
    for key in (key_of(c.TYPE, version) for c in BY_TYPE.values() for version in range(1, c.VERSION + 1)):
        kept = {form: tree.payload(key, form) for form in FORMS}
        payloads[key] = {f: orjson.loads(path.read_bytes()) for f, path in kept.items() if path.exists()}
    version = tomllib.loads((tree.root / "pyproject.toml").read_text())["project"]["version"]
    yield folder / "asyncapi.json", _pretty(document(version, payloads))
    yield folder / "README.md", _index(_manifest(tree)).encode()


def _index(manifest: Json) -> str:
    """The table of every type and version, in the order of an order's life."""
    topics: dict[str, list[str]] = {}
    for topic, group in channels().items():
        for contract in group:
            topics.setdefault(contract.TYPE, []).append(topic)
    lines = [
        "# Contracts",
        "",
        "Generated by `orderlog contracts export`; how to read a topic is in"
        " [docs/contracts.md](../docs/contracts.md). `since` is the release that froze a version.",
        "",
        "| type | version | kind | stage | topic | since |",
        "|---|---|---|---|---|---|",
    ]
    for type_, places in topics.items():
        contract = BY_TYPE[type_]
        stage, topic = places[0].split(".")[1], f"`{places[0]}`"
        if len(places) > 1:
            stage, topic = "each", "`oms.<stage>.events`"
        for version in range(1, contract.VERSION + 1):
            key = key_of(type_, version)
            since = manifest["schemas"].get(key, {}).get("since", "unreleased")
            link = f"[`{type_}`](schemas/{key}.json)"
            lines.append(f"| {link} | {version} | {kind_of(contract)} | {stage} | {topic} | {since} |")
    return "\n".join(lines) + "\n"


def _strays(tree: Tree, manifest: Json) -> Iterator[Path]:
    """Files of types and versions that the code does not have and nobody ever got."""
    known = {key_of(c.TYPE, version) for c in BY_TYPE.values() for version in range(1, c.VERSION + 1)}
    for path in sorted(tree.schemas.glob("*.json")):
        if path.stem not in known | manifest["schemas"].keys():
            yield path
    for path in sorted(tree.golden.glob("*.json")):
        if path.stem.rpartition(".")[0] not in known and path.name not in manifest["golden"]:
            yield path


def _grown(tree: Tree, manifest: Json) -> Json:
    """The manifest with everything that is committed now."""
    version = tomllib.loads((tree.root / "pyproject.toml").read_text())["project"]["version"]
    schemas, golden = dict(manifest["schemas"]), dict(manifest["golden"])
    for path in sorted(tree.schemas.glob("*.json")):
        digest = _digest(path.read_bytes())
        entry = schemas.get(path.stem, {"since": version, "sha256": []})
        if digest not in entry["sha256"][-1:]:
            schemas[path.stem] = {**entry, "sha256": [*entry["sha256"], digest]}
    for path in sorted(tree.golden.glob("*.json")):
        golden.setdefault(path.name, _digest(path.read_bytes()))
    return {"schemas": schemas, "golden": golden}


def _manifest(tree: Tree) -> Json:
    if not tree.manifest.exists():
        return {"schemas": {}, "golden": {}}
    manifest: Json = orjson.loads(tree.manifest.read_bytes())
    return manifest


def _tagged(tree: Tree) -> Json:
    """The manifest of the last tag; empty before the first one, and where there is no history."""

    def git(*words: str) -> bytes:
        done = subprocess.run(  # noqa: S603 - fixed words
            ["git", "-C", str(tree.root), *words],  # noqa: S607
            capture_output=True,
            check=False,
        )
        return done.stdout if done.returncode == 0 else b""

    tag = git("describe", "--tags", "--abbrev=0").decode().strip()
    manifest: Json = orjson.loads((tag and git("show", f"{tag}:contracts/released.json")) or b"{}")
    return {"schemas": {}, "golden": {}} | manifest


def _examples() -> Mapping[str, Mapping[str, Contract]]:
    """The examples that the tests start from, by type and form. They are no part of an installation."""
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    examples: Mapping[str, Mapping[str, Contract]] = import_module("tests.contract.examples").EXAMPLES
    return examples


def _lost(before: Any, after: Any, where: str) -> Iterator[str]:
    """Places of `before` that `after` does not have with the same value."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            yield from _lost(value, after.get(name), f"{where}.{name}" if where else name)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from _lost(*pair, f"{where}[{index}]")
    elif before != after:
        yield where


def _restore_or_export(version: int, latest: int) -> str:
    if version == latest:
        return _EXPORT
    return "restore it with git; what an older version was cannot be written from the code"


def _pretty(content: Json) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def _name(tree: Tree, path: Path) -> str:
    return path.relative_to(tree.root).as_posix()


def _holds(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() == content


def _write(path: Path, content: bytes) -> bool:
    """Whether it was not so already."""
    if _holds(path, content):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return True


def _delete(path: Path) -> bool:
    path.unlink()
    return True
