"""Error messages of databases without the content of rows: personal data must not be in a log."""

from __future__ import annotations

import re
from collections.abc import Iterator

from psycopg.errors import DiskFull

_ROWS = re.compile(
    r"^(?:DETAIL|CONTEXT|QUERY|\[SQL|\[parameters).*?"
    r"(?=^(?:HINT|Traceback|The above|During handling|[\w.]+(?:Error|Exception)\b)|\Z)",
    re.MULTILINE | re.DOTALL,
)
NO_SPACE = ("no space left on device", "disk full")


def without_rows(text: str) -> str:
    """Return the message without rows: PostgreSQL repeats them in the lines DETAIL and CONTEXT, SQLAlchemy with the
    statement."""
    return _ROWS.sub("", text).strip() if "\n" in text else text


def is_disk_full(error: BaseException) -> bool:
    """Return whether a database failed because its disk is full, whichever library reports it."""
    return any(
        isinstance(one, DiskFull) or any(words in str(one).lower() for words in NO_SPACE) for one in _causes(error)
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
