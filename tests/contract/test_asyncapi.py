"""contracts/asyncapi.json: a consumer's tools can read it, and it says what is on each topic."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson
import pytest
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from cli.contracts import ROOT
from libs.events.catalogue import BY_TYPE, COMMANDS, EVENTS, STATES, encode
from libs.events.contract import Command, Event
from libs.events.envelope import Envelope
from libs.events.release import key_of, schema_id
from libs.runtime import wire
from libs.runtime.log import LogRow
from libs.runtime.relay import message
from libs.runtime.topics import lifecycle_topics
from tests.contract.example_parts import DELIVERED_AT
from tests.contract.examples import EXAMPLES

FOLDER = ROOT / "contracts"
DOCUMENT: dict[str, Any] = orjson.loads((FOLDER / "asyncapi.json").read_bytes())
CAUSE = UUID("0e67af92-6480-5ae4-a3fd-f088c735a90f")
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def target(reference: str) -> Any:
    """What a reference points at, in this document or in a file beside it."""
    file, _, pointer = reference.partition("#")
    node = orjson.loads((FOLDER / file).read_bytes()) if file else DOCUMENT
    for step in pointer.split("/")[1:]:
        node = node[step.replace("~1", "/").replace("~0", "~")]
    return node


def test_it_parses_as_asyncapi_3() -> None:
    # FastStream's model wants a server's pathname, which the specification makes optional.
    servers = {name: {"pathname": "", **server} for name, server in DOCUMENT["servers"].items()}
    parsed = ApplicationSchema.model_validate({**DOCUMENT, "servers": servers})
    assert parsed.asyncapi == "3.0.0"
    assert parsed.components is not None
    assert set(parsed.components.messages or ()) == set(MESSAGES)


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > len(MESSAGES)
    for reference in found:
        assert isinstance(target(reference), dict), reference


def test_channels_are_the_topics_and_hold_every_version_that_may_lie_on_them() -> None:
    heard = {f"oms.{stage}.commands" for stage in COMMANDS if COMMANDS[stage]}
    said = {f"oms.{stage}.events" for stage in EVENTS}
    assert set(DOCUMENT["channels"]) == heard | said | set(STATES)
    assert heard | said <= set(lifecycle_topics())
    for name, channel in DOCUMENT["channels"].items():
        assert channel["address"] == channel["bindings"]["kafka"]["topic"] == name
        _, stage, kind = name.split(".")
        group = STATES.get(name) or (COMMANDS[stage] if kind == "commands" else EVENTS[stage])
        assert set(channel["messages"]) == {f"{c.TYPE}.v{v}" for c in group for v in range(1, c.VERSION + 1)}


def test_each_channel_has_its_operation_with_all_its_messages() -> None:
    by_channel = {one["channel"]["$ref"]: one for one in DOCUMENT["operations"].values()}
    assert set(by_channel) == {f"#/channels/{name}" for name in DOCUMENT["channels"]}
    for reference, operation in by_channel.items():
        assert operation["action"] == ("receive" if reference.endswith(".commands") else "send")
        messages = target(reference)["messages"]
        assert [one["$ref"] for one in operation["messages"]] == [
            f"{reference}/messages/{key}" for key in messages
        ]


@pytest.mark.parametrize("key", sorted(MESSAGES))
def test_a_message_refers_to_its_schema_and_its_examples_satisfy_it(key: str) -> None:
    message = MESSAGES[key]
    schema = target(message["payload"]["schema"]["$ref"])
    Draft202012Validator.check_schema(schema)
    assert [one["name"] for one in message["examples"]] == ["full", "minimal"]
    for example in message["examples"]:
        Draft202012Validator(schema).validate(example["payload"])
    constants = message["headers"]["allOf"][1]["properties"]
    assert constants["ce_dataschema"]["const"] == schema["$id"]
    assert f"{constants['ce_type']['const']}.v{constants['ce_typeversion']['const']}" == key


def headers_schema(key: str) -> Draft202012Validator:
    """The message's headers schema, its references led to the document."""
    registry: Registry[Any] = Registry().with_resource(
        "urn:document", Resource.from_contents(DOCUMENT, DRAFT202012)
    )
    text = orjson.dumps(MESSAGES[key]["headers"]).replace(b'"#/components', b'"urn:document#/components')
    return Draft202012Validator(orjson.loads(text), registry=registry)


def relayed(type_: str) -> dict[str, str]:
    """The headers that the relay writes for the full example of an event."""
    body = EXAMPLES[type_]["full"]
    row = LogRow(
        lane=3,
        origin="decided",
        seq=17,
        event_id=CAUSE,
        tenant="acme",
        stream=body.stream,
        stream_version=1,
        type=type_,
        version=body.VERSION,
        payload=encode(body),
        context={
            **dict.fromkeys(("actor", "reason", "traceparent"), ""),
            **dict.fromkeys(("causationid", "correlationid"), str(CAUSE)),
        },
        at=DELIVERED_AT,
        recorded_at=DELIVERED_AT,
    )
    _, _, headers, _ = message(row, b"orderlog/intake")
    return {name: value.decode() for name, value in headers}


@pytest.mark.parametrize("type_", [c.TYPE for c in BY_TYPE.values() if issubclass(c, Event)])
def test_what_the_relay_writes_is_what_is_described(type_: str) -> None:
    headers = relayed(type_)
    described = headers_schema(key_of(type_, BY_TYPE[type_].VERSION))
    described.validate(headers)
    assert headers["ce_dataschema"] == schema_id(type_, BY_TYPE[type_].VERSION)
    for name in headers:
        assert not described.is_valid({one: value for one, value in headers.items() if one != name}), name
    for name, wrong in (("ce_type", "oms.other"), ("ce_tenant", "a/b"), ("ce_sequence", "0")):
        assert not described.is_valid({**headers, name: wrong}), name


@pytest.mark.parametrize("type_", [c.TYPE for c in BY_TYPE.values() if issubclass(c, Command)])
def test_what_the_edge_writes_is_what_is_described(type_: str) -> None:
    body = EXAMPLES[type_]["full"]
    envelope = Envelope(
        id=CAUSE,
        tenant="acme",
        stream=body.stream,
        body=body,
        at=DELIVERED_AT,
        actor="ann@shop",
        reason="asked",
        causation_id=CAUSE,
        correlation_id=CAUSE,
        source="orderlog/edge",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )
    headers = {name: value.decode() for name, value in wire.headers(envelope)}
    assert headers.keys() <= DOCUMENT["components"]["schemas"]["commandHeaders"]["properties"].keys()
    headers_schema(key_of(type_, body.VERSION)).validate(headers)
    assert headers["ce_dataschema"] == schema_id(type_, body.VERSION)


def test_servers_are_variables_and_production_asks_who_you_are() -> None:
    for server in DOCUMENT["servers"].values():
        assert server["host"] == "{bootstrap}"
        assert "bootstrap" in server["variables"]
    production = DOCUMENT["servers"]["production"]
    assert production["protocol"] == "kafka-secure"
    assert {target(one["$ref"])["type"] for one in production["security"]} == {"scramSha512", "X509"}


def test_every_type_is_on_some_channel() -> None:
    assert {message["name"] for message in MESSAGES.values()} == set(BY_TYPE)
