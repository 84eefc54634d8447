"""Reading events without what the reader has no use for: passing over a field costs little."""

from collections.abc import Collection, Mapping
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import SchemaValidator

from libs.events.catalogue import decode
from libs.events.contract import Contract, Event

Lean = Mapping[tuple[str, int], SchemaValidator]
"""Type and version → what makes an event of it that lacks some fields."""


def lean(passes_over: Mapping[type[Event], Collection[str]]) -> Lean:
    """What reads these events without these fields, if any; to ask for one of them is an AttributeError.

    The fields that are kept are validated as ever, and older versions are read whole.
    """
    return {(event.TYPE, event.VERSION): _without(event, names) for event, names in passes_over.items()}


def decode_lean(type_: str, version: int, payload: bytes, readers: Lean) -> Contract:
    """`libs.events.catalogue.decode`, lean where it can be. Raises libs.events.catalogue.Unreadable."""
    reader = readers.get((type_, version))
    if reader is not None:
        try:
            return cast(Contract, reader.validate_json(payload))
        except ValidationError:
            pass  # the whole of it is looked at, so that all that is wrong is named
    return decode(type_, version, payload)


def _without(event: type[Event], names: Collection[str]) -> SchemaValidator:
    if not names:
        return cast(SchemaValidator, event.__pydantic_validator__)
    schema = cast(dict[str, Any], event.__pydantic_core_schema__)
    shared = schema["type"] == "definitions"  # a part that several fields have is defined once beside them
    model = schema["schema"] if shared else schema
    fields = model["schema"]["fields"]
    assert fields.keys() >= set(names), f"{event.__name__} lacks one of {names}"
    kept = {name: field for name, field in fields.items() if name not in names}
    slim = model | {"schema": model["schema"] | {"fields": kept}}
    slim = schema | {"schema": slim} if shared else slim
    # Else pydantic-core takes the validator that the class has already, with all its fields.
    return SchemaValidator(cast(Any, slim), _use_prebuilt=False)
