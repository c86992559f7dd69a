#!/usr/bin/env bash
# pydantic 2.14.4: 365 days are written as a year, which other readers of ISO 8601 take for a calendar year, or refuse.
#
# Expected, from its documentation: a timedelta is serialised as an ISO 8601 duration. A timedelta has no years; XML Schema's
# dayTimeDuration, java.time.Duration and the standard library's own text of it stop at days, for a year is not a number
# of days.
# Seen: a time to return of 730 days becomes P2Y, one of 400 days P1Y35D. Reading it back, pydantic counts 365 days
# to a year and sees nothing; isodate 0.7.2 adds calendar years, so that what begins on 2027-03-01 ends a day later.
#
# Prints the text and the day on which each reader lets it end; fails where it writes no years, or the days agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pydantic==2.14.4 isodate==0.7.2
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import date, timedelta

import isodate
from pydantic import TypeAdapter

durations = TypeAdapter(timedelta)
begin, seen = date(2027, 3, 1), []
for days in (364, 400, 730):
    text = durations.dump_json(timedelta(days=days))
    ends = begin + durations.validate_json(text), begin + isodate.parse_duration(text.decode().strip('"'))
    seen.append((days, text.decode().strip('"'), *map(str, ends)))
    print("{} days: {}, ends for pydantic on {}, for isodate on {}".format(*seen[-1]))
if seen != [
    (364, "P364D", "2028-02-28", "2028-02-28"),
    (400, "P1Y35D", "2028-04-04", "2028-04-05"),
    (730, "P2Y", "2029-02-28", "2029-03-01"),
]:
    raise SystemExit("this has changed")
PYTHON
