"""Every aggregate reads in one order: its invariant, its state, `evolve`, `decide`, and then what these two call.

Files that have only a part of an aggregate, such as `order/state.py`, are not concerned.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import oms_es.aggregates

FOLDER = Path(oms_es.aggregates.__file__).parent


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def functions(module: ast.Module) -> list[str]:
    return [part.name for part in module.body if isinstance(part, ast.FunctionDef)]


def is_whole(path: Path) -> bool:
    return {"evolve", "decide"} <= set(functions(parsed(path)))


WHOLE = [path for path in sorted(FOLDER.rglob("*.py")) if is_whole(path)]


def test_the_aggregates_are_found() -> None:
    assert len(WHOLE) > 15


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_an_aggregate_begins_with_its_invariant(path: Path) -> None:
    assert "Invariant" in (ast.get_docstring(parsed(path)) or "")


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_an_aggregate_has_its_state_then_evolve_then_decide_then_helpers(path: Path) -> None:
    module = parsed(path)
    assert functions(module)[:2] == ["evolve", "decide"], "move other functions below decide"
    evolve = next(part.lineno for part in module.body if getattr(part, "name", "") == "evolve")
    late = [part.name for part in module.body if isinstance(part, ast.ClassDef) and part.lineno > evolve]
    assert late == [], "move the classes of the state above evolve"
