"""A CSV file as a file of commands: each row is one command, and the header names its fields.

Invariant: a row that cannot be read ends the file with its line number; what came before is taken, and nothing after
it is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic_core import from_json, to_json

from oms_es.app.bulk_commands import stated
from oms_es.kernel import BadInput, Command
from oms_es.processing.intake.input_files import Input, csv_rows, text_lines
from oms_es.processing.intake.jsonl import BadFile, LineBatch
from oms_es.processing.intake.worker import BATCH_MAX, Arrival
from oms_es.schemas.sent import check_sent

COLUMNS_MAX = 100
Read = Callable[[str], Any]


def batches_of(source: Input, shape: type[Command]) -> Iterator[LineBatch]:
    """Yield the rows as lines of JSON, at the line numbers at which they end. Raise BadFile."""
    lines = text_lines(source.name, source.stream)
    rows = csv_rows(source.name, next(lines, ""), lines)
    _, header = next(rows, (0, None))
    if header is None:
        return
    readers = _readers(source.name, header, shape)
    arrivals: list[Arrival] = []
    try:
        for number, row in rows:
            if any(cell.strip() for cell in row):
                arrivals.append(Arrival(number, _line(source.name, number, row, readers, shape)))
            if len(arrivals) >= BATCH_MAX:
                yield LineBatch(arrivals, source.read())
                arrivals = []
    except BadFile:
        yield LineBatch(arrivals, source.read())
        raise
    yield LineBatch(arrivals, source.read())


def _readers(name: str, header: Sequence[str], shape: type[Command]) -> Mapping[str, Read]:
    """Return how the cells of each column are read. Raise BadFile."""
    columns = [column.strip() for column in header]
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice or len(columns) > COLUMNS_MAX:
        raise BadFile(
            f"{name}: {f'column {twice[0]!r} is there twice' if twice else 'too many columns'}; mend the header"
        )
    fields = stated(shape)
    unknown = [column for column in columns if column not in fields]
    if unknown:
        near = get_close_matches(unknown[0], fields, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the fields are {', '.join(fields)}"
        raise BadFile(f"{name}: {shape.__name__} has no field {unknown[0]!r}; {hint}")
    missing = [field for field, info in fields.items() if info.is_required() and field not in columns]
    if missing:
        raise BadFile(f"{name}: {shape.__name__} needs a column for {', '.join(missing)}")
    declared = shape.model_json_schema()["properties"]
    return {column: str if _is_text(declared[column]) else _value for column in columns}


def _is_text(declared: Mapping[str, Any]) -> bool:
    choices = declared.get("anyOf") or declared.get("oneOf") or [declared]
    return any(choice.get("type", "string") == "string" and "$ref" not in choice for choice in choices)


def _value(cell: str) -> Any:
    """Return a number, a boolean or JSON; anything else stays text, so that the check of the field names
    the mistake."""
    try:
        check_sent(cell)
        return from_json(cell)
    except (ValueError, BadInput):
        return cell


def _line(name: str, number: int, row: Sequence[str], readers: Mapping[str, Read], shape: type[Command]) -> bytes:
    """Return the row as a line of JSON; an empty cell is a field that is left out. Raise BadFile."""
    if len(row) != len(readers):
        raise BadFile(
            f"{name}, line {number}: {len(row)} cells where the header has {len(readers)} columns; mend the row, and "
            "import the file again: what came before it is taken, and changes nothing the second time"
        )
    cells = zip(readers.items(), (cell.strip() for cell in row), strict=True)
    fields = {column: read(cell) for (column, read), cell in cells if cell}
    return to_json({"command": shape.__name__, "fields": fields})
