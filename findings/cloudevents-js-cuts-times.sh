#!/usr/bin/env bash
# cloudevents 10.0.0 for JavaScript: an event that is read and written on has another time than the one that came.
#
# Expected, from CloudEvents 1.0: `time` is a timestamp in the form of RFC 3339, and intermediaries do not change attributes.
# In this package it is a string, so that the text could stay; its documentation says nothing of changing it.
# Seen: 2026-11-30T20:00:00.123456+08:00 is read as 2026-11-30T12:00:00.123Z, and is sent on so. The microseconds that kept two
# events of one millisecond in order are gone, and what is joined with the text or the instant of the original finds
# nothing. An extension with the same text keeps it.
#
# Prints time and extension as they came and as they are written on; fails where the time stays. Needs Node.js 20 or later.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund cloudevents@10.0.0
cat > times.mjs <<'JAVASCRIPT'
import { Kafka } from "cloudevents";

const time = "2026-11-30T20:00:00.123456+08:00";
const own = { ce_specversion: "1.0", ce_id: "1", ce_source: "/shop", ce_type: "OrderPlaced", ce_time: time, ce_recorded: time };
const event = Kafka.toEvent({ headers: { ...own, "content-type": "application/json" }, key: "W-1001", value: "{}" });
const written = Kafka.binary(event).headers;
console.log(`time came as ${time}\nwas written on as ${written.ce_time}, an extension as ${written.ce_recorded}`);
JAVASCRIPT
seen=$(node times.mjs)
echo "$seen"
[ "$seen" = "time came as 2026-11-30T20:00:00.123456+08:00
was written on as 2026-11-30T12:00:00.123Z, an extension as 2026-11-30T20:00:00.123456+08:00" ]
