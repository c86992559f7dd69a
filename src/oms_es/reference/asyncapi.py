"""Every topic as an AsyncAPI 3.0 document: who writes what there, with which key and headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from oms_es.app.workers import DEAD_LETTERS, STATES, topics
from oms_es.kafka.client import Topic
from oms_es.kafka.cloudevents import sequence
from oms_es.reference.json_schemas import Described
from oms_es.schemas.topics import CHANNEL_ORDERS, LOG_CHECKPOINTS, channel_topic

OWN_TOPIC = channel_topic("{channel}")
KAFKA_BINDING = "0.5.0"
SCHEMAS = "schemas"
WAYS = {"event": "send", "state": "send", "inbound": "receive"}
SEQUENCE = {"type": "string", "pattern": rf"^\d{{{len(sequence(0))}}}$"}
UUID = {"type": "string", "format": "uuid"}

COMMON: Mapping[str, Mapping[str, Any]] = {
    "content-type": {"const": "application/json"},
    "ce_specversion": {"const": "1.0", "description": "CloudEvents, in binary mode."},
}
EVENT_HEADERS: Mapping[str, Mapping[str, Any]] = {
    **COMMON,
    "ce_id": {**UUID, "description": "The event's id: a repeat has the same."},
    "ce_type": {"type": "string", "description": "The event's name."},
    "ce_source": {"type": "string", "description": "/oms-es/ and the kind of stream."},
    "ce_subject": {"type": "string", "description": "The stream, which is also the key."},
    "ce_time": {"type": "string", "format": "date-time", "description": "When it was recorded."},
    "ce_sequence": {**SEQUENCE, "description": "Its position in the log. Rises within a partition, save for repeats."},
    "ce_previoussequence": {
        **SEQUENCE,
        "description": "The position before it in its partition; if you have not seen that one, something is missing.",
    },
    "ce_streamversion": {"type": "string", "pattern": r"^[1-9]\d*$", "description": "Its place in its stream, from 1."},
    "ce_schemaversion": {"type": "string", "pattern": r"^[1-9]\d*$", "description": "Of the event's body."},
    "ce_partitionkey": {"type": "string", "description": "The key."},
    "ce_correlationid": {"type": "string", "description": "The order that it is about."},
    "ce_causationid": {**UUID, "description": "The event that it follows from; absent if a caller outside asked."},
    "ce_actor": {"type": "string", "description": "Who recorded it: a consumer, a channel, a person."},
    "ce_encrypted": {
        "type": "string",
        "description": "What is personal in the event, encrypted; the body has placeholders. Base64 of AES-256-GCM.",
    },
    "traceparent": {
        "type": "string",
        "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$",
        "description": "W3C Trace Context.",
    },
}
STATE_HEADERS: Mapping[str, Mapping[str, Any]] = {
    **COMMON,
    "ce_id": {
        "type": "string",
        "description": "The key, the position and a digest of the value: a repeat has the same, other content another.",
    },
    "ce_type": {"type": "string", "description": "What kind of state it is."},
    "ce_source": {"type": "string", "description": "/oms-es/ and the read model."},
    "ce_subject": {"type": "string", "description": "The row, which is also the key."},
    "ce_time": {
        "type": "string",
        "format": "date-time",
        "description": "When the event at its sequence was recorded; where there is none, as of rows that are "
        "published again whole, the newest that the read model has taken.",
    },
    "ce_sequence": {**SEQUENCE, "description": "Position of the log that the state has come to; it may be newer."},
}
LETTER_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "oms_dead_letter": {"type": "string", "pattern": r"^\d+$", "description": "Its number in `oms-es dead-letters`."},
    "oms_source": {"type": "string", "description": "Where it came from: role and partition."},
    "oms_place": {"type": "string", "description": "Where it stood there: the offset."},
    "oms_reason": {"type": "string", "description": "A stable code."},
    "oms_detail": {"type": "string", "description": "What its sender does next."},
}
CHECKPOINT_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "content-type": {"const": "text/plain; charset=utf-8"},
    "ce_specversion": COMMON["ce_specversion"],
    "ce_id": {"type": "string", "description": "Its size and a digest: repeated it is the same."},
    "ce_type": {"type": "string"},
    "ce_source": {"type": "string"},
    "ce_subject": {"type": "string", "description": "The log's name, its first line; it is also the key."},
    "ce_time": {"type": "string", "format": "date-time", "description": "When it was signed."},
    "ce_sequence": {**SEQUENCE, "description": "How many events it is of. Rises, save for repeats."},
}
OPTIONAL = {"ce_causationid", "ce_encrypted"}
KEYS = {
    "event": "The stream, such as order-ID: events of one stream keep their order.",
    "state": "The row's key, its parts joined by @.",
    "inbound": "Whatever keeps the order of messages about the same thing; the external id is a good one.",
}


def document(messages: Sequence[Described], version: str) -> dict[str, Any]:
    channels = {topic.name: _channel(topic, [m for m in messages if m.topic == topic.name]) for topic in topics()}
    channels[OWN_TOPIC] = _own_topic(channels[CHANNEL_ORDERS])
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "oms-es",
            "version": version,
            "description": (
                "Orders in; events and the latest state out. Delivered at least once, in order within a key. Ignore "
                "fields that you do not know, and events whose ce_type you do not know: both are added without notice."
            ),
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "PLAINTEXT, TLS, SASL/PLAIN or SASL/SCRAM, as its operator has set it up.",
                "variables": {"bootstrap": {"default": "localhost:9092", "description": "OMS_KAFKA"}},
            }
        },
        "channels": channels,
        "operations": {name: _operation(name, messages) for name in channels},
        "components": {
            "messages": {
                **{message.name: _message(message) for message in messages},
                **{f"{state.type}Removed": _tombstone(state.type) for state in STATES},
                "DeadLetter": _dead_letter(),
                "LogCheckpoint": _checkpoint(),
            }
        },
    }


def _channel(topic: Topic, messages: Sequence[Described]) -> dict[str, Any]:
    """Return the description of a topic. Raise ValueError for a topic whose content is not declared."""
    names = [message.name for message in messages]
    names += [f"{message.name}Removed" for message in messages if message.kind == "state"]
    if topic.name == DEAD_LETTERS:
        names.append("DeadLetter")
    if topic.name == LOG_CHECKPOINTS:
        names.append("LogCheckpoint")
    if not names:
        raise ValueError(f"say in {__name__} what is on {topic.name}")
    return {
        "address": topic.name,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {"cleanup.policy": ["compact" if topic.compacted else "delete"]},
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _own_topic(common: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of a channel's own topic, which is like the common one."""
    kafka = {name: described for name, described in common["bindings"]["kafka"].items() if name != "topic"}
    return {
        **common,
        "address": OWN_TOPIC,
        "description": "Of a channel that OMS_CHANNEL_TOPICS names. A message of another channel is a dead letter.",
        "parameters": {"channel": {"description": "As the messages have it."}},
        "bindings": {"kafka": kafka},
    }


