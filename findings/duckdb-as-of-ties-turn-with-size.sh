#!/usr/bin/env bash
# DuckDB 2.0.1: of rows with the same moment, an as-of join takes the first while the left table is small, and the last where
# it is large.
#
# Expected, from its documentation: at most one match, the nearest moment. Which one of several at that moment is not said; that
# it is the same one for the same order of rows would be guessed, and is what a trial with a few rows confirms.
# Seen: prices change twice at each moment, and are stored in that order. Asked for 30 moments, the join answers with the first
# price of each, asked for 3,000 with the last.
#
# Prints how often each of the two prices was taken; fails where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import duckdb


def taken(moments: int) -> list[tuple[str, int]]:
    with duckdb.connect() as database:
        database.execute(
            f"""
            CREATE TABLE prices AS
            SELECT TIMESTAMP '2026-01-01' + INTERVAL (i // 2) SECOND AS moment, ['first', 'last'][i % 2 + 1] AS price
            FROM range({moments * 2}) AS row(i);
            CREATE TABLE orders AS SELECT DISTINCT moment FROM prices;
            """
        )
        return database.execute(
            "SELECT price, count(*) FROM orders ASOF JOIN prices ON orders.moment >= prices.moment GROUP BY price ORDER BY price"
        ).fetchall()


small, large = taken(30), taken(3000)
print("30 moments:", small, "3,000 moments:", large)
if small != [("first", 30)] or large != [("last", 3000)]:
    raise SystemExit("this has changed")
PYTHON
