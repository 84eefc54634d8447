"""Whatever a schema allows is read, and survives its bytes; what it forbids is not read."""

from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic_core import from_json, to_json

from libs.events.catalogue import BY_TYPE, Malformed, decode, encode
from libs.events.release import Json, json_schema
from tests.contract.examples import EXAMPLES
from tests.contract.strategies import payloads

TYPES = sorted(BY_TYPE)


@cache
def schema_of(type_: str) -> Json:
    return json_schema(BY_TYPE[type_])


@pytest.mark.parametrize("type_", TYPES)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_decode_of_encode_is_the_same(type_: str, data: st.DataObject) -> None:
    version = BY_TYPE[type_].VERSION
    contract = decode(type_, version, to_json(data.draw(payloads(schema_of(type_)))))
    written = encode(contract)
    again = decode(type_, version, written)
    assert again == contract
    assert encode(again) == written
    Draft202012Validator(schema_of(type_)).validate(from_json(written))


@pytest.mark.parametrize("type_", TYPES)
def test_a_value_of_the_wrong_type_anywhere_is_malformed(type_: str) -> None:
    """Code and schema agree on what is wrong: neither takes an object where a plain value belongs."""
    version, full = BY_TYPE[type_].VERSION, from_json(encode(EXAMPLES[type_]["full"]))
    validator = Draft202012Validator(schema_of(type_))
    for name in full:
        broken = {**full, name: {"not": "this"}}
        assert not validator.is_valid(broken), name
        with pytest.raises(Malformed, match=name):
            decode(type_, version, to_json(broken))
