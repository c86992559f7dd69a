"""Failures of a command for people and programs: one line that says what to do next, and an exit code.

With OMS_LOG_LEVEL=debug the traceback comes before it.
"""

from __future__ import annotations

import sys
import traceback
from contextlib import suppress

from psycopg import Error as DatabaseError
from psycopg import connect
from pydantic import ValidationError

from oms_es.database.reasons import is_disk_full, without_rows
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.processing.readers import Stopped
from oms_es.schemas.problems import problems
from oms_es.schemas.values.cards import masked
from oms_es.settings import Settings
from oms_es.store.store import OUTAGES

POOL_WAITED = "couldn't get a connection"
CONNECT_SECONDS = 5


def failed(failure: Exception) -> tuple[Code, str]:
    with suppress(ValidationError):
        if Settings().log_level == "debug":
            sys.stderr.write(without_rows("".join(traceback.format_exception(failure))) + "\n")
    code, message = _answer(failure)
    return code, masked(" ".join(message.split()))


def _answer(failure: Exception) -> tuple[Code, str]:
    """Return the exit code and the message. A full disk is tested first, since it causes any of the others."""
    if isinstance(failure, ValidationError):
        return Code.USAGE, _problems(failure)
    if is_disk_full(failure):
        hint = "make room, then run it again; nothing that was accepted is lost"
        return Code.NO_DATABASE, f"the disk is full: {without_rows(str(failure))}; {hint}"
    if isinstance(failure, Stopped):
        hint = "repair the cause and start it again, nothing is lost"
        return failure.exit_code, f"stopped: {without_rows(str(failure))}; {hint}"
    if isinstance(failure, OmsError):
        return failure.exit_code, str(failure)
    if isinstance(failure, (*OUTAGES, DatabaseError)):
        hint = "start it, or correct OMS_DATABASE_URL"
        return Code.NO_DATABASE, f"the database does not answer: {_why(failure)}; {hint}"
    hint = "run it again with OMS_LOG_LEVEL=debug to see where"
    return Code.UNEXPECTED, f"unexpected {type(failure).__name__}: {without_rows(str(failure))}; {hint}"


def _why(failure: Exception) -> str:
    """Return the reason of a database failure: a pool says only that it has waited; a new connection says why."""
    url = Settings().database_url
    if url and POOL_WAITED in str(failure):
        try:
            connect(url, connect_timeout=CONNECT_SECONDS).close()
        except DatabaseError as reason:
            return without_rows(str(reason))
    return without_rows(str(failure))


def _problems(invalid: ValidationError) -> str:
    settings = invalid.title == Settings.__name__
    text = problems(invalid, field=lambda name: f"OMS_{name.upper()}" if settings else name, named_max=None)
    return f"{text}; correct it and try again"
