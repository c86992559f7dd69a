"""Lines and movements: matched where they are the same, in any order, and a break where they are not.

`OMS_TEST_ORDERS=20000` for a whole month, as `make reconcile-month` has it.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from random import Random

import pytest

from oms_es.matching.propose import Proposal, propose
from oms_es.matching.sides import Agreed, Line, Movement, Rules
from oms_es.schemas.finance.reconciliation import Break, FeeTerm
from statement_month import LAST, RULES, Month, month

ORDERS = int(os.environ.get("OMS_TEST_ORDERS", "400"))
THROUGH = LAST.isoformat()


def line(name: str, amount: int, *references: str, day: str = "2026-01-10", kind: str = "transfer") -> Line:
    return Line(name, "", kind, day, "EUR", amount, 0, references)


def movement(name: str, amount: int, *references: str, day: str = "2026-01-09") -> Movement:
    return Movement(name, day, "EUR", amount, references)


def proposed(lines: list[Line], movements: list[Movement], rules: Rules = Rules()) -> Proposal:  # noqa: B008 - immutable
    return propose(lines, movements, rules, THROUGH)


def conserved(proposal: Proposal, of: Month) -> bool:
    """Return whether every line and movement is in one match, or in one break other than of its fee."""
    matched = Counter(name for match in proposal.matches for name in (*match.lines, *match.movements))
    broken = Counter(name for one in proposal.breaks if one.kind != "fee" for name in (*one.lines, *one.movements))
    return matched + broken == Counter([one.name for one in of.lines] + [one.name for one in of.movements])


@pytest.mark.parametrize("seed", range(3) if ORDERS < 1_000 else [1])
def test_every_planted_break_is_found_and_nothing_else(seed: int) -> None:
    of = month(seed, ORDERS, each=max(5, ORDERS // 400))
    begin = time.perf_counter()
    proposal = propose(of.lines, of.movements, RULES, THROUGH)
    seconds = time.perf_counter() - begin
    assert Counter(one.kind for one in proposal.breaks) == of.planted
    for one in proposal.breaks:
        assert all(name.startswith(f"bad_{one.kind}_") for name in _references_of(one, of))
    assert conserved(proposal, of)
    print(
        f"{len(of.lines)} lines, {len(of.movements)} movements, {of.planted.total()} breaks planted and found, none "
        f"invented, in {seconds:.2f} s: {len(of.lines) / seconds:,.0f} lines/s"
    )


def _references_of(one: Break, of: Month) -> list[str]:
    """Return the references of the break's lines and movements, which say what was planted."""
    ours = {line.name: line.references[0] for line in of.lines}
    theirs = {movement.name: movement.references[0] for movement in of.movements}
    return [*(ours[name] for name in one.lines), *(theirs[name] for name in one.movements)]


def test_the_same_input_in_any_order_gives_the_same_answer() -> None:
    of = month(7, 60, each=3)
    first = propose(of.lines, of.movements, RULES, THROUGH)
    for seed in range(5):
        lines, movements = list(of.lines), list(of.movements)
        Random(seed).shuffle(lines)
        Random(seed).shuffle(movements)
        again = propose(lines, movements, RULES, THROUGH)
        assert again == first


def test_what_is_alone_in_its_amount_and_near_is_matched_and_what_is_not_alone_is_not() -> None:
    alone = proposed([line("1/1", 500)], [movement("capture/1", 500)])
    assert [(one.lines, one.movements, one.confidence) for one in alone.matches] == [(("1/1",), ("capture/1",), 59)]
    two = proposed([line("1/1", 500)], [movement("capture/1", 500), movement("capture/2", 500)])
    assert two.matches == []
    far = proposed([line("1/1", 500)], [movement("capture/1", 500, day="2026-01-01")])
    assert (far.matches, sorted(one.kind for one in far.breaks)) == ([], ["missing_at_provider", "missing_here"])


def test_a_sum_is_found_where_it_is_the_only_one() -> None:
    parts = [movement(f"payout/{n}", amount) for n, amount in enumerate((100, 250, 777))]
    (match,) = proposed([line("1/1", 350)], parts).matches
    assert (match.movements, match.confidence) == (("payout/0", "payout/1"), 40)
    assert proposed([line("1/1", 350)], [*parts, movement("payout/3", 100)]).matches == []


def test_what_goes_out_and_what_comes_in_under_one_reference_are_two_things() -> None:
    lines = [line("1/1", 500, "pi_1"), line("1/2", -200, "pi_1")]
    proposal = proposed(lines, [movement("capture/1", 500, "pi_1"), movement("refund/2", -200, "pi_1")])
    assert [(one.lines, one.movements) for one in proposal.matches] == [
        (("1/1",), ("capture/1",)),
        (("1/2",), ("refund/2",)),
    ]
    assert proposal.breaks == []


def test_a_fee_is_the_one_that_was_agreed_for_its_method_on_its_day() -> None:
    """Each pays 100.00: by card 1.4 % and 0.25 until February, then 1 %; whatever else 2 %."""
    agreed = (
        Agreed("2026-01-01", (FeeTerm(method="card", basis_points=140, fixed_minor=25), FeeTerm(basis_points=200))),
        Agreed("2026-02-01", (FeeTerm(method="card", basis_points=100),)),
    )
    paid = (
        ("a", "card", "2026-01-10", 165),
        ("b", "card", "2026-01-31", 100),
        ("c", "wallet", "2026-01-10", 200),
        ("d", "card", "2026-02-01", 100),
        ("e", "card", "2025-12-31", 999),
        ("f", "wallet", "2026-02-01", 999),
    )
    lines = [Line(f"s/{name}", "", "payment", day, "EUR", 10_000, fee, (name,)) for name, _, day, fee in paid]
    moved = [Movement(f"capture/{name}", day, "EUR", 10_000, (name,), method) for name, method, day, _ in paid]
    found = proposed(lines, moved, Rules(agreed=agreed))
    assert len(found.matches) == len(paid)
    assert [(one.kind, one.lines, one.amount_minor) for one in found.breaks] == [("fee", ("s/b",), 100 - 165)]
    asked = proposed(lines, moved, Rules(fee_basis_points=100, agreed=agreed))
    assert {one.lines[0] for one in asked.breaks} == {"s/a", "s/c", "s/e", "s/f"}, "what is asked goes before"
