"""What the engine reports to people and their monitors while it is simulated: nothing.

Logs and metrics go nowhere here, and making them up would take a tenth of a seed's time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from logging import CRITICAL
from typing import Any

import structlog
from prometheus_client.metrics import MetricWrapperBase

from oms_es.processing import metrics
from oms_es.processing.garbage import collect_seldom

FAMILIES = {name: family for name, family in vars(metrics).items() if isinstance(family, MetricWrapperBase)}


class Silent:
    """A metric that measures nothing."""

    def labels(self, *_: Any) -> Silent:
        return self

    def ignore(self, *_: Any) -> None:
        """What was measured is simulated."""

    inc = set = observe = remove = ignore


SILENT = Silent()


@contextmanager
def unmeasured() -> Iterator[None]:
    """The engine of this process measures nothing as long as the context lasts."""
    for name in FAMILIES:
        setattr(metrics, name, SILENT)
    try:
        yield
    finally:
        for name, family in FAMILIES.items():
            setattr(metrics, name, family)


def quiet(*, for_good: bool = False) -> None:
    """The engine logs what is meant to happen here; no one reads it. `for_good`: this process does nothing
    else, so that every module may keep the logger that it is given first."""

    def drop(*_: Any) -> Any:
        raise structlog.DropEvent

    structlog.configure(
        processors=[drop],
        wrapper_class=structlog.make_filtering_bound_logger(CRITICAL),
        cache_logger_on_first_use=for_good,
    )
    collect_seldom()
