#!/usr/bin/env bash
# mt-940 5.1.1: what a bank takes back counts as money that came in.
#
# Expected, from SWIFT's field 61 of MT940: the mark RC is the reversal of a credit, so the balance falls, and RD is the
# reversal of a debit, so it rises. The README says that D gives a negative amount, and nothing of RC and RD.
# Seen: only D is negative. RC is a positive amount, and nothing says that the balances of the file are 200 away from the sum
# of its amounts: the library says that it does not add up balances.
#
# Prints the amounts by mark, and what opening balance and amounts make beside the closing balance; fails where RC is no
# longer positive.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mt-940==5.1.1
"$folder/venv/bin/python" - <<'PYTHON'
import mt940

STATEMENT = """:20:STARTUMSE
:25:10020030/1234567
:28C:00001/001
:60F:C261129EUR1000,00
:61:2611301130C500,00NTRFORDER-1//A1
:61:2611301130D20,00NTRFREFUND-2//A2
:61:2611301130RC100,00NTRFORDER-3//A3
:61:2611301130RD7,00NTRFREFUND-4//A4
:62F:C261130EUR1387,00
"""

transactions = mt940.parse(STATEMENT)
amounts = {one.data["status"]: str(one.data["amount"].amount) for one in transactions}
opening = transactions.data["final_opening_balance"].amount.amount
closing = transactions.data["final_closing_balance"].amount.amount
total = opening + sum(one.data["amount"].amount for one in transactions)
print("amounts by mark:", amounts)
print(f"opening and amounts: {total}, closing: {closing}")
if amounts != {"C": "500.00", "D": "-20.00", "RC": "100.00", "RD": "7.00"} or total - closing != 200:
    raise SystemExit("this has changed")
PYTHON
