"""What events say is read in one way, wherever it is: in the log's row, or in a file of archived events."""

from __future__ import annotations

import re

from repository import ROOT

SOURCE = ROOT / "src/oms_es"
QUERIES = re.compile(r"(FROM|JOIN) (\{EVENTS\}|oms_events)|Identifier\(EVENTS\)|\{STORED\}")
READS = re.compile(r"\b(whole|event_row|whole_if_there)\(")
BRINGS_NO_BYTES = {
    "app/archiving/space.py": "writes the table again",
    "app/invoicing/kept.py": "positions",
    "app/privacy/encrypting.py": "positions; it reads events by `encrypted_later.page`",
    "http/reading/pages.py": "versions",
    "http/reading/positions.py": "positions",
    "reports/names.py": "whether there is one",
    "reports/operations/readers.py": "positions and types",
    "reports/operations/waiting.py": "positions",
    "reports/queries.py": "types",
    "store/archive/tables.py": "the rows as they are, for what archives and restores",
    "store/documents/table.py": "whether there is one",
    "store/sealing/seals.py": "digests of what is not sealed yet, and so not archived",
    "verification/document_checks.py": "streams",
}
"""What each of these queries of the log is for."""


def test_whatever_queries_the_log_for_what_events_say_reads_archived_ones() -> None:
    sources = {path.relative_to(SOURCE).as_posix(): path.read_text() for path in SOURCE.rglob("*.py")}
    asking = {path for path, text in sources.items() if QUERIES.search(text)}
    assert len(asking) > 30
    assert {path for path in asking if not READS.search(sources[path])} == BRINGS_NO_BYTES.keys()


def test_no_bytes_of_a_row_are_taken_as_they_are() -> None:
    """`bytes(row["state"])` of a row of the log stands inside `whole(…)`; snapshots have bytes of their own."""
    taken = re.compile(r'(?<!whole\()(?<!is_archived\()bytes\((\w+\["state"\]|state)\)')
    found = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if taken.search(path.read_text())}
    assert found == {"store/recorder.py", "store/archive/tables.py", "verification/kept_checks.py"}
