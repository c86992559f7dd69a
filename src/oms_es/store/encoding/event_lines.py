"""One line in the log of the program per event that was recorded."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from oms_es.kernel import Recorded

log = structlog.get_logger(__name__)


def log_appended(appended: Iterable[Recorded]) -> None:
    """Log one line per event: what was recorded, caused by what, and by whom."""
    for recorded in appended:
        log.debug(
            "recorded",
            fact=type(recorded.event).__name__,
            event_id=str(recorded.event_id),
            caused_by=recorded.caused_by and str(recorded.caused_by),
            stream=recorded.stream,
            version=recorded.version,
            position=recorded.position,
            consumer=recorded.actor,
        )
