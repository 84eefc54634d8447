"""The AsyncAPI 3.0 document: every channel, message and header, made from the catalogue.

Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0, with the Kafka bindings 0.5.0.
"""

from collections.abc import Mapping
from typing import Any

from libs.events.catalogue import COMMANDS, EVENTS, STATES
from libs.events.contract import Contract
from libs.events.release import Json, key_of, kind_of, schema_id

SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
TENANT_PATTERN = "^[a-z0-9][a-z0-9-]{0,31}$"
_ORDER = (
    "Records of one key are in order; across keys and channels there is none. The key decides the partition"
    " by Kafka's default partitioner (murmur2)."
)


def document(version: str, examples: Mapping[str, Mapping[str, Any]]) -> Json:
    """The whole document. `examples` are payloads by name, by `<type>.v<version>`."""
    return {
        "asyncapi": "3.0.0",
        "id": "urn:orderlog",
        "info": {
            "title": "Orderlog",
            "version": version,
            "description": (
                "Order management over an event log. Publish commands to oms.<stage>.commands; read what"
                " happened, refusals included, from oms.<stage>.events. CloudEvents 1.0 in Kafka's binary"
                " content mode: headers carry the context, the value is the JSON payload."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {name: _channel(name, group) for name, group in channels().items()},
        "operations": {_operation_id(name): _operation(name, group) for name, group in channels().items()},
        "components": {
            "messages": {
                key_of(contract.TYPE, number): _message(contract, number, examples)
                for group in channels().values()
                for contract in group
                for number in range(1, contract.VERSION + 1)
            },
            "schemas": {f"{kind}Headers": _headers(kind) for kind in ("command", "event", "state")},
            "securitySchemes": {
                "scram": {"type": "scramSha512", "description": "SASL/SCRAM over TLS."},
                "certificate": {"type": "X509", "description": "Mutual TLS."},
            },
        },
    }


def channels() -> dict[str, tuple[type[Contract], ...]]:
    """Every topic of the lifecycle with what is on it; topics that take nothing yet are left out."""
    found: dict[str, tuple[type[Contract], ...]] = {}
    for stage in COMMANDS:
        if COMMANDS[stage]:
            found[f"oms.{stage}.commands"] = COMMANDS[stage]
        found[f"oms.{stage}.events"] = EVENTS[stage]
    return found | STATES


def _servers() -> Json:
    host = {
        "default": "127.0.0.1:19092",
        "description": "Bootstrap server, host:port. The default is the local stack's.",
    }
    schemes = ("scram", "certificate")
    return {
        "local": {
            "host": "{bootstrap}",
            "protocol": "kafka",
            "description": "The stack of `orderlog up`: loopback, without credentials.",
            "variables": {"bootstrap": host},
        },
        "production": {
            "host": "{bootstrap}",
            "protocol": "kafka-secure",
            "description": "Your own cluster; ACLs grant read on events, write on commands, per partner.",
            "variables": {"bootstrap": {"description": "Bootstrap server, host:port."}},
            "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in schemes],
        },
    }


def _channel(name: str, group: tuple[type[Contract], ...]) -> Json:
    stage, kind = name.split(".")[1:]
    says = "Requests that may be refused" if kind == "commands" else "What happened, kept for ever"
    kept: Json = {"cleanup.policy": ["delete"], "retention.ms": -1}
    if name in STATES:
        says, kept = "What is so now: the last record of a key counts", {"cleanup.policy": ["compact"]}
    return {
        "address": name,
        "title": f"{stage} {kind}",
        "description": f"{says}. {_ORDER}",
        "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in _keys(group)},
        "bindings": {
            "kafka": {
                "topic": name,
                "topicConfiguration": kept,
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation(name: str, group: tuple[type[Contract], ...]) -> Json:
    """As seen from Orderlog: it receives commands and sends events."""
    receives = name.endswith(".commands")
    return {
        "action": "receive" if receives else "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": f"Orderlog {'hears' if receives else 'publishes'} {name}.",
        "messages": [{"$ref": f"#/channels/{name}/messages/{key}"} for key in _keys(group)],
    }


def _operation_id(name: str) -> str:
    stage, kind = name.split(".")[1:]
    return f"{'receive' if kind == 'commands' else 'send'}.{stage}.{kind}"


def _keys(group: tuple[type[Contract], ...]) -> list[str]:
    return [key_of(one.TYPE, number) for one in group for number in range(1, one.VERSION + 1)]


def _message(contract: type[Contract], number: int, examples: Mapping[str, Mapping[str, Any]]) -> Json:
    key, kind = key_of(contract.TYPE, number), kind_of(contract)
    latest = number == contract.VERSION
    now = "" if latest else f" Version {contract.VERSION} took its place; old records still have this one."
    summary = " ".join((contract.__doc__ or "").split())
    correlated = {} if kind == "state" else {"location": "$message.header#/ce_correlationid"}
    return {
        "name": contract.TYPE,
        "title": f"{contract.__name__} v{number}",
        "summary": summary.partition(". ")[0].rstrip(".") + "." + now,
        "contentType": "application/json",
        **({"correlationId": correlated} if correlated else {}),
        "tags": [{"name": kind}],
        "headers": {
            "allOf": [
                {"$ref": f"#/components/schemas/{kind}Headers"},
                {
                    "type": "object",
                    "properties": {
                        "ce_type": {"type": "string", "const": contract.TYPE},
                        "ce_typeversion": {"type": "string", "const": str(number)},
                        "ce_dataschema": {"type": "string", "const": schema_id(contract.TYPE, number)},
                    },
                },
            ]
        },
        "payload": {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": f"./schemas/{key}.json"}},
        "bindings": {"kafka": {"key": _record_key(), "bindingVersion": "0.5.0"}},
        "examples": [
            {"name": name, "payload": dict(payload)} for name, payload in examples.get(key, {}).items()
        ],
    }


def _record_key() -> Json:
    return {
        "type": "string",
        "description": "`tenant/stream`: an order id, `sku/<sku>`, or `nodes` after the tenant.",
        "pattern": f"{TENANT_PATTERN.removesuffix('$')}/.+$",
    }


def _headers(kind: str) -> Json:
    """CloudEvents context attributes as Kafka headers; every value is UTF-8 text."""

    def text(description: str, **more: Any) -> Json:
        return {"type": "string", "description": description, **more}

    properties = {
        "ce_specversion": text("CloudEvents version.", const="1.0"),
        "ce_id": text("Id of the event, or of the command: its idempotency key.", format="uuid"),
        "ce_source": text("Who says it: `orderlog/<stage>`, or a name of the partner's own."),
        "ce_type": text("The contract's type."),
        "ce_typeversion": text("The contract's version, 1 or more.", pattern="^[1-9][0-9]*$"),
        "ce_subject": text("The stream: an order id, `sku/<sku>`, or `nodes`."),
        "ce_time": text("When it happened, RFC 3339 with an offset.", format="date-time"),
        "ce_dataschema": text("`$id` of the payload's schema.", format="uri"),
        "ce_tenant": text("Brand or client.", pattern=TENANT_PATTERN),
        "ce_actor": text("Person or system that acted."),
        "ce_reason": text("Why, where somebody gave a reason."),
        "ce_causationid": text("Id of the command or event that caused it.", format="uuid"),
        "ce_correlationid": text("Id of the first cause of the whole chain.", format="uuid"),
        "ce_lane": text("The sender's lane, which is the partition.", pattern="^[0-9]+$"),
        "ce_sequence": text("Place in the sender's lane, from 1, without gaps.", pattern="^[1-9][0-9]*$"),
        "traceparent": text("W3C trace context."),
        "content-type": text("Media type of the payload.", const="application/json"),
    }
    required = ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "ce_tenant"]
    if kind != "event":
        del properties["ce_lane"], properties["ce_sequence"]
    if kind == "state":
        for absent in ("ce_actor", "ce_reason", "ce_causationid", "ce_correlationid", "traceparent"):
            del properties[absent]
    if kind != "command":
        required += ["ce_typeversion", "ce_dataschema", "content-type"]
    if kind == "event":
        required += ["ce_causationid", "ce_correlationid", "ce_lane", "ce_sequence"]
    return {"type": "object", "properties": properties, "required": required}
