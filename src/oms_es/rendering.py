"""How orders, stock, sales and findings look in a terminal. Each function returns something to print, and prints
nothing.

Texts from outside are shown as plain text: markup and control characters in them have no effect.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import IO, Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from oms_es.app.rebuild import Rebuilt
from oms_es.history.why import Step
from oms_es.schemas.order import Candidate, OrderSourced
from oms_es.schemas.shipment import CarrierChoice
from oms_es.schemas.values.currency import exponent_of
from oms_es.schemas.values.money import apportion
from oms_es.verification.verify import Report

Row = Mapping[str, Any]
COLUMNS_OF_A_FILE = 160
"""The width in characters if there is no terminal."""
BAR_CELLS = 48
INDENT_MAX = 24
CHANNEL_LOOKS = (("█", "cyan"), ("▓", "magenta"), ("▒", "yellow"), ("░", "green"))
"""The channels differ in their shade, too, for terminals without colours."""


def console_on(file: IO[str]) -> Console:
    width = None if file.isatty() else COLUMNS_OF_A_FILE
    return Console(file=file, width=width, highlight=False, markup=False, emoji=False)


def plain(value: object) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))


def plain_lines(text: str) -> Text:
    return Text("\n".join(map(plain, text.splitlines())))


def money(minor: int, currency: str) -> str:
    exponent = exponent_of(currency)
    return f"{Decimal(minor).scaleb(-exponent):,.{exponent}f}"


def moment(at: datetime | None) -> str:
    """Return a time in UTC, with its date; empty for None."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else ""


