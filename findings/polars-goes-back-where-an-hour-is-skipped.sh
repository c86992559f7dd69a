#!/usr/bin/env bash
# polars 2.1.0: a day after 02:30 is 01:30, where 02:30 is skipped.
#
# Expected, from the documentation of `dt.offset_by`: the corresponding time on the next day, following RFC 5545. That
# (3.3.5) takes the offset from before the gap: 02:30 in Berlin on 2026-03-29 is 03:30 in summer time, 01:30 in UTC, as in
# Python's zoneinfo, in PostgreSQL and in DuckDB.
# Seen: polars goes back instead, to 01:30 in winter time, 00:30 in UTC: an hour earlier than all the others. A series of
# days has the same moment, while `dt.replace_time_zone`, asked for that very time, refuses it as one that does not exist.
#
# Prints what each makes of it; fails where polars agrees with the others.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet polars==2.1.0 tzdata==2026.6
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl

ZONE = "Europe/Berlin"
before, skipped = datetime(2026, 3, 28, 2, 30), datetime(2026, 3, 29, 2, 30)
python = skipped.replace(tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
offset = pl.Series([before]).dt.replace_time_zone(ZONE).dt.offset_by("1d").item().astimezone(UTC)
days = pl.datetime_range(before, datetime(2026, 3, 30, 2, 30), "1d", time_zone=ZONE, eager=True)
try:
    pl.Series([skipped]).dt.replace_time_zone(ZONE)
    direct = "taken"
except pl.exceptions.ComputeError:
    direct = "refused"
seen = {"zoneinfo": str(python), "offset_by": str(offset), "datetime_range": str(days[1].astimezone(UTC)), "direct": direct}
print(seen)
early = "2026-03-29 00:30:00+00:00"
if seen != {"zoneinfo": "2026-03-29 01:30:00+00:00", "offset_by": early, "datetime_range": early, "direct": "refused"}:
    raise SystemExit("this has changed")
PYTHON
