"""Contracts as others see them: the JSON Schema of each type, and what may change in a released one.

A released version is read by programs that we do not know, and its events lie in logs for ever. So under
one version only this may change:

    a new property that need not be given          events and commands
    wider limits (length, size, range)             events and commands
    more enum values, null allowed, a pattern
    dropped, a property that need no longer be given  commands alone: who sends the old form goes on

Everything else (a property removed, renamed, newly required, of another type, format or default; narrower
limits; another pattern; an event's enum that grows under a consumer's exhaustive match) needs a version
bump and an upcast. What this comparison does not know, it refuses.
"""

import ast
import inspect
import sys
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from libs.events.contract import Command, Contract, Event

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Kind = Literal["command", "event", "state"]
Json = dict[str, Any]

_TEXTS = frozenset({"title", "description", "examples", "$comment", "$schema", "$id", "$defs", "$ref"})
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_JUDGED = _TEXTS | {
    *_LOWER,
    *_UPPER,
    *("type", "enum", "const", "default", "pattern", "anyOf"),
    *("properties", "required", "additionalProperties", "items"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One change of a version's schema: where (`lines[].quantity`), what, and whether it breaks readers."""

    where: str
    what: str
    breaking: bool


def kind_of(contract: type[Contract]) -> Kind:
    if issubclass(contract, Command):
        return "command"
    return "event" if issubclass(contract, Event) else "state"


def key_of(type_: str, version: int) -> str:
    """Name of one type's version in files and in the manifest: `oms.intake.submit_order.v1`."""
    return f"{type_}.v{version}"


def schema_id(type_: str, version: int) -> str:
    """What `ce_dataschema` carries and the schema's `$id` is; an absolute URI, as CloudEvents wants it."""
    return f"urn:orderlog:schema:{key_of(type_, version)}"


class _Schemas(GenerateJsonSchema):
    """pydantic's schemas, with the fields' docstrings, and without titles that only repeat a name."""

    schema_dialect = DIALECT

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        described = super().model_schema(schema)
        documented = _field_docs(schema["cls"])
        for name, found in described.get("properties", {}).items():
            found.pop("title", None)
            if name in documented:
                found["description"] = documented[name]
        if text := inspect.getdoc(schema["cls"]):
            described["description"] = " ".join(text.split())
        return described


@cache
def json_schema(contract: type[Contract]) -> Json:
    """JSON Schema 2020-12 of the latest version's payload. Not to be changed: made once a process."""
    head = {"$schema": DIALECT, "$id": schema_id(contract.TYPE, contract.VERSION)}
    return head | contract.model_json_schema(schema_generator=_Schemas)


def differences(released: Json, current: Json, kind: Kind) -> list[Difference]:
    """What changed from a released schema to the code's; empty when they mean the same."""
    comparison = _Comparison(released.get("$defs", {}), current.get("$defs", {}), kind)
    comparison.compare(released, current, "")
    return comparison.found


def _field_docs(model: type) -> dict[str, str]:
    """The text below each field in the source of the model and its bases, on one line."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if base.__module__.startswith("libs.events"):
            found |= _module_docs(base.__module__).get(base.__name__, {})
    return found


@cache
def _module_docs(module: str) -> dict[str, dict[str, str]]:
    """By class and field: the string that stands alone below the field."""
    found: dict[str, dict[str, str]] = {}
    for definition in ast.parse(inspect.getsource(sys.modules[module])).body:
        if not isinstance(definition, ast.ClassDef):
            continue
        for above, below in zip(definition.body, definition.body[1:], strict=False):
            if not isinstance(above, ast.AnnAssign) or not isinstance(above.target, ast.Name):
                continue
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                text = " ".join(str(below.value.value).split())
                found.setdefault(definition.name, {})[above.target.id] = text
    return found


@dataclass(slots=True)
class _Comparison:
    """Walks two schemas side by side."""

    old_defs: Json
    new_defs: Json
    kind: Kind
    found: list[Difference] = field(default_factory=list)
    inside: set[tuple[str, str]] = field(default_factory=set)
    """Pairs of definitions that are being compared, so that one that holds itself comes to an end."""

    def compare(self, old: Json, new: Json, where: str) -> None:
        pair = (old.get("$ref", ""), new.get("$ref", ""))
        if pair in self.inside:
            return
        if all(pair):
            self.inside.add(pair)
        self._compare(old, new, where)
        self.inside.discard(pair)

    def _compare(self, old: Json, new: Json, where: str) -> None:
        old, old_null = self._plain(old, self.old_defs)
        new, new_null = self._plain(new, self.new_defs)
        if old_null != new_null:
            self._changes(
                where,
                "null is no longer allowed" if old_null else "null is now allowed",
                breaks=old_null or self.kind != "command",
            )
        if "default" in old and "default" in new and old["default"] != new["default"]:
            self._changes(where, f"default changed from {old['default']!r} to {new['default']!r}")
        if old.get("type") != new.get("type"):
            self._changes(where, f"type changed from {old.get('type', 'any')} to {new.get('type', 'any')}")
            return
        self._enum(old, new, where)
        self._limits(old, new, where)
        self._pattern(old, new, where)
        self._properties(old, new, where)
        self._nested(old, new, where)
        for keyword in sorted((old.keys() | new.keys()) - _JUDGED):
            if old.get(keyword) != new.get(keyword):
                self._changes(where, f"{keyword} changed from {old.get(keyword)!r} to {new.get(keyword)!r}")

    def _changes(self, where: str, what: str, *, breaks: bool = True) -> None:
        self.found.append(Difference(where or "(root)", what, breaks))

    def _plain(self, node: Json, defs: Json) -> tuple[Json, bool]:
        """The node with its reference followed, `X or null` taken apart, and `const` as a short enum."""
        nullable = False
        while True:
            if "$ref" in node:
                siblings = {key: value for key, value in node.items() if key != "$ref"}
                node = {**defs[node["$ref"].removeprefix("#/$defs/")], **siblings}
            elif "const" in node:
                node = {key: value for key, value in node.items() if key != "const"} | {
                    "enum": [node["const"]]
                }
            elif len(others := [one for one in node.get("anyOf", ()) if one != {"type": "null"}]) == 1:
                siblings = {key: value for key, value in node.items() if key != "anyOf"}
                node, nullable = {**others[0], **siblings}, True
            else:
                return node, nullable

    def _enum(self, old: Json, new: Json, where: str) -> None:
        had, has = old.get("enum"), new.get("enum")
        if had is None and has is not None:
            self._changes(where, f"limited to {has}")
        elif had is not None and has is None:
            self._changes(where, f"no longer limited to {had}", breaks=self.kind != "command")
        elif had is not None and has is not None:
            if gone := [value for value in had if value not in has]:
                self._changes(where, f"values removed: {gone}")
            if added := [value for value in has if value not in had]:
                self._changes(where, f"values added: {added}", breaks=self.kind != "command")

    def _limits(self, old: Json, new: Json, where: str) -> None:
        for keyword in (*_LOWER, *_UPPER):
            had, has = old.get(keyword), new.get(keyword)
            if had == has:
                continue
            narrower = has is not None and (had is None or (has > had if keyword in _LOWER else has < had))
            verb = "narrowed" if narrower else "widened"
            self._changes(where, f"{keyword} {verb} from {had} to {has}", breaks=narrower)

    def _pattern(self, old: Json, new: Json, where: str) -> None:
        had, has = old.get("pattern"), new.get("pattern")
        if had != has:
            dropped_by_command = has is None and self.kind == "command"
            self._changes(where, f"pattern changed from {had} to {has}", breaks=not dropped_by_command)

    def _properties(self, old: Json, new: Json, where: str) -> None:
        had, has = old.get("properties", {}), new.get("properties", {})
        needed, needs = set(old.get("required", ())), set(new.get("required", ()))
        added = [name for name in has if name not in had]
        for name in (name for name in had if name not in has):
            twins = [other for other in added if _meaning(has[other]) == _meaning(had[name])]
            hint = f" (renamed to {twins[0]}?)" if twins else ""
            self._changes(_below(where, name), f"removed{hint}")
        for name in added:
            required = name in needs
            self._changes(
                _below(where, name), f"added, {'required' if required else 'optional'}", breaks=required
            )
        for name in (name for name in had if name in has):
            if name in needs - needed:
                self._changes(_below(where, name), "is now required")
            if name in needed - needs:
                self._changes(_below(where, name), "is no longer required", breaks=self.kind != "command")
            self.compare(had[name], has[name], _below(where, name))

    def _nested(self, old: Json, new: Json, where: str) -> None:
        if "items" in old and "items" in new:
            self.compare(old["items"], new["items"], f"{where}[]")
        elif ("items" in old) != ("items" in new):
            self._changes(f"{where}[]", "items are described differently")
        had, has = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if isinstance(had, dict) and isinstance(has, dict):
            self.compare(had, has, _below(where, "*"))
        elif had != has:
            self._changes(where, "unknown properties are treated differently", breaks=has is not True)
        variants, current = old.get("anyOf", []), new.get("anyOf", [])
        if len(variants) != len(current):
            self._changes(where, f"anyOf changed from {len(variants)} to {len(current)} variants")
            return
        for index, (variant, now) in enumerate(zip(variants, current, strict=True)):
            self.compare(variant, now, f"{where}<{index}>")


def _below(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _meaning(node: Json) -> Json:
    return {key: value for key, value in node.items() if key not in ("title", "description")}
