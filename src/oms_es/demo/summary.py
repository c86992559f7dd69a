"""The demo's last screen: the outcome, one order's timeline, and the verification. It fits one terminal page.

Invariant: no failed check is left out, however long the page gets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from oms_es import rendering as display
from oms_es.demo.protocol.settlement import Account
from oms_es.verification.verify import Report

Row = Mapping[str, Any]
STEPS_MAX = 24
"""Lines of the timeline of one order; `--all` has every step."""
SAID_TWICE = frozenset(
    {"OrderLineAllocated", "OrderShipmentDispatched", "OrderShipmentDelivered", "ShipmentMilestoneReached"}
)
"""Events that repeat what another stream recorded a moment earlier."""
ATTEMPT = re.compile(r",? ?attempt \d+")
PARCEL = re.compile(r"^shipment-(?P<order>.+)\.(?P<number>\d+)$")


class Step(NamedTuple):
    """A line of the timeline. `times`: how often the same was recorded; `at` is the last time."""

    at: str
    about: str
    what: str
    times: int


def steps_of(order_id: str, timeline: Sequence[Row]) -> list[Step]:
    """Return the timeline for a person: each step once, where it was recorded last, and parcels by their number in the
    order."""
    found: dict[tuple[str, str, str], Step] = {}
    for row in timeline:
        if row["event"] in SAID_TWICE:
            continue
        about = _about(row["stream"])
        what = ATTEMPT.sub("", row["summary"].replace(f"{order_id}.", "parcel "))
        key = (about, row["event"], what)
        before = found.pop(key, None)
        found[key] = Step(f"{row['recorded_at']:%H:%M:%S}", about, what, before.times + 1 if before else 1)
    return list(found.values())


def _about(stream: str) -> str:
    if parcel := PARCEL.match(stream):
        return f"parcel {parcel['number']}"
    return stream.partition("-")[0]


def headline(counts: Mapping[str, int], sent: int, seconds: float, refused: int) -> Text:
    """Return a sentence on the outcome of the orders."""
    ends = [f"{counts[name]:,} {name.replace('_', ' ')}" for name in ("delivered", "backordered", "cancelled")]
    rate = f" in {seconds:.1f} s, {sent / seconds:,.0f} a second to their very end" if sent and seconds else ""
    lines = [
        f"{counts['orders']:,} orders{rate}: {', '.join(ends)}.",
        f"{counts['events']:,} events, {counts['dead_letters']:,} dead letters.",
        f"{refused:,} cancellations and returns came too late, and were refused.",
    ]
    if sent > counts["orders"]:
        lines.append(f"{sent:,} orders were sent: some of them twice, which makes no second order.")
    return Text("\n".join(lines))


def story(order: Row, timeline: Sequence[Row]) -> RenderableType:
    steps = steps_of(str(order["order_id"]), timeline)
    called = display.plain(f"{order['channel']}/{order['external_id']}")
    title = Text(f"\nOrder {called}: {order['phase']}", "bold")
    column = Table.grid(padding=(0, 2))
    for step in _page(steps):
        times = f" ({step.times} times)" if step.times > 1 else ""
        column.add_row(step.at, step.about, Text(display.plain(step.what) + times, overflow="ellipsis", no_wrap=True))
    return Group(title, column)


def _page(steps: Sequence[Step]) -> Iterator[Step]:
    """Yield the beginning and the end of a long timeline."""
    if len(steps) <= STEPS_MAX:
        yield from steps
        return
    half = STEPS_MAX // 2
    yield from steps[:half]
    yield Step("", "", f"… {len(steps) - STEPS_MAX + 1} more; --all lists them", 1)
    yield from steps[half + 1 - STEPS_MAX :]


def verified(report: Report, shown_max: int) -> RenderableType:
    """Return one line if every check passed; failed checks are shown with their differences."""
    checked = sum(check.checked for check in report.checks)
    where = f"over {report.position:,} events in {report.streams:,} streams"
    failed = tuple(check for check in report.checks if check.failed)
    line = f"\nVerified: {len(report.checks)} checks, {checked:,} comparisons {where}: "
    if not failed:
        return Text.assemble(line, ("all passed", "green"), "; --all lists them.")
    only = report._replace(checks=failed)
    return Group(Text(f"{line}{len(failed)} failed."), display.findings(only, shown_max))


def reconciled(protocols: Mapping[str, Any], accounts: Sequence[Account]) -> Text:
    """Return a line for each account: its bill compared with what moved here."""
    asked = ", ".join(f"{name} {count:,}" for name, count in protocols["requests"].items())
    lines = [
        f"\nOver HTTP: {asked} requests, {protocols['mishaps']:,} with a mishap; {protocols['reports']:,} reports."
    ]
    for one in accounts:
        breaks = ", ".join(kind for kind, _ in one.found) or "none"
        planted = "as planted" if one.agrees else f"planted were {', '.join(kind for kind, _ in one.planted) or 'none'}"
        lines.append(f"{one.account}: {one.lines:,} lines, {one.matched:,} matched; breaks: {breaks} ({planted}).")
    return Text("\n".join(lines))
