"""Files that a person gives: opened, unpacked, and looked at before anything of them is taken.

Invariant: what is read is bounded however much a file unpacks to; a file that is not what is expected is refused in one
sentence, before the database is asked for anything.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pydantic_core import from_json

from oms_es.kernel import BadInput, Skipped
from oms_es.processing.intake.jsonl import LINE_BYTES_MAX, BadFile, LineBatch, batches
from oms_es.processing.intake.worker import Arrival, Parser, understood

STDIN = "-"
TRIED_MAX = 100
"""Lines at the beginning of a file that are tried before any is taken."""
MAGIC_BYTES = 6
GZIP = b"\x1f\x8b"
UNREAD = {
    b"PK\x03\x04": ("a zip archive", "unpack it"),
    b"BZh": ("compressed by bzip2", "unpack it, or use gzip"),
    b"\xfd7zXZ\x00": ("compressed by xz", "unpack it, or use gzip"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "unpack it, or use gzip"),
    b"\xff\xfe": ("UTF-16", "write it as UTF-8"),
    b"\xfe\xff": ("UTF-16", "write it as UTF-8"),
}
"""What a file may begin with that is not read here: what it is, and what to do."""
DELIMITERS = ",;\t"
"""Characters that may separate the cells of a table."""
ANYWAY = "if they should be kept as dead letters, say --anyway"


class Input(NamedTuple):
    """`read`: how many bytes of the file itself are read, of `size` where that is known."""

    name: str
    stream: BinaryIO
    size: int | None
    read: Callable[[], int]


@contextmanager
def opened_input(file: str) -> Iterator[Input]:
    """A file, or standard input for `-`; what is packed by gzip is unpacked as it is read. Raises BadFile."""
    if file == STDIN:
        if sys.stdin is None:
            raise BadFile("standard input is closed; give the name of a file, or pipe the lines in")
        if sys.stdin.isatty():
            sys.stderr.write("reading from the terminal, a line each; Ctrl-D ends it\n")
        yield _unpacked("stdin", sys.stdin.buffer, None)
        return
    path = Path(file)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise BadFile(f"{file} cannot be read: {error.strerror}; give the name of a file, or - for stdin") from error
    with stream:
        yield _unpacked(path.name, stream, path.stat().st_size if path.is_file() else None)


def _unpacked(name: str, stream: BinaryIO, size: int | None) -> Input:
    """Deflate makes at most a thousand bytes of one: what a file of a bounded size unpacks to is bounded, too."""
    counted = Counted(stream)
    begin = _begin_of(name, counted)
    whole: BinaryIO = io.BufferedReader(Rewound(begin, counted))
    if begin.startswith(GZIP):
        unpacked = io.BufferedReader(Gunzip(name, whole))
        if _begins(unpacked, GZIP):
            raise BadFile(f"{name} is packed by gzip twice, and that is not read here; unpack it once")
        return Input(name, unpacked, size, lambda: counted.count)
    for magic, (what, advice) in UNREAD.items():
        if begin.startswith(magic):
            raise BadFile(f"{name} is {what}, and that is not read here; {advice}")
    return Input(name, whole, size, lambda: counted.count)


def _begins(unpacked: io.BufferedReader[Gunzip], magic: bytes) -> bool:
    """A break at the beginning is met where it is read."""
    with suppress(BadFile):
        return unpacked.peek(len(magic)).startswith(magic)
    return False


def _begin_of(name: str, stream: Counted) -> bytes:
    begin = b""
    try:
        while len(begin) < MAGIC_BYTES and (more := stream.read(MAGIC_BYTES - len(begin))):
            begin += more
    except OSError as error:
        raise BadFile(f"{name} cannot be read: {error.strerror}; give the name of a file, or - for stdin") from error
    return begin


class Counted:
    """Counts what is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.count = 0

    def read(self, size: int) -> bytes:
        found = self.stream.read(size)
        self.count += len(found)
        return found


class Rewound(io.RawIOBase):
    """A stream from its beginning, although that was read already: a pipe cannot go back."""

    def __init__(self, begin: bytes, rest: Counted) -> None:
        self.begin = begin
        self.rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # called with a memoryview
        size = len(buffer)
        found, self.begin = self.begin[:size], self.begin[size:]
        found = found or self.rest.read(size)
        buffer[: len(found)] = found
        return len(found)


