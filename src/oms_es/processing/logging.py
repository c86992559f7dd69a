"""One structured line per thing that happened, to stderr: JSON for machines, colours for people."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog

from oms_es.database.reasons import without_rows


def _without_rows(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {name: without_rows(value) if isinstance(value, str) else value for name, value in event.items()}


def configure_logging(style: Literal["json", "console"] = "console", level: str = "info") -> None:
    renderer = structlog.processors.JSONRenderer() if style == "json" else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            _without_rows,
            *([structlog.processors.dict_tracebacks] if style == "json" else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
