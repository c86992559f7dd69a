"""Progress of the demo: a live board on a terminal, otherwise a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import NamedTuple, Self

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.text import Text

DRAWN_SECONDS_MIN = 0.125
"""The shortest time between two redraws: eight a second."""
COUNTED_SECONDS_MIN = 0.5
LINE_SECONDS = 3.0
ALLOCATED = ("awaiting_payment", "fulfilling", "cancelling", "shipped", "completed")
PAID = ("fulfilling", "cancelling", "shipped", "completed")
SHIPPED = ("shipped", "completed")


class Counts(NamedTuple):
    """Counts of orders by progress: each count includes the ones after it up to `delivered`."""

    orders: int = 0
    allocated: int = 0
    paid: int = 0
    shipped: int = 0
    delivered: int = 0
    backordered: int = 0
    cancelled: int = 0
    dead_letters: int = 0
    events: int = 0

    @classmethod
    def of(cls, phases: Mapping[str, int], dead_letters: int, events: int) -> Counts:
        def among(names: tuple[str, ...]) -> int:
            return sum(phases.get(name, 0) for name in names)

        return cls(
            orders=sum(phases.values()),
            allocated=among(ALLOCATED),
            paid=among(PAID),
            shipped=among(SHIPPED),
            delivered=phases.get("completed", 0),
            backordered=phases.get("backordered", 0),
            cancelled=phases.get("cancelled", 0),
            dead_letters=dead_letters,
            events=events,
        )


class Board:
    """The board. It may be called at any rate; it counts and redraws only as often as is useful."""

    def __init__(self, console: Console, count: Callable[[], Counts], total: int) -> None:
        self.console = console
        self.count = count
        self.total = total
        self.counts = Counts()
        self.live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self.began = self._drawn = self._counted = time.monotonic()
        self._events_per_second = 0.0

    def __enter__(self) -> Self:
        self.counts = self.count()
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()

    def look(self, sent: int) -> None:
        now = time.monotonic()
        if now - self._counted >= COUNTED_SECONDS_MIN:
            before, self.counts = self.counts, self.count()
            self._events_per_second = (self.counts.events - before.events) / (now - self._counted)
            self._counted = now
        if now - self._drawn >= (DRAWN_SECONDS_MIN if self.live else LINE_SECONDS):
            self._drawn = now
            self._draw(sent, now - self.began)

    def _draw(self, sent: int, seconds: float) -> None:
        if self.live:
            self.live.update(self._picture(sent, seconds), refresh=True)
            return
        counts = " ".join(f"{name}={count}" for name, count in self.counts._asdict().items())
        self.console.print(f"{seconds:.0f}s sent={sent}/{self.total} {counts} events/s={self._events_per_second:.0f}")

    def _picture(self, sent: int, seconds: float) -> RenderableType:
        figures = {
            **{name.replace("_", " "): f"{count:,}" for name, count in self.counts._asdict().items()},
            "events/s": f"{self._events_per_second:,.0f}",
            "seconds": f"{seconds:.0f}",
        }
        cells = [Text.assemble((f"{value:>9}", _style(name)), f" {name}") for name, value in figures.items()]
        bar = ProgressBar(total=self.total, completed=sent)
        return Panel(Group(Columns(cells, equal=True), bar), title=f"orders in: {sent:,} of {self.total:,}")


def _style(name: str) -> str:
    return {"backordered": "bold yellow", "cancelled": "bold red", "dead letters": "bold red"}.get(name, "bold green")
