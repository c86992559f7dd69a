#!/usr/bin/env bash
# DuckDB 2.0.1: the median of 0.00 and 0.09 is 0.04.
#
# Expected, from its documentation: median is quantile_cont at one half, and quantile_cont interpolates. That is 0.045;
# where it has to fit two places, DuckDB's own cast of 0.045 gives 0.05, as its round does.
# Seen: of a DECIMAL the interpolated value is cut to the column's places, towards zero. In a column without places the 90th
# percentile of 0 and 9 is 8, not 8.1. Medians of prices come out on the low side, and credits nearer to zero. Cast to
# DOUBLE, they are 0.045 and 8.1.
#
# Prints the medians and percentiles of decimals, of doubles, and the cast; fails where they agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import duckdb

(seen,) = duckdb.connect().execute(
    """
    SELECT median(cents)::VARCHAR, median(cents::DOUBLE)::VARCHAR, 0.045::DECIMAL(9, 2)::VARCHAR,
           quantile_cont(units, 0.9)::VARCHAR, quantile_cont(units::DOUBLE, 0.9)::VARCHAR
    FROM (VALUES (0.00::DECIMAL(9, 2), 0::DECIMAL(9, 0)), (0.09, 9)) AS amounts(cents, units)
    """
).fetchall()
print("median of 0.00 and 0.09: {}, of doubles: {}, 0.045 cast: {}".format(*seen[:3]))
print("90th percentile of 0 and 9: {}, of doubles: {}".format(*seen[3:]))
if seen != ("0.04", "0.045", "0.05", "8", "8.1"):
    raise SystemExit("this has changed")
PYTHON
