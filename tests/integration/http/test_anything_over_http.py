"""schemathesis sends a real server requests that the published document allows, and requests that it does not, along
its links.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from http_server import Served
from repository import ROOT

EVERYTHING = os.environ.get("OMS_TEST_HTTP") == "every"
QUICK = ("--phases", "examples,fuzzing,stateful", "--max-examples", "1", "--seed", "1")
QUICK_TAGS = ("--include-tag", "orders")
LONG = ("--max-examples", "20", "--seed", str(int(time.time())))
STREAMS = ("--exclude-path-regex", "/streams/")
"""An answer without an end is no answer to the tool; streams have tests of their own."""
SECONDS_MAX = 3_600 if EVERYTHING else 240
CONFIGURATION = """
hooks = "{hooks}"
[checks]
positive_data_acceptance.enabled = false # the hooks have it, with the reasons that no schema can foretell
negative_data_rejection.enabled = false # the same, with batches
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503"] # no engine runs here that works on orders
"""


def test_whatever_the_document_allows_is_answered_as_it_says(served: Served, tmp_path: Path) -> None:
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION.format(hooks=ROOT / "tests" / "support" / "anything_over_http.py"))
    asked = LONG if EVERYTHING else (*QUICK, *QUICK_TAGS)
    command = [str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(configuration), "run"]
    command += [f"{served.url}/openapi.json", "-H", f"Authorization: Bearer {served.tokens['system']}"]
    command += ["--no-color", "--request-timeout", "20", "--continue-on-failure", *STREAMS, *asked]
    ran = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=SECONDS_MAX, env={**os.environ}
    )
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2_000:]
    assert " 0 generated" not in ran.stdout
    assert "Stateful" in ran.stdout
