"""One structured line per thing that happened, to stderr: JSON for machines, colours for people.

Invariant: no line holds a row of the database or a local variable: either may be an address, or a key.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import structlog

from oms_es.database.reasons import without_rows

TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def _without_rows(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {name: _cleaned(value) for name, value in event.items()}


def _cleaned(value: Any) -> Any:
    """Tracebacks as JSON are lists of dictionaries."""
    if isinstance(value, str):
        return without_rows(value)
    if isinstance(value, dict):
        return {name: _cleaned(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    return value


def configure_logging(style: Literal["json", "console"] = "console", level: str = "info") -> None:
    tracebacks, renderer = (
        (TRACEBACKS, structlog.processors.JSONRenderer())
        if style == "json"
        else (
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            tracebacks,
            _without_rows,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
