"""Logs and metrics switched off while the engine is simulated: no one reads them, and they would take a tenth of a
seed's time."""

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
        """Ignore a measurement."""

    inc = set = observe = remove = ignore


SILENT = Silent()


@contextmanager
def unmeasured() -> Iterator[None]:
    """Switch metrics off as long as the context lasts."""
    for name in FAMILIES:
        setattr(metrics, name, SILENT)
    try:
        yield
    finally:
        for name, family in FAMILIES.items():
            setattr(metrics, name, family)


def quiet(*, for_good: bool = False) -> None:
    """Switch logging off: the engine would log every simulated fault.

    `for_good`: this process does nothing else; therefore every module may keep its first logger.
    """

    def drop(*_: Any) -> Any:
        raise structlog.DropEvent

    structlog.configure(
        processors=[drop],
        wrapper_class=structlog.make_filtering_bound_logger(CRITICAL),
        cache_logger_on_first_use=for_good,
    )
    collect_seldom()
