#!/usr/bin/env bash
# jsonschema 4.26.0: 0.07 is no multiple of 0.01, nor are 2,728 other amounts below 200.
#
# Expected, from JSON Schema 2020-12, validation, 6.2.1: a number is valid if dividing it by `multipleOf` gives an integer;
# and JSON's numbers are decimal. The documentation of the library says nothing of rounding.
# Seen: it divides doubles, and 0.07 / 0.01 is 7.000000000000001. Of the amounts from 0.01 to 199.99 it refuses 2,729, which
# jsonschema-rs 0.60.3 and fastjsonschema 2.22.3 all take. Read with Decimal for numbers, in the document and in the
# schema, it takes all of them, too.
#
# Prints how many amounts each refuses; fails where it is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jsonschema==4.26.0 jsonschema-rs==0.60.3 fastjsonschema==2.22.3
"$folder/venv/bin/python" - <<'PYTHON'
import json
from decimal import Decimal

import fastjsonschema
import jsonschema
import jsonschema_rs

SCHEMA = '{"type": "number", "multipleOf": 0.01}'
amounts = [f"{cents // 100}.{cents % 100:02}" for cents in range(1, 20_000)]
own = jsonschema.Draft202012Validator(json.loads(SCHEMA))
exact = jsonschema.Draft202012Validator(json.loads(SCHEMA, parse_float=Decimal))
other, fast = jsonschema_rs.validator_for(json.loads(SCHEMA)), fastjsonschema.compile(json.loads(SCHEMA))


def fast_takes(amount: float) -> bool:
    try:
        fast(amount)
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


refused = {
    "jsonschema": [text for text in amounts if not own.is_valid(json.loads(text))],
    "jsonschema with Decimal": [text for text in amounts if not exact.is_valid(json.loads(text, parse_float=Decimal))],
    "jsonschema-rs": [text for text in amounts if not other.is_valid(json.loads(text))],
    "fastjsonschema": [text for text in amounts if not fast_takes(json.loads(text))],
}
for name, texts in refused.items():
    print(f"{name} refuses {len(texts)}: {texts[:4]}")
if [len(texts) for texts in refused.values()] != [2729, 0, 0, 0] or refused["jsonschema"][0] != "0.07":
    raise SystemExit("this has changed")
PYTHON
