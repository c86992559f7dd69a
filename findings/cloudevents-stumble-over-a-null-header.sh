#!/usr/bin/env bash
# cloudevents 2.2.0: a record of Kafka with a header whose value is null is no event to it, whatever the header is.
#
# Expected, from Kafka's record format: a header's value may be null, and clients write it so; from the Kafka binding of
# CloudEvents: only headers that begin with `ce_`, and `content-type`, belong to the event.
# Seen: reading raises AttributeError as soon as any header is null, here one that a tracing agent left empty. It is not one
# of the library's own errors, which a consumer would catch to put the record aside. confluent-kafka 2.16.1 delivers such
# a header as None.
#
# Prints what reading the record says with the header, and without; fails where the null header is read.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet cloudevents==2.2.0 confluent-kafka==2.16.1
"$folder/venv/bin/python" - <<'PYTHON'
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from confluent_kafka import Consumer, Producer

OWN = {"ce_specversion": "1.0", "ce_id": "4711", "ce_source": "/shop", "ce_type": "OrderPlaced"}
producer = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1, "log_level": 0})  # a broker of librdkafka's own
(broker,) = producer.list_topics(timeout=10).brokers.values()
producer.produce("orders", value=b"{}", headers=[*OWN.items(), ("trace-state", None)])
producer.flush(10)
consumer = Consumer(
    {"bootstrap.servers": f"{broker.host}:{broker.port}", "group.id": "one", "auto.offset.reset": "earliest"}
)
consumer.subscribe(["orders"])
message = consumer.poll(30)
headers = dict(message.headers())
consumer.close()


def read(headers: dict[str, bytes | None]) -> str:
    try:
        return from_binary(KafkaMessage(headers=headers, key=None, value=message.value()), JSONFormat(), CloudEvent).get_id()
    except CloudEventValidationError as error:
        return f"refused: {error}"
    except AttributeError as error:
        return f"AttributeError: {error}"


alone = {name: value for name, value in headers.items() if value is not None}
print(f"trace-state came as {headers['trace-state']}; read with it: {read(headers)}; without it: {read(alone)}")
if headers["trace-state"] is not None or not read(headers).startswith("AttributeError") or read(alone) != "4711":
    raise SystemExit("this has changed")
PYTHON
