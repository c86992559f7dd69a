#!/usr/bin/env bash
# cloudevents 10.0.0 for JavaScript and 2.2.0 for Python: over HTTP, a subject with a space or an accent is two subjects.
#
# Expected, from the HTTP binding of CloudEvents 1.0, 3.1.3.2: a space, a percent sign, a double quote and what is not ASCII are
# percent-encoded in headers, and decoded by whoever reads them. Both say that they implement the binding.
# Seen: Python encodes and decodes. JavaScript does neither: "café 100%" that Python sent is read as "caf%C3%A9%20100%25", and
# what JavaScript sends is not ASCII, which HTTP clients refuse or send in an encoding of their own. Who routes or
# groups by subject has two of them; on Kafka, whose binding encodes nothing, both read the same.
#
# Prints the headers that each writes and the subject that each reads; fails where they agree. Needs Node.js 20 or later.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet cloudevents==2.2.0
cd "$folder"
npm install --silent --no-audit --no-fund cloudevents@10.0.0
python_says() {
    "$folder/venv/bin/python" - <<'PYTHON'
from cloudevents.core.bindings.http import HTTPMessage, from_binary, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

attributes = {"id": "1", "source": "/shop", "type": "OrderPlaced", "specversion": "1.0", "subject": "café 100%"}
message = to_binary(CloudEvent(attributes, {}), JSONFormat())
read = from_binary(HTTPMessage(headers=message.headers, body=message.body), JSONFormat(), CloudEvent)
print(f"{message.headers['ce-subject']} | {read.get_subject()}")
PYTHON
}
javascript_says() {
    cat > subjects.mjs <<'JAVASCRIPT'
import { CloudEvent, HTTP } from "cloudevents";

const event = new CloudEvent({ id: "1", source: "/shop", type: "OrderPlaced", subject: "café 100%", data: {} });
const headers = HTTP.binary(event).headers;
const read = HTTP.toEvent({ headers: { ...headers, "ce-subject": process.argv[2] }, body: "{}" });
console.log(`${headers["ce-subject"]} | ${read.subject}`);
JAVASCRIPT
    node subjects.mjs "caf%C3%A9%20100%25"
}
seen="Python writes and reads: $(python_says)
JavaScript writes, and reads of Python: $(javascript_says)"
echo "$seen"
[ "$seen" = "Python writes and reads: caf%C3%A9%20100%25 | café 100%
JavaScript writes, and reads of Python: café 100% | caf%C3%A9%20100%25" ]
