"""The files that were made of reports by their schedules, as the read model has them."""

from __future__ import annotations

from collections.abc import Sequence

from oms_es.reports.queries import Connection, Row, readable
from oms_es.schemas.operations.report import Destination

LISTED = 50
LISTED_MAX = 1_000


def listed(connection: Connection, report: str, limit: int) -> Sequence[Row]:
    """Return the newest files, of one report if one is named."""
    query = """
    SELECT * FROM report_files WHERE %(report)s = '' OR report = %(report)s
    ORDER BY position DESC, format LIMIT %(limit)s
    """
    return [readable(row) for row in connection.execute(query, {"report": report, "limit": limit})]


def delivery_of(row: Row, to: Destination) -> str:
    """Return in one word whether the file was put there: yes, waits, or nothing where it is not to be put."""
    if row[f"{to}_at"]:
        return "yes"
    return "waits" if to in row["deliver_to"] else ""
