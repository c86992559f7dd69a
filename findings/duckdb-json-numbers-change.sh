#!/usr/bin/env bash
# DuckDB 2.0.1: `->>` does not give the text of a JSON number, but that of a double nearby.
#
# Expected, from its documentation: `->>` extracts a value as VARCHAR. RFC 8259 sets no limit to a number's digits, and PostgreSQL,
# whose operator this is, gives them back as they are.
# Seen: 100000000000000000.01 in a document becomes the text 100000000000000000.0, also where it is cast to a
# DECIMAL(38, 2) that would hold it, and where json_merge_patch changes another member of the document. Whole numbers of
# any length stay as they are, and a column of type DECIMAL in read_json reads the digits.
#
# Prints both numbers by `->>`, the cast, and what read_json makes of the same document; fails where they are exact.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1
"$folder/venv/bin/python" - "$folder/order.json" <<'PYTHON'
import sys
from pathlib import Path

import duckdb

document = '{"limit": 100000000000000000.01, "id": 12345678901234567890123}'
Path(sys.argv[1]).write_text(document)
database = duckdb.connect()
(extracted,) = database.execute(
    "SELECT j->>'limit', j->>'id', (j->'limit')::DECIMAL(38, 2)::VARCHAR, json_merge_patch(j, '{\"id\": 1}')->>'limit'"
    " FROM (SELECT $1::JSON AS j)",
    [document],
).fetchall()
exactly = "SELECT \"limit\"::VARCHAR FROM read_json($1, columns = {'limit': 'DECIMAL(38, 2)'})"
((read,),) = database.execute(exactly, [sys.argv[1]]).fetchall()
print(f"by ->>, limit and id: {extracted[:2]}, cast: {extracted[2]}, after a patch: {extracted[3]}, read_json: {read}")
rounded = "100000000000000000.0"
if extracted != (rounded, "12345678901234567890123", rounded + "0", rounded) or read != "100000000000000000.01":
    raise SystemExit("this has changed")
PYTHON
