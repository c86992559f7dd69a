#!/usr/bin/env bash
# polars 2.1.0: the product of two decimals has no more places than the more exact one of them.
#
# Expected, as in SQL's standard and in DuckDB: a product has the places of both together, so that it is exact. The
# documentation of the type names precision and scale, and says nothing of products.
# Seen: each product is rounded, half to even, before anything is added. 200 lines of 0.15 at 7 % are 2.10 of tax, and
# polars makes 2.00 of them: every line of 0.0105 becomes 0.01. A column that is cast to four places first gives 2.1000.
#
# Prints the sum of the products in three ways; fails where it is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet polars==2.1.0 duckdb==2.0.1
"$folder/venv/bin/python" - <<'PYTHON'
from decimal import Decimal

import duckdb
import polars as pl

lines = pl.DataFrame({"net": [Decimal("0.15")] * 200, "rate": [Decimal("0.07")] * 200})
tax = lines.select((pl.col("net") * pl.col("rate")).sum()).item()
wide = lines.select((pl.col("net").cast(pl.Decimal(38, 4)) * pl.col("rate")).sum()).item()
row = "SELECT sum(0.15::DECIMAL(9, 2) * 0.07::DECIMAL(9, 2)) FROM range(200)"
((other,),) = duckdb.connect().execute(row).fetchall()
print(f"polars: {tax}, polars with four places: {wide}, DuckDB: {other}")
if [str(one) for one in (tax, wide, other)] != ["2.00", "2.1000", "2.1000"]:
    raise SystemExit("this has changed")
PYTHON
