"""Payloads drawn from a JSON Schema alone: what a partner might send who has read nothing else."""

from datetime import UTC, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]
_TEXT = st.characters(codec="utf-8")
_OFFSETS = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))])


def payloads(schema: Json) -> st.SearchStrategy[Any]:
    """Values that satisfy the schema; arrays have at most one element more than they must."""
    return _values(schema, schema.get("$defs", {}))


def _values(node: Json, defs: Json) -> st.SearchStrategy[Any]:
    if "$ref" in node:
        return _values(defs[node["$ref"].removeprefix("#/$defs/")], defs)
    if "anyOf" in node:
        return st.one_of([_values(variant, defs) for variant in node["anyOf"]])
    if "const" in node:
        return st.just(node["const"])
    if "enum" in node:
        return st.sampled_from(node["enum"])
    match node["type"]:
        case "object":
            return _objects(node, defs)
        case "array":
            least = node.get("minItems", 0)
            return st.lists(_values(node["items"], defs), min_size=least, max_size=least + 1)
        case "string":
            return _texts(node)
        case "integer":
            return st.integers(node.get("minimum", -(2**62)), node.get("maximum", 2**62))
        case "number":
            return st.floats(node.get("minimum"), node.get("maximum"), allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case other:
            raise NotImplementedError(f"no payloads are drawn for {other}")


def _objects(node: Json, defs: Json) -> st.SearchStrategy[Json]:
    fields = {name: _values(field, defs) for name, field in node["properties"].items()}
    required = node.get("required", [])
    return st.fixed_dictionaries(
        {name: fields.pop(name) for name in required},
        optional=fields,
    )


def _texts(node: Json) -> st.SearchStrategy[str]:
    match node.get("format"):
        case "date-time":
            return st.datetimes(timezones=_OFFSETS).map(lambda at: at.isoformat())
        case "date":
            return st.dates().map(lambda day: day.isoformat())
        case "uuid":
            return st.uuids().map(str)
        case None if "pattern" in node:
            return st.from_regex(node["pattern"], fullmatch=True, alphabet=_TEXT)
        case None:
            return st.text(_TEXT, min_size=node.get("minLength", 0), max_size=node.get("maxLength"))
        case other:
            raise NotImplementedError(f"no texts are drawn for the format {other}")
