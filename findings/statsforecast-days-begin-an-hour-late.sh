#!/usr/bin/env bash
# statsforecast 2.1.1 with pandas 2.3.3: after clocks have changed, forecasts of days are for 01:00.
#
# Expected, from its documentation: `freq` is a pandas alias, and D is a calendar day; pandas' own date_range with D stays at
# midnight over the change.
# Seen: a history of days that begin at midnight in Berlin goes to 2026-03-29, and the next days of the forecast begin at
# 01:00 in summer time: 24 hours are added, not a day. In autumn they begin at 23:00, on the day before. Joined with what was
# sold by day, none of them has a row.
#
# Prints the stamps of the forecast and pandas' own; fails where they agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet statsforecast==2.1.1 pandas==2.3.3 utilsforecast==0.2.17 tzdata==2026.6
"$folder/venv/bin/python" - <<'PYTHON'
import pandas as pd
from statsforecast import StatsForecast
from statsforecast.models import Naive


def stamps(last: str) -> tuple[list[str], list[str]]:
    days = pd.date_range(end=pd.Timestamp(last, tz="Europe/Berlin"), periods=10, freq="D")
    sold = pd.DataFrame({"unique_id": "SKU-1", "ds": days, "y": 1.0})
    forecast = StatsForecast(models=[Naive()], freq="D").forecast(df=sold, h=2)
    return [str(day) for day in forecast["ds"]], [str(day) for day in pd.date_range(days[-1], periods=3, freq="D")[1:]]


spring, autumn = stamps("2026-03-29"), stamps("2026-10-25")
for forecast, pandas in (spring, autumn):
    print("forecast for:", forecast, "pandas:", pandas)
if spring[0] != ["2026-03-30 01:00:00+02:00", "2026-03-31 01:00:00+02:00"] or spring[1][0] != "2026-03-30 00:00:00+02:00":
    raise SystemExit("this has changed")
if autumn[0] != ["2026-10-25 23:00:00+01:00", "2026-10-26 23:00:00+01:00"] or autumn[1][0] != "2026-10-26 00:00:00+01:00":
    raise SystemExit("this has changed")
PYTHON
