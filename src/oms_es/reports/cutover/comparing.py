"""Compares two systems: which orders or stock only one of them has, and which figures differ.

Invariant: every key of both sides is judged once, and only figures that the other system has given are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, BinaryIO, Literal, NamedTuple, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from oms_es.kernel import BadInput
from oms_es.processing.intake.input_files import csv_rows, text_lines
from oms_es.processing.intake.jsonl import BadFile
from oms_es.reports.cutover.figures import Figures, Key
from oms_es.schemas.problems import problems
from oms_es.schemas.sent import check_sent

ROWS_MAX = 1_000_000
"""Maximum number of rows of a file; the rows are held in memory."""
DIFFERENCES_MAX = 10_000
"""Maximum number of differences that are kept in detail; all differences are counted."""
Kind = Literal["missing_here", "missing_there", "differs"]
F = TypeVar("F", bound=Figures)


class Difference(NamedTuple):
    """What differs between the two systems under one key.

    `field` is empty if one system does not have the key at all.
    """

    key: Key
    kind: Kind
    field: str = ""
    there: Any = None
    here: Any = None


@dataclass
class Comparison:
    """Counts and details of what differs. `fields` counts, for each figure, the keys whose figure differs."""

    listed: int = 0
    equal: int = 0
    kinds: Counter[Kind] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        return not self.kinds

    def note(self, found: list[Difference]) -> None:
        """Add the differences that one key has."""
        if not found:
            self.equal += 1
            return
        self.kinds[found[0].kind] += 1
        self.fields.update(one.field for one in found if one.field)
        self.differences += found[: DIFFERENCES_MAX - len(self.differences)]


def compared(
    there: Mapping[Key, F],
    here: Iterable[F],
    *,
    is_expected: Callable[[F], bool],
    names: Collection[str] | None = None,
) -> Comparison:
    """Return the comparison of both systems.

    `is_expected` returns whether the other system should have listed a row that only this system has. `names` are the
    figures to compare; None compares all.
    """
    found = Comparison(listed=len(there))
    unseen = dict(there)
    for ours in here:
        theirs = unseen.pop(ours.key, None)
        if theirs is not None:
            found.note([one for one in _differences(theirs, ours) if names is None or one.field in names])
        elif is_expected(ours) and not ours.is_nothing():
            found.note([Difference(ours.key, "missing_there")])
    for theirs in unseen.values():
        found.note([] if theirs.is_nothing() else [Difference(theirs.key, "missing_here")])
    return found


def _differences(theirs: Figures, ours: Figures) -> Iterator[Difference]:
    for name in theirs.compared():
        there, here = getattr(theirs, name), getattr(ours, name)
        if there is not None and there != here:
            yield Difference(theirs.key, "differs", name, there, here)


def read(name: str, stream: BinaryIO, kind: type[F]) -> dict[Key, F]:
    """Return the rows of a file by key: CSV with a header, or one JSON object per line. Raise BadFile if a row is not
    valid.
    """
    found: dict[Key, F] = {}
    lines: dict[Key, int] = {}
    for number, fields in _fields(name, stream, kind):
        try:
            one = kind.model_validate(fields)
        except ValidationError as error:
            raise BadFile(
                f"{name}, line {number}: {problems(error, whole='row')}; correct it and compare again"
            ) from None
        if one.key in found:
            raise BadFile(
                f"{name}, line {number}: {'/'.join(one.key)} is on line {lines[one.key]}, too; list each once"
            )
        if len(found) >= ROWS_MAX:
            raise BadFile(f"{name} has more than {ROWS_MAX:,} rows; compare it in parts, such as one per channel")
        found[one.key], lines[one.key] = one, number
    return found


def _fields(name: str, stream: BinaryIO, kind: type[Figures]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    lines = text_lines(name, stream)
    first = next(lines, "")
    if first.lstrip().startswith("{"):
        for number, line in enumerate(chain([first], lines), 1):
            if line.strip():
                yield number, _object(name, number, line)
        return
    rows = csv_rows(name, first, lines)
    _, columns = next(rows, (0, ()))
    header = [column.strip() for column in columns]
    _require_columns(name, header, kind)
    for number, row in rows:
        if row and len(row) != len(header):
            raise BadFile(f"{name}, line {number}: {len(row)} cells where the header has {len(header)}; mend the row")
        if row:
            yield number, {column: cell for column, cell in zip(header, row, strict=True) if cell.strip()}


def _object(name: str, number: int, line: str) -> Mapping[str, Any]:
    try:
        check_sent(line)
        found = from_json(line)
    except BadInput as error:
        raise BadFile(f"{name}, line {number}: {error.detail}") from None
    except ValueError as error:
        raise BadFile(f"{name}, line {number}: {error}; write one JSON object per line") from None
    if not isinstance(found, dict):
        raise BadFile(f"{name}, line {number}: it is no JSON object; write one per line")
    return found


def _require_columns(name: str, header: list[str], kind: type[Figures]) -> None:
    twice = next((column for column in header if header.count(column) > 1), None)
    if twice is not None:
        raise BadFile(f"{name}: column {twice!r} is there twice; mend the header")
    if missing := [column for column in kind.KEY if column not in header]:
        raise BadFile(f"{name} has no column {missing[0]}; it needs {' and '.join(kind.KEY)}")
    if not set(header) & set(kind.compared()):
        raise BadFile(f"{name} has no figure to compare; it may have {', '.join(kind.compared())}")
