#!/usr/bin/env bash
# openpyxl 3.1.5: text such as KEY_x0041_B is another text for whoever opens the workbook with something else.
#
# Expected, from ECMA-376, part 1, 22.9.2.19: in a cell's text `_x0041_` stands for the character U+0041, so a writer has to
# write the first underline as `_x005F_`. openpyxl's documentation has `openpyxl.utils.escape` for
# control characters, and does not say that cells are written without it.
# Seen: it writes such text as it is, and reads it as it is, so a round trip finds nothing. A reader that keeps to the standard,
# here python-calamine 0.9.1, reads KEYAB: the name of another article. xlsxwriter 3.3.1 escapes it, and is read right.
#
# Prints what is read of the cell by whom; fails where openpyxl's file is read as it was meant.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet openpyxl==3.1.5 xlsxwriter==3.3.1 python-calamine==0.9.1
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from pathlib import Path

import openpyxl
import xlsxwriter
from python_calamine import CalamineWorkbook

SKU = "KEY_x0041_B"
own, other = Path(sys.argv[1]) / "openpyxl.xlsx", Path(sys.argv[1]) / "xlsxwriter.xlsx"
book = openpyxl.Workbook()
book.active["A1"] = SKU
book.save(own)
with xlsxwriter.Workbook(other) as written:
    written.add_worksheet().write_string(0, 0, SKU)
seen = {}
for path in (own, other):
    ((calamine,),) = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    seen[path.stem] = calamine, openpyxl.load_workbook(path).active["A1"].value
    print(f"{SKU}, written by {path.stem}, is read by python-calamine as {seen[path.stem][0]}, by openpyxl as {seen[path.stem][1]}")
if seen != {"openpyxl": ("KEYAB", SKU), "xlsxwriter": (SKU, SKU)}:
    raise SystemExit("this has changed")
PYTHON
