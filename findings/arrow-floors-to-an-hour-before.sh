#!/usr/bin/env bash
# arrow 1.4.0: the beginning of a minute is an hour and some seconds before a moment in it.
#
# Expected, from its documentation: `floor` gives the first moment of the time span that the moment is in, so it is at most a
# minute before.
# Seen: when clocks go back, 02:30 comes twice in Berlin. Of the second one the floor is the minute of the first one, 60
# minutes and 15 seconds earlier; `replace(second=0)` stays in the second. What is grouped by minute or hour of local
# time is put into the wrong hour once a year. A range of hours over that night has 4 of the 5.
#
# Prints moment, floor and what replace makes, and the hours of the range; fails where the floor is in the same hour.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet arrow==1.4.0 tzdata==2026.6
"$folder/venv/bin/python" - <<'PYTHON'
import arrow

ZONE = "Europe/Berlin"
moment = arrow.get("2026-10-25T02:30:15+01:00").to(ZONE)
floor, replaced = moment.floor("minute"), moment.replace(second=0)
begin, end = (arrow.get(text).to(ZONE) for text in ("2026-10-25T01:00:00+02:00", "2026-10-25T04:00:00+01:00"))
hours = [str(hour)[11:] for hour in arrow.Arrow.range("hour", begin, end)]
earlier = moment.to("UTC") - floor.to("UTC")
print(f"moment {moment}, floor {floor}, earlier by {earlier}, replace {replaced}")
print("hours:", hours)
if str(earlier) != "1:00:15" or str(replaced) != "2026-10-25T02:30:00+01:00" or len(hours) != 4:
    raise SystemExit("this has changed")
PYTHON
