"""What `mutmut` found: of the rules that were changed, how many a test noticed; per file and in total.

A changed rule that makes the tests run for ever was noticed too. Rules that were not tried yet are counted apart, and
are in no score.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path("mutants/src/oms_es/aggregates")
KILLED = {1, 3}
"""Exit codes of pytest: a test failed, or the tests could not even run."""
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
    """Code that no test reaches survives like code that no test doubts."""
    if exit_code is None:
        return "not_run"
    if exit_code in KILLED:
        return "killed"
    return "timed_out" if exit_code in TIMED_OUT else "survived"


def scores(results: Path) -> Iterator[Score]:
    """One per file that has rules to change, then the total."""
    total: Counter[str] = Counter()
    for path in sorted(results.rglob("*.meta")):
        exit_codes = json.loads(path.read_text())["exit_code_by_key"].values()
        if found := Counter(map(outcome, exit_codes)):
            total += found
            yield Score(str(path.relative_to(results)).removesuffix(".meta"), **found)
    yield Score("total", **total)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object per file on standard output")
    options = parser.parse_args()
    if not RESULTS.is_dir():
        parser.error(f"there are no results in {RESULTS}; run `make mutants` first")
    if options.json:
        for score in scores(RESULTS):
            print(json.dumps({**asdict(score), "percent": score.percent}))
        return
    table = Table("file", "killed", "timed out", "survived", "not run", "score", title="Rules that were changed")
    for column in table.columns[1:]:
        column.justify = "right"
    for score in scores(RESULTS):
        share = "–" if score.percent is None else f"{score.percent} %"
        counts = (score.killed, score.timed_out, score.survived, score.not_run)
        table.add_row(score.file, *map(str, counts), share)
    Console().print(table)


if __name__ == "__main__":
    main()
