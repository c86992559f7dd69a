"""Changes the rules of the aggregates one by one: how many of the changes make a test fail, per file and in total?

A changed rule that makes the tests run for ever counts as noticed, too. Rules that were not tried are counted
separately, and are in no score. There are thousands; therefore a sample of every file is tried, drawn with a seed,
unless all are requested.
"""

from __future__ import annotations

import argparse
import json
import sys

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path

from bench.mutant_trials import changed, drawn, tried
from rich.console import Console
from rich.table import Table

RESULTS = Path("mutants/src/oms_es/aggregates")
SAMPLE = 1_000
SEED = 1
KILLED = {1, 3}
"""Exit codes of pytest: a test failed, or the tests could not run."""
TIMED_OUT = {24, -24, 36, 152, 255}


@dataclass(frozen=True)
class Score:
    file: str
    killed: int = 0
    timed_out: int = 0
    survived: int = 0
    not_run: int = 0

    @property
    def percent(self) -> float | None:
        run = self.killed + self.timed_out + self.survived
        return round(100 * (self.killed + self.timed_out) / run, 1) if run else None


def outcome(exit_code: int | None) -> str:
    """Return the outcome by exit code; a change that no test reaches counts as survived."""
    if exit_code is None:
        return "not_run"
    if exit_code in KILLED:
        return "killed"
    return "timed_out" if exit_code in TIMED_OUT else "survived"


def scores(results: Path) -> Iterator[Score]:
    """Yield the score of each file that has rules to change, then the total."""
    total: Counter[str] = Counter()
    for path in sorted(results.rglob("*.meta")):
        exit_codes = json.loads(path.read_text())["exit_code_by_key"].values()
        if found := Counter(map(outcome, exit_codes)):
            total += found
            yield Score(str(path.relative_to(results)).removesuffix(".meta"), **found)
    yield Score("total", **total)


def interval(noticed: int, tried: int) -> tuple[float, float]:
    """Return Wilson's interval of 95 % for the share of noticed changes, in percent."""
    z = 1.96
    share = noticed / tried
    middle = (share + z * z / (2 * tried)) / (1 + z * z / tried)
    reach = z / (1 + z * z / tried) * sqrt(share * (1 - share) / tried + z * z / (4 * tried * tried))
    return round(100 * (middle - reach), 1), round(100 * (middle + reach), 1)


def sampled(text: str) -> int:
    return sys.maxsize if text == "all" else int(text)


def try_some(options: argparse.Namespace) -> str:
    found = dict(changed(options.patterns, options.children))
    if options.survivors:
        found = {mutant: verdict for mutant, verdict in found.items() if outcome(verdict) == "survived"}
    chosen = drawn(list(found), options.sample, options.seed)
    sample = len(chosen) < len(found)
    count = tried(chosen, options.children, only=sample)
    return f"{count} of {len(found)} were tried" + (f", drawn with seed {options.seed}" if sample else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patterns", nargs="*", help="names of changed rules, like 'oms_es.aggregates.returns.rma*'")
    parser.add_argument("--sample", type=sampled, default=SAMPLE, help="how many are tried, a number or `all`")
    parser.add_argument("--seed", type=int, default=SEED, help="which are drawn")
    parser.add_argument("--children", type=int, default=2, help="how many at a time")
    parser.add_argument("--survivors", action="store_true", help="only those that no test noticed the last time")
    parser.add_argument("--print", action="store_true", help="try none: what the last run found")
    parser.add_argument("--json", action="store_true", help="one object per file on standard output")
    options = parser.parse_args()
    title = "Rules that were changed" if options.print else try_some(options)
    found = list(scores(RESULTS))
    if options.json:
        for score in found:
            print(json.dumps({**asdict(score), "percent": score.percent}))
        return
    table = Table("file", "killed", "timed out", "survived", "not tried", "score", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for score in found:
        share = "–" if score.percent is None else f"{score.percent} %"
        counts = (score.killed, score.timed_out, score.survived, score.not_run)
        table.add_row(score.file, *map(str, counts), share)
    Console().print(table)
    total = found[-1]
    if total.not_run and total.percent is not None and not options.patterns:
        low, high = interval(total.killed + total.timed_out, total.killed + total.timed_out + total.survived)
        print(f"of all: {low} to {high} % (95 %)")


if __name__ == "__main__":
    main()
