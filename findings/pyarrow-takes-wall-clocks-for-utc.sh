#!/usr/bin/env bash
# pyarrow 26.0.1: 20:00 without a zone, put into a column in Shanghai's time, is 20:00 in UTC.
#
# Expected, from Arrow's format: a timestamp without a zone is a wall clock's, and is not to be taken for an instant; and
# text without an offset is refused for such a column, with the advice to say which zone is meant. The notes of `array`
# say nothing of naive datetimes for a column with a zone.
# Seen: the naive datetime is taken without a word, as UTC, 8 hours late. The other way round, an aware 20:00 in
# Shanghai that comes into a column without a zone becomes 12:00, beside a neighbour that stays at 20:00.
#
# Prints what becomes of the two datetimes and of the text; fails where they are converted otherwise, or refused.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1 tzdata==2026.6
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa

ZONE = "Asia/Shanghai"
naive = datetime(2026, 11, 30, 20)
aware = naive.replace(tzinfo=ZoneInfo(ZONE))
zoned = str(pa.array([naive], pa.timestamp("us", ZONE))[0].as_py().astimezone(UTC))
without = [str(one) for one in pa.array([naive, aware]).to_pylist()]
try:
    pa.array([naive.isoformat()]).cast(pa.timestamp("us", ZONE))
    text = "taken"
except pa.ArrowInvalid:
    text = "refused"
print("naive 20:00 in a column of Shanghai:", zoned)
print("naive 20:00 and aware 20:00 in a column without a zone:", without)
print("text of 20:00 for a column of Shanghai:", text)
if (zoned, without, text) != ("2026-11-30 20:00:00+00:00", ["2026-11-30 20:00:00", "2026-11-30 12:00:00"], "refused"):
    raise SystemExit("this has changed")
PYTHON
