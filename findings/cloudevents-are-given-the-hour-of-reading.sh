#!/usr/bin/env bash
# cloudevents 2.2.0: an event that was sent without a time has one after it was read, and another each time.
#
# Expected, from CloudEvents 1.0: `time` is optional, and says when the occurrence happened. The documentation of the class
# says that it fills in a time for an event that is made; that reading one fills it in, too, is not said.
# Seen: a Kafka record without `ce_time` is read with the time of this very moment. Read twice, one record gives two
# events that differ, and a fold by time takes what is replayed today for today's. Written on, the invented time is sent.
#
# Prints the headers that came, the attributes that were read, and those that are written on; fails where no time is made.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet cloudevents==2.2.0
"$folder/venv/bin/python" - <<'PYTHON'
import time
from datetime import UTC, datetime

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

HEADERS = {"ce_specversion": b"1.0", "ce_id": b"4711", "ce_source": b"/shop", "ce_type": b"OrderPlaced"}
record = KafkaMessage(headers=HEADERS, key=b"W-1001", value=b'{"total_minor": 1500}')
begun = datetime.now(UTC)
first = from_binary(record, JSONFormat(), CloudEvent)
time.sleep(0.01)
second = from_binary(record, JSONFormat(), CloudEvent)
written = to_binary(first, JSONFormat()).headers
print("came:", sorted(HEADERS))
print("read:", sorted(first.get_attributes()), "the same time twice:", first.get_time() == second.get_time())
print("written on:", sorted(written))
if not begun <= first.get_time() < second.get_time() or "ce_time" not in written:
    raise SystemExit("this has changed")
PYTHON
