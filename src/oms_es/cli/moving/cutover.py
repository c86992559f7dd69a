"""`oms-es cutover`: the other system and this one side by side, and the files with which another system takes over."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from oms_es import rendering as display
from oms_es.cli.desk.orders import known_or_bad
from oms_es.cli.desk.then import as_of, position_then
from oms_es.cli.terminal import AtPosition, Json, at_of, moment_of, print_json, say, set_up
from oms_es.exit_codes import Code
from oms_es.processing.intake.input_files import opened_input
from oms_es.reports.cutover import comparing, figures, handing_over
from oms_es.reports.cutover.comparing import Comparison, Difference
from oms_es.reports.cutover.figures import Figures, Key, OrderFigures, StockFigures
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.written_files import make_folder, write_file

SHOWN_MAX = 50
WORDS = {"missing_here": "missing here", "missing_there": "missing there", "differs": "differs"}
F = TypeVar("F", bound=Figures)
Since = Annotated[
    str | None, typer.Option("--since", metavar="MOMENT", help="Expect orders that were placed then or later.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="MOMENT", help="Expect orders that were placed before.")]


def compare(
    *,
    orders: Annotated[
        str | None, typer.Option(metavar="FILE|-", help=f"CSV or JSON lines: {', '.join(OrderFigures.model_fields)}.")
    ] = None,
    stock: Annotated[
        str | None, typer.Option(metavar="FILE|-", help=f"CSV or JSON lines: {', '.join(StockFigures.model_fields)}.")
    ] = None,
    only: Annotated[
        str | None, typer.Option("--figures", metavar="NAMES", help="Compare only these, such as state,total_minor.")
    ] = None,
    only_listed: Annotated[
        bool, typer.Option("--only-listed", help="Do not report what the files leave out, such as ended orders.")
    ] = False,
    since: Since = None,
    until: Until = None,
    at: AtPosition = None,
    json: Json = False,
) -> None:
    """Compare the orders and the stock of another system with those here. Exit code 6: they differ.

    Only the columns that a file has are compared. Orders are expected in the file for the channels that it names, and
    between --since and --until where these are given.
    """
    if orders is None and stock is None:
        raise typer.BadParameter("name a file with --orders or --stock, or both")
    period = [moment_of(text) if text else None for text in (since, until)]
    names = _named(only)
    their_orders = _read(orders, OrderFigures) if orders is not None else None
    their_stock = _read(stock, StockFigures) if stock is not None else None
    found: dict[str, Comparison] = {}
    with as_of(set_up(), figures.TABLES, at_of(at)) as connection:
        if their_orders is not None:
            here = figures.orders(connection, {channel for channel, _ in their_orders} or None)
            expected = _expected(*period, only_listed=only_listed)
            found["orders"] = comparing.compared(their_orders, here, is_expected=expected, names=names)
        if their_stock is not None:
            stocked = figures.stock(connection)
            found["stock"] = comparing.compared(
                their_stock, stocked, is_expected=lambda _: not only_listed, names=names
            )
    if json:
        print_json({what: _as_json(one) for what, one in found.items()})
    else:
        for what, one in found.items():
            _print(what, one)
    if not all(one.is_equal for one in found.values()):
        raise typer.Exit(Code.DIFFERENT)


def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder for the files.")],
    *,
    since: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="Only orders that changed then or later, as since the cutover.")
    ] = None,
    at: AtPosition = None,
) -> None:
    """Write what another system needs to take over: orders.csv, stock.csv and orders.jsonl.

    The CSV files have the columns that `cutover compare` reads. orders.jsonl has each order as the canonical message
    that places it, with what of it was shipped. It holds personal data, and only its owner may read it.
    """
    moment = at_of(at)
    make_folder(directory)
    with as_of(set_up(), figures.TABLES, moment) as connection:
        listed = list(figures.orders(connection, changed_since=moment_of(since) if since else None))
        stock = list(figures.stock(connection))
        position = position_then(connection, moment)
        orders = handing_over.as_orders(connection, Codec(EVENTS).over(connection), listed, position)
        write_file(directory / "orders.jsonl", _counted(orders, len(listed)), private=True)
    write_file(directory / "orders.csv", handing_over.as_csv(OrderFigures, listed))
    write_file(directory / "stock.csv", handing_over.as_csv(StockFigures, stock))
    say(f"written to {directory}: {len(listed):,} orders, {len(stock):,} rows of stock")


def _named(text: str | None) -> frozenset[str] | None:
    """Return the figures to compare, or None for all that the files have."""
    known = (*OrderFigures.compared(), *StockFigures.compared())
    names = None if text is None else frozenset(name.strip() for name in text.split(",") if name.strip())
    for name in sorted(names or ()):
        known_or_bad(name, known, "figure")
    return names


def _read(file: str, kind: type[F]) -> dict[Key, F]:
    with opened_input(file) as source:
        return comparing.read(source.name, source.stream, kind)


def _expected(since: datetime | None, until: datetime | None, *, only_listed: bool) -> Callable[[OrderFigures], bool]:
    """Return a function that says whether the other system should have listed an order that it did not list."""

    def expected(order: OrderFigures) -> bool:
        placed = order.placed_at
        assert placed
        return not only_listed and (since is None or placed >= since) and (until is None or placed < until)

    return expected


def _counted(lines: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Yield the same lines, and show on a terminal how many orders are written."""
    with display.progress_on(display.console_on(sys.stderr)) as progress:
        task = progress.add_task("writing orders", total=count)
        for line in lines:
            yield line
            progress.advance(task)


def _as_json(found: Comparison) -> dict[str, Any]:
    return {
        "listed": found.listed,
        "equal": found.equal,
        **{kind: found.kinds[kind] for kind in ("missing_here", "missing_there", "differs")},
        "fields": dict(found.fields),
        "differences": [{**one._asdict(), "key": "/".join(one.key)} for one in found.differences],
    }


def _print(what: str, found: Comparison) -> None:
    kinds = ", ".join(f"{WORDS[kind]} {count:,}" for kind, count in found.kinds.items())
    typer.echo(f"{what}: {found.listed:,} listed, {found.equal:,} equal{', ' if kinds else ''}{kinds}")
    if not found.differences:
        return
    rows = [_cells(one) for one in found.differences[:SHOWN_MAX]]
    columns = ("order" if what == "orders" else "SKU and location", "it", "figure", "there", "here")
    display.console_on(sys.stdout).print(display.grid("", rows, *columns, numbers=("there", "here")))
    if len(found.differences) > SHOWN_MAX:
        say(f"{SHOWN_MAX} of {len(found.differences):,} differences are shown; more with --json")


def _cells(one: Difference) -> tuple[object, ...]:
    there, here = ("" if value is None else value for value in (one.there, one.here))
    return ("/".join(one.key), WORDS[one.kind], one.field.removesuffix("_minor").replace("_", " "), there, here)


app = typer.Typer(help="Move from another system, or back: compare both, and hand over.", no_args_is_help=True)
app.command("compare")(compare)
app.command("export")(export)
