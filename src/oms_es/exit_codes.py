"""What a person and a program are told when a command fails: one line that says what to do next, and an exit code.

With OMS_LOG_LEVEL=debug the traceback comes before it.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from enum import IntEnum

from psycopg import Error as DatabaseError
from pydantic import ValidationError

from oms_es.app import OnKafka
from oms_es.app.rebuild import AlreadyRebuilding
from oms_es.app.workers import NoGateways, UnknownRole
from oms_es.database.embedded import EmbeddedError
from oms_es.database.reasons import is_disk_full, without_rows
from oms_es.database.selection import NoDatabase
from oms_es.demo.completejourney import MissingExtra
from oms_es.demo.run import OtherDemo
from oms_es.kafka.client import KafkaUnavailable
from oms_es.kernel import Refused
from oms_es.processing.input_files import BadFile
from oms_es.processing.metrics import CannotListen
from oms_es.processing.readers import Stopped
from oms_es.reference.releases import AlreadyReleased
from oms_es.reports.existence import Missing
from oms_es.schemas.problems import problems
from oms_es.schemas.values.cards import masked
from oms_es.settings import Settings
from oms_es.store.schema import NewerDatabase, NotMigrated
from oms_es.store.store import OUTAGES

UNKNOWN_ORDER = "unknown_order"


class Code(IntEnum):
    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    NO_DATABASE = 3
    NOT_FOUND = 4
    BURIED = 5
    DIFFERENT = 6
    REFUSED = 7
    NO_KAFKA = 8
    BEHIND = 9


MEANINGS: Mapping[Code, str] = {
    Code.OK: "It is done, or was so already.",
    Code.UNEXPECTED: "A mistake in the program, or a reader that stopped before a fact; nothing is lost.",
    Code.USAGE: "The command, a setting or an argument is not what is expected.",
    Code.NO_DATABASE: "The database is not there, not ours to write, or not migrated.",
    Code.NOT_FOUND: "There is nothing by that name.",
    Code.BURIED: "Some input could not be used and is kept as dead letters; the rest was taken.",
    Code.DIFFERENT: "History and what was made of it differ, or are not what was promised.",
    Code.REFUSED: "The domain says no.",
    Code.NO_KAFKA: "The brokers do not answer, or not with what was asked.",
    Code.BEHIND: "Nothing is wrong with history, but a reader stopped, or has more to do where all should be at rest.",
}


class NotFound(Exception):  # noqa: N818 - an answer
    """There is nothing by that name."""


FAILURES: tuple[tuple[tuple[type[Exception], ...], Code], ...] = (
    ((BadFile, CannotListen, OtherDemo, MissingExtra, UnknownRole, NoGateways, AlreadyReleased), Code.USAGE),
    ((NoDatabase, NotMigrated, NewerDatabase, OnKafka, EmbeddedError, AlreadyRebuilding), Code.NO_DATABASE),
    ((KafkaUnavailable,), Code.NO_KAFKA),
    ((NotFound, Missing), Code.NOT_FOUND),
    ((Refused,), Code.REFUSED),
)


def failed(failure: Exception) -> tuple[Code, str]:
    with suppress(ValidationError):
        if Settings().log_level == "debug":
            sys.stderr.write(without_rows("".join(traceback.format_exception(failure))) + "\n")
    code, message = _told(failure)
    return code, masked(" ".join(message.split()))


def _told(failure: Exception) -> tuple[Code, str]:
    if isinstance(failure, ValidationError):
        return Code.USAGE, _problems(failure)
    if isinstance(failure, Refused) and failure.reason == UNKNOWN_ORDER:
        return Code.NOT_FOUND, failure.detail
    if is_disk_full(failure):
        hint = "make room, then run it again; nothing that was accepted is lost"
        return Code.NO_DATABASE, f"the disk is full: {without_rows(str(failure))}; {hint}"
    if isinstance(failure, (*OUTAGES, DatabaseError)):
        hint = "start it, or correct OMS_DATABASE_URL"
        return Code.NO_DATABASE, f"the database does not answer: {without_rows(str(failure))}; {hint}"
    for kinds, code in FAILURES:
        if isinstance(failure, kinds):
            return code, str(failure)
    if isinstance(failure, Stopped):
        return (
            Code.UNEXPECTED,
            f"stopped: {without_rows(str(failure))}; repair the cause and start it again, nothing is lost",
        )
    hint = "run it again with OMS_LOG_LEVEL=debug to see where"
    return Code.UNEXPECTED, f"unexpected {type(failure).__name__}: {without_rows(str(failure))}; {hint}"


def _problems(invalid: ValidationError) -> str:
    settings = invalid.title == Settings.__name__
    told = problems(invalid, field=lambda name: f"OMS_{name.upper()}" if settings else name, named_max=None)
    return f"{told}; correct it and try again"