def grid(title: str, rows: Iterable[Sequence[object]], *columns: str, numbers: Iterable[str] = ()) -> Table:
    """Return a table; the columns in `numbers` are aligned to the right."""
    right = set(numbers)
    table = Table(title=plain(title), title_justify="left", box=box.SIMPLE_HEAD, title_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    return table


def story(order: Row, timeline: Sequence[Row]) -> RenderableType:
    """Return an order's events in order, each indented below the event that it follows from."""
    rows = [
        (
            row["position"],
            f"{moment(row['recorded_at'])}.{row['recorded_at'].microsecond // 1000:03}",
            " " * min(depth, INDENT_MAX) + row["event"],
            row["actor"],
            _with_short_names(row, order["order_id"]),
        )
        for row, depth in zip(timeline, depths(timeline), strict=True)
    ]
    title = f"Order {order['channel']}/{order['external_id']} ({order['order_id']}): {order['phase']}"
    return grid(title, rows, "position", "time (UTC)", "event", "by", "what", numbers=["position"])


def _with_short_names(row: Row, order_id: object) -> str:
    """Return the summary with parcels by their number in the order."""
    summary: str = row["summary"]
    return summary.replace(f"{order_id}.", "parcel ") if "Shipment" in row["event"] else summary


def depths(timeline: Iterable[Row]) -> list[int]:
    """Return for each event the number of its causes in this timeline."""
    depth_of: dict[Any, int] = {}
    for row in timeline:
        depth_of[row["event_id"]] = depth_of.get(row["caused_by"], -1) + 1
    return list(depth_of.values())


def facts(pairs: Iterable[tuple[str, object]]) -> Table:
    """Return a table of names and values."""
    table = Table.grid(padding=(0, 2))
    for name, value in pairs:
        table.add_row(Text(plain(name), style="dim"), Text(plain(value)))
    return table


def fact(value: object) -> str:
    """Return one value of a row as people write it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return moment(value)
        case Mapping():
            return ", ".join(f"{name}: {fact(one)}" for name, one in value.items() if one not in (None, ""))
        case list() | tuple():
            return ", ".join(map(fact, value))
    return str(value)


def happened(title: str, timeline: Sequence[Row]) -> Table:
    """Return the events of one stream, in order."""
    rows = [(moment(row["recorded_at"]), row["event"], row["actor"], row["summary"]) for row in timeline]
    return grid(title, rows, "time (UTC)", "event", "by", "what")


def order_lines(order: Row, exceptions: Sequence[Row], waits: Sequence[str] = ()) -> RenderableType:
    shown = [
        ("phase", order["phase"] + (f" ({order['reason']})" if order["reason"] else "")),
        ("total", f"{money(order['total_minor'], order['currency'])} {order['currency']}"),
        ("placed", f"{order['placed_at']:%Y-%m-%d %H:%M:%S %Z}"),
        ("units", f"{order['units']} in {order['lines']} line{'' if order['lines'] == 1 else 's'}"),
        ("shipments", f"{order['shipments']}: {order['dispatched']} dispatched, {order['delivered']} delivered"),
        *(("waits for", sentence) for sentence in waits),
        *((f"open: {row['kind']}", row["detail"]) for row in exceptions),
    ]
    return facts(shown)


def why(order: str, steps: Sequence[Step]) -> RenderableType:
    """Return the events that explain where an order ships from and, for each decision, the compared plans."""
    shown = [
        (step.position, moment(step.recorded_at), type(step.event).__name__, step.actor, step.what) for step in steps
    ]
    story_table = grid(f"How order {order} was sourced", shown, "position", "time (UTC)", "event", "by", "what")
    weighed = [_candidates(step.event) for step in steps if isinstance(step.event, OrderSourced)]
    return Group(story_table, *(table for table in weighed if table))


def _candidates(sourced: OrderSourced) -> Table | None:
    if not sourced.candidates:
        return None
    numbers = ("units", *(name.replace("_", " ") for name in MEASURES), "score")
    rows = [_weighed(rank, candidate) for rank, candidate in enumerate(sourced.candidates)]
    title = f"Attempt {sourced.attempt}: compared by rules version {sourced.rule_version}, the first was chosen"
    return grid(title, rows, "", "from", *numbers, numbers=numbers)


MEASURES = ("shipments", "priority", "cost_minor", "distance_km", "late_days", "over_capacity")


def _weighed(rank: int, candidate: Candidate) -> Sequence[object]:
    measures = [getattr(candidate, name) for name in MEASURES]
    score = ", ".join(map(str, candidate.score))
    return ("" if rank else "*", ", ".join(candidate.locations), candidate.covers_units, *measures, score)


def stock_levels(
    sku: str, levels: Iterable[Row], places: Sequence[Row], numbered: Mapping[str, Sequence[str]]
) -> RenderableType:
    """Return the stock levels of a SKU and, if bins, lots or conditions are distinguished, the places of its units."""
    names = (
        *("on_hand", "reserved", "safety_stock", "atp", "damaged", "quarantine", "inbound"),
        *("received", "shipped", "short"),
    )
    lots: dict[str, set[str]] = defaultdict(set)
    for place in places:
        lots[place["location"]].update(filter(None, [place["lot"]]))
    rows = [
        (at := level["location"], *(level[name] for name in names), len(lots[at]), len(numbered.get(at, ())))
        for level in levels
    ]
    columns = ("location", *(name.replace("_", " ") for name in names), "lots", "serials")
    table = grid(f"Stock of {sku}", rows, *columns, numbers=columns[1:])
    distinguished = any(place["bin"] or place["lot"] for place in places)
    return Group(table, stock_places(places)) if distinguished else table


def stock_places(places: Iterable[Row]) -> Table:
    rows = [
        (
            place["location"],
            place["bin"],
            place["lot"],
            f"{place['lot_expires_at']:%Y-%m-%d}" if place["lot_expires_at"] else "",
            place["condition"],
            place["quantity"],
        )
        for place in places
    ]
    return grid("Where it is", rows, "location", "bin", "lot", "expires", "condition", "units", numbers=("units",))


def quote(choice: CarrierChoice) -> Table:
    """Return the candidates, the best first; those that cannot take the shipment are last, with the reason."""
    rows = [
        (
            candidate.carrier,
            candidate.service,
            "" if candidate.reason else money(candidate.price_minor, choice.currency),
            "" if candidate.reason else candidate.transit_days,
            candidate.reason or ("" if candidate.in_time else "late"),
            ", ".join(f"{part.name} {money(part.amount_minor, choice.currency)}" for part in candidate.price_parts),
        )
        for candidate in choice.candidates
    ]
    title = f"{choice.carrier} {choice.service} would be chosen" if choice.carrier else "no carrier can take it"
    return grid(title, rows, "carrier", "service", "price", "days", "why not", "made of", numbers=("price", "days"))


def pick_advice(sku: str, location: str, places: Iterable[Row]) -> Table:
    """Return the places in the order of picking; lots without an expiry date come last."""
    rows = [
        (place["bin"] or "-", place["lot"] or "-", _day(place["lot_expires_at"]), place["quantity"]) for place in places
    ]
    return grid(f"Pick {sku} at {location}", rows, "bin", "lot", "expires", "units", numbers=["units"])


def running_low(requests: Iterable[Row]) -> Table:
    names = ("atp", "inbound", "reorder_point", "quantity")
    rows = [
        (r["sku"], r["location"], r["request_id"], r["status"], *(r[name] for name in names), _day(r["promised_at"]))
        for r in requests
    ]
    columns = ("sku", "location", "request", "status", "atp", "inbound", "reorder point", "wanted", "promised")
    return grid("Running low", rows, *columns, numbers=columns[4:8])


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "-"


def daily_sales(rows: Sequence[Row]) -> RenderableType:
    by_currency: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_currency[row["currency"]].append(row)
    return Group(*(_sales_in(currency, of_it) for currency, of_it in sorted(by_currency.items())))


def _sales_in(currency: str, rows: Sequence[Row]) -> RenderableType:
    channels = sorted({row["channel"] for row in rows})
    looks = {channel: CHANNEL_LOOKS[i % len(CHANNEL_LOOKS)] for i, channel in enumerate(channels)}
    days: dict[Any, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        days[row["day"]][row["channel"]] = row
    most = max((_sum(day.values(), "gross_minor") for day in days.values()), default=0)
    legend = Text.assemble(
        *((f"{glyph} {plain(channel)}  ", colour) for channel, (glyph, colour) in looks.items()), overflow="fold"
    )
    lines = [
        (
            f"{day:%a %Y-%m-%d}",
            _sum(of_day.values(), "orders"),
            money(_sum(of_day.values(), "gross_minor"), currency),
            money(_sum(of_day.values(), "cancelled_minor"), currency),
            _bar([(of_day[c]["gross_minor"], looks[c]) for c in channels if c in of_day], most),
        )
        for day, of_day in sorted(days.items())
    ]
    numbers = ("orders", currency, "cancelled")
    return Group(grid(f"Sales per day, {currency}", lines, "day", *numbers, "by channel", numbers=numbers), legend)


def _sum(rows: Iterable[Row], name: str) -> int:
    return sum(row[name] for row in rows)


def _bar(parts: Sequence[tuple[int, tuple[str, str]]], most: int) -> Text:
    amounts = [amount for amount, _ in parts]
    cells = apportion(round(BAR_CELLS * sum(amounts) / most), amounts) if most else [0] * len(parts)
    return Text.assemble(
        *((glyph * n, colour) for n, (_, (glyph, colour)) in zip(cells, parts, strict=True)), no_wrap=True
    )


def findings(report: Report, shown_max: int) -> RenderableType:
    """Return the checks of a verification with the number of failures, and the first differences of each."""
    rows = [(_verdict(check.failed), check.name, f"{check.checked:,}", f"{check.failed:,}") for check in report.checks]
    title = f"Verified {report.streams:,} streams up to position {report.position:,}"
    table = grid(title, rows, "", "check", "checked", "failed", numbers=("checked", "failed"))
    differences = [
        Text(f"{plain(check.name)}: {plain(difference)}", style="red")
        for check in report.checks
        for difference in check.differences[:shown_max]
    ]
    notes = [Text(f"{plain(check.name)}: {plain(note)}") for check in report.checks for note in check.notes[:shown_max]]
    return Group(table, *differences, *notes)


def rebuilt(read_models: Sequence[Rebuilt]) -> RenderableType:
    rows = [
        (
            one.projection,
            f"{one.rows:,}",
            f"{one.written:,}",
            f"{one.removed:,}",
            f"{one.events:,}",
            f"{one.events / one.seconds:,.0f}",
            f"{one.seconds:.2f}",
            f"{one.waited_seconds:.2f}",
        )
        for one in read_models
    ]
    columns = ("read model", "rows", "written", "removed", "events", "events/s", "seconds", "writers waited")
    return grid("Rebuilt from history", rows, *columns, numbers=columns[1:])


def _verdict(failed: int) -> Text:
    return Text("FAILED", style="bold red") if failed else Text("ok", style="green")


def progress_on(console: Console, *, in_bytes: bool = False) -> Progress:
    """Return a progress bar, which is visible on a terminal only."""
    amount = DownloadColumn() if in_bytes else TaskProgressColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def waiting(file: IO[str], what: str) -> Iterator[None]:
    """Show on a terminal what is waited for, and for how long; nothing elsewhere."""
    console = console_on(file)
    columns = (TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(what, total=None)
        yield


def history_progress(progress: Progress, what: str) -> Callable[[int, int], None]:
    task = progress.add_task(what, total=None)
    return lambda reached, last: progress.update(task, completed=reached, total=last)
