"""`make mutants` samples every file, draws the same sample for the same seed, and states its uncertainty."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from bench.mutant_trials import drawn, function_of
from bench.mutants import Score, interval, scores

MUTANTS = [f"rules.{module}.x_f__mutmut_{n}" for module, size in (("a", 70), ("b", 20), ("c", 10)) for n in range(size)]


def test_every_file_has_its_share_of_a_sample() -> None:
    by_module = Counter(mutant.split(".")[1] for mutant in drawn(MUTANTS, 10, 1))
    assert by_module == {"a": 7, "b": 2, "c": 1}
    assert len(set(drawn(MUTANTS, 50, 1))) == 50


def test_a_sample_is_the_same_for_the_same_seed_and_all_are_all() -> None:
    assert drawn(MUTANTS, 10, 1) == drawn(list(reversed(MUTANTS)), 10, 1) != drawn(MUTANTS, 10, 2)
    assert drawn(MUTANTS, 1_000, 1) == MUTANTS


def test_the_function_that_was_changed_is_named_by_its_module() -> None:
    assert function_of("rules.stock.__init__.x_decide__mutmut_12") == "rules.stock.x_decide"


def test_an_interval_is_around_the_share_and_narrower_for_more() -> None:
    assert interval(90, 100) == (82.6, 94.5)
    assert interval(900, 1000) == (88.0, 91.7)
    assert interval(10, 10)[1] == 100.0


def test_what_was_not_tried_is_in_no_score(tmp_path: Path) -> None:
    codes = {"killed": 1, "broken": 3, "for ever": 36, "unnoticed": 0, "unreached": 33, "untried": None}
    (tmp_path / "order.py.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    of_file, total = scores(tmp_path)
    assert of_file == Score("order.py", killed=2, timed_out=1, survived=2, not_run=1)
    assert (total.file, total.percent) == ("total", 60.0)