class Gunzip(io.RawIOBase):
    """What a gzip file holds. Raises BadFile where it is damaged or breaks off."""

    def __init__(self, name: str, packed: BinaryIO) -> None:
        self.name = name
        self.unpacked = gzip.GzipFile(fileobj=packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # called with a memoryview
        try:
            found = self.unpacked.read1(len(buffer))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BadFile(
                f"{self.name} is a gzip file that is damaged or breaks off ({error}); what came before is taken: "
                "import the whole file, and nothing is taken twice"
            ) from error
        buffer[: len(found)] = found
        return len(found)


def text_lines(name: str, stream: BinaryIO) -> Iterator[str]:
    """Yield the lines of a text, each of a bounded length. Raise BadFile if one is longer or is not UTF-8."""
    text, number = io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""), 0
    try:
        while line := text.readline(LINE_BYTES_MAX + 1):
            if len(line) > LINE_BYTES_MAX:
                raise BadFile(f"{name} has a line of more than {LINE_BYTES_MAX:,} characters; is it a table?")
            number += 1
            yield line
    except UnicodeDecodeError:
        raise BadFile(f"{name}, after line {number}: it is not UTF-8; save it in UTF-8, and try again") from None


def csv_rows(name: str, first: str, lines: Iterable[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the rows of a table, each with the number of the line at which it ends. Raise BadFile if it is no CSV.

    `first` is the line with the header, which says how cells are separated, and `lines` are those after it.
    """
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(chain([first] if first else [], lines), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise BadFile(
            f"{name}, after line {reader.line_num}: {error}; save it as CSV in UTF-8, and try again"
        ) from None


def arrivals_of(source: Input, parse: Parser, *, anyway: bool) -> Iterator[LineBatch]:
    """The lines of a file, a batch at a time. Raises BadFile if none of the first ones is any use, unless `anyway`."""
    read = batches(source.stream)
    first = next(read)
    if not anyway:
        _refuse_documents(source.name, first.arrivals)
        _refuse_all_bad(source.name, parse, first.arrivals)
    return chain([first], read)


def _refuse_documents(name: str, arrivals: Sequence[Arrival]) -> None:
    """Documents of JSON that are not one to a line."""
    if not arrivals:
        return
    first = arrivals[0].payload
    try:
        whole = from_json(first)
    except ValueError:
        if len(arrivals) > 1 and _is_begun(first) and not _is_whole(arrivals[1].payload):
            raise BadFile(
                f"{name} is a JSON document over several lines, and one is read from each line; "
                f"write it as `jq -c . {name}` does, or as `jq -c '.[]' {name}` if it is a list"
            ) from None
        return
    if len(arrivals) == 1 and (path := _path_of_list(whole)):
        raise BadFile(f"{name} is a list in one line, and one is read from each line; write `jq -c '{path}' {name}`")


def _is_begun(line: bytes) -> bool:
    """Return whether a line is the beginning of a JSON object or list."""
    try:
        return isinstance(from_json(line, allow_partial=True), dict | list)
    except ValueError:
        return False


def _is_whole(line: bytes) -> bool:
    with suppress(ValueError):
        return isinstance(from_json(line), dict)
    return False


def _path_of_list(document: object) -> str | None:
    """Return the items' path for jq: of a list, or of an object that contains nothing but one."""
    if isinstance(document, list):
        return ".[]"
    if isinstance(document, dict) and len(document) == 1:
        ((key, value),) = document.items()
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return f".{key}[]"
    return None


def _refuse_all_bad(name: str, parse: Parser, arrivals: Sequence[Arrival]) -> None:
    tried = list(islice(arrivals, TRIED_MAX))
    if len(tried) < TRIED_MAX:
        return
    reasons = []
    for arrival in tried:
        try:
            understood(parse, arrival.payload)
        except BadInput as bad:
            reasons.append(str(bad))
        except Skipped:
            return
        else:
            return
    raise BadFile(
        f"none of the first {TRIED_MAX} lines of {name} can be used, and nothing was taken; "
        f"line {tried[0].position}: {reasons[0]}; is it the right file, and the right --format? {ANYWAY}"
    )
