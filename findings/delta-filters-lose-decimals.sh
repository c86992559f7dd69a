#!/usr/bin/env bash
# deltalake 1.6.6: a filter on a decimal does not find a row that is there.
#
# Expected, from the protocol of Delta tables: the least and greatest value of a column, kept for each file, let a reader pass
# over files that cannot have what is asked; so they must enclose what is in the file.
# Seen: of a decimal they are written as JSON numbers by way of a double. 900719925474099.31 becomes 900719925474099.4,
# least and greatest alike, and the file is passed over by the filter = 900719925474099.31. Read without a filter, the row
# is there; the same number in minor units as int64 is found.
#
# Prints the rows found with and without a filter; fails where the filter finds the decimal.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet deltalake==1.6.6 pyarrow==26.0.1
"$folder/venv/bin/python" - "$folder/table" <<'PYTHON'
import json
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

amount, minor = Decimal("900719925474099.31"), 90071992547409931
rows = pa.table({"amount": pa.array([amount], pa.decimal128(18, 2)), "minor": pa.array([minor], pa.int64())})
write_deltalake(sys.argv[1], rows)
(log,) = (Path(sys.argv[1]) / "_delta_log").glob("*.json")
(added,) = [entry["add"] for entry in map(json.loads, log.read_text().splitlines()) if "add" in entry]
kept = added["stats"].partition('"amount":')[2].partition(",")[0].rstrip("}")
table = DeltaTable(sys.argv[1])
found = {
    "all": table.to_pyarrow_table().num_rows,
    "amount": table.to_pyarrow_table(filters=[("amount", "=", amount)]).num_rows,
    "minor": table.to_pyarrow_table(filters=[("minor", "=", minor)]).num_rows,
}
print("least amount kept for the file:", kept, "rows found by:", found)
if found != {"all": 1, "amount": 0, "minor": 1} or kept != "900719925474099.4":
    raise SystemExit("this has changed")
PYTHON
