#!/usr/bin/env bash
# standardwebhooks 1.1.0: `sign` reads the hour of a moment in any zone as an hour in UTC.
#
# Expected, from the Standard Webhooks specification: the signed timestamp is an integer Unix time, the number that
# `webhook-timestamp` carries. The method takes a datetime, and its documentation says nothing of zones.
# Seen: it replaces the zone instead of converting it. 20:00 in Shanghai and 12:00 in UTC are one instant, Python says so,
# and they are signed differently: a message that is signed with an aware local time, and sent with its Unix time, is
# refused by every receiver. Only a datetime in UTC is signed right.
#
# Prints whether the two instants are equal, whether their signatures are, and what verifying says; fails where the
# signatures are equal.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet standardwebhooks==1.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import base64
from datetime import UTC, datetime, timedelta, timezone

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook("whsec_" + base64.b64encode(b"a secret of thirty-two bytes....").decode())
shanghai = datetime.now(UTC).replace(microsecond=0).astimezone(timezone(timedelta(hours=8)))
utc = shanghai.astimezone(UTC)
local, right = (webhook.sign("msg_1", moment, "{}") for moment in (shanghai, utc))


def verified(signature: str) -> str:
    """What a receiver says, who is sent the Unix time of the instant."""
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(shanghai.timestamp())), "webhook-signature": signature}
    try:
        webhook.verify("{}", headers)
    except WebhookVerificationError as error:
        return str(error)
    return "verified"


print(f"same instant: {shanghai == utc}, same signature: {local == right}")
print("signed with the time in UTC:", verified(right))
print("signed with the time in Shanghai:", verified(local))
if shanghai != utc or local == right or verified(right) != "verified" or verified(local) == "verified":
    raise SystemExit("this has changed")
PYTHON
