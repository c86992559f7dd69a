"""A file of one order per line, a batch at a time: memory is bounded whatever the file holds.

Invariant: every line that is not blank arrives once, at its line number; of one that is too long arrive its first
bytes, one more than a line may have, so that its reader knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import count
from typing import BinaryIO, NamedTuple

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import BadInput, Command
from oms_es.processing.intake.worker import BATCH_MAX, Arrival, Parser
from oms_es.schemas.inputs import Input

LINE_BYTES_MAX = 1_048_576
BATCH_BYTES_MAX = 8_388_608
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class BadFile(OmsError):
    """A file that cannot be read, or is not what is expected."""

    code = "bad_file"
    exit_code = Code.USAGE
    status = HTTPStatus.BAD_REQUEST


class LineBatch(NamedTuple):
    """`end`: how many bytes of the file have been read up to here."""

    arrivals: Sequence[Arrival]
    end: int


def batches(file: BinaryIO, batch_max: int = BATCH_MAX) -> Iterator[LineBatch]:
    arrivals: list[Arrival] = []
    bytes_held = end = 0
    lines = _lines(file)
    for number in count(1):
        try:
            line, length = next(lines, (b"", 0))
        except BadFile:
            yield LineBatch(arrivals, end)
            raise
        if not line:
            break
        end += length
        payload = line if len(line) < length else line.removeprefix(BYTE_ORDER_MARK if number == 1 else b"").strip()
        if payload:
            arrivals.append(Arrival(number, payload))
            bytes_held += len(payload)
        if len(arrivals) >= batch_max or bytes_held >= BATCH_BYTES_MAX:
            yield LineBatch(arrivals, end)
            arrivals, bytes_held = [], 0
    yield LineBatch(arrivals, end)


def _lines(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Each line, cut if it is too long, and how many bytes it has in the file."""
    while line := file.readline(LINE_BYTES_MAX + 1):
        part, length = line, len(line)
        while len(part) > LINE_BYTES_MAX and not part.endswith(b"\n"):
            part = file.readline(LINE_BYTES_MAX + 1)
            length += len(part)
        yield line, length


def bounded(parse: Parser) -> Parser:
    """Refuses a line that was cut."""

    def parse_bounded(line: bytes) -> Command:
        if len(line) > LINE_BYTES_MAX:
            raise BadInput(
                Input.LINE_TOO_LONG,
                f"a line has at most {LINE_BYTES_MAX} bytes, and only these were kept; split the order",
            )
        return parse(line)

    return parse_bounded