def _operation(topic: str, messages: Iterable[Described]) -> dict[str, Any]:
    """Return the operation on a topic, from this program's side: it sends what clients read."""
    listed = CHANNEL_ORDERS if topic == OWN_TOPIC else topic
    kind = next((message.kind for message in messages if message.topic == listed), "event")
    return {"action": WAYS[kind], "channel": {"$ref": f"#/channels/{topic}"}}


def _message(message: Described) -> dict[str, Any]:
    described: dict[str, Any] = {"name": message.name, "title": message.name}
    if message.description:
        described["description"] = message.description
    if message.kind != "inbound":
        described["headers"] = headers(
            EVENT_HEADERS if message.kind == "event" else STATE_HEADERS, ce_type=message.name
        )
    return {
        **described,
        "payload": {"$ref": f"./{SCHEMAS}/{message.name}.json"},
        "bindings": _key(KEYS[message.kind]),
    }


def _tombstone(of: str) -> dict[str, Any]:
    return {
        "name": f"{of}Removed",
        "title": f"{of}, removed",
        "description": "A tombstone: the row is gone. Forget the key.",
        "headers": headers(STATE_HEADERS, ce_type=of),
        "payload": {"type": "null"},
        "bindings": _key(KEYS["state"]),
    }


def _dead_letter() -> dict[str, Any]:
    return {
        "name": "DeadLetter",
        "title": "Input that could not be used",
        "description": "The bytes and headers as they came, and why they could not be used.",
        "contentType": "application/octet-stream",
        "headers": headers(LETTER_HEADERS),
        "payload": {},
        "bindings": _key("Where it came from: role, partition and offset."),
    }


def _checkpoint() -> dict[str, Any]:
    return {
        "name": "LogCheckpoint",
        "title": "A signed checkpoint of the log",
        "description": "A signed note, as C2SP's tlog-checkpoint has it. Kept apart, it shows later what was changed.",
        "contentType": "text/plain",
        "headers": headers(CHECKPOINT_HEADERS, ce_type="LogCheckpoint"),
        "payload": {"type": "string"},
        "bindings": _key("The log's name."),
    }


def headers(fields: Mapping[str, Mapping[str, Any]], **fixed: str) -> dict[str, Any]:
    """Return the schema of the headers; it is open, since others may be added."""
    exact = {name: {**field, **({"const": fixed[name]} if name in fixed else {})} for name, field in fields.items()}
    return {"type": "object", "properties": exact, "required": [name for name in exact if name not in OPTIONAL]}


def _key(meaning: str) -> dict[str, Any]:
    return {"kafka": {"key": {"type": "string", "description": meaning}, "bindingVersion": KAFKA_BINDING}}
