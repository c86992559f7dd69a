"""The formats of a report, each as the bytes of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO

from pydantic_core import to_json

from oms_es.reports.figures import document, workbook, writing
from oms_es.reports.figures.answering import Answer
from oms_es.reports.querying.found import Found, write_parquet
from oms_es.schemas.operations.report import Format


def as_json(answer: Answer) -> bytes:
    return to_json(answer.as_json()) + b"\n"


def as_parquet(answer: Answer) -> bytes:
    """Return the answer as Parquet. Raise NoArrow if pyarrow is not installed."""
    out = BytesIO()
    heads = [writing.header(column) for column in answer.columns]
    write_parquet(Found(heads, answer.rows, more=False), out)
    return out.getvalue()


MAKERS: Mapping[Format, Callable[[Answer], bytes]] = {
    "csv": lambda answer: writing.as_csv(answer).encode(),
    "json": as_json,
    "html": lambda answer: writing.as_html(answer).encode(),
    "xlsx": workbook.as_xlsx,
    "pdf": document.as_pdf,
    "parquet": as_parquet,
}

MEDIA_TYPES: Mapping[Format, str] = {
    "csv": "text/csv",
    "json": "application/json",
    "html": "text/html",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
    "parquet": "application/vnd.apache.parquet",
}
"""As IANA registers them."""
