#!/usr/bin/env bash
# pytest-xdist 3.8.0 with pytest 9.2.0: `--dist loadgroup` does not keep tests of one `xdist_group` in one worker.
#
# Expected, from the documentation of pytest-xdist: tests with the same group mark run in the same worker.
# Seen: they are shared out over the workers as with `--dist load`, without a warning. pytest-xdist writes the group into
# the attribute `_nodeid` of an item, and pytest 9.2 makes `nodeid` of another attribute; with pytest 8.4.2 the same
# tests stay together.
#
# Prints how many workers ran the tests of one group; fails where that is no longer 1 with 8.4.2 and 2 with 9.2.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/test_group.py" <<'PYTHON'
import os
import time

import pytest

pytestmark = pytest.mark.xdist_group("one")


@pytest.mark.parametrize("number", range(8))
def test_which_worker(number):
    time.sleep(0.2)
    with open("workers.txt", "a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + "\n")
PYTHON
workers_with() {
    python3 -m venv "$folder/$1"
    "$folder/$1/bin/pip" install --quiet "pytest==$1" pytest-xdist==3.8.0
    (cd "$folder" && rm -f workers.txt && "$folder/$1/bin/python" -m pytest -q -n 2 --dist loadgroup test_group.py > /dev/null)
    sort -u "$folder/workers.txt" | wc -l
}
before=$(workers_with 8.4.2)
now=$(workers_with 9.2.0)
echo "workers that ran the tests of one group: pytest 8.4.2: $before, pytest 9.2.0: $now"
[ "$before" = 1 ] && [ "$now" = 2 ]
