"""What a reader wanted to do and may not: put aside for a person, and the rest goes on.

Invariant: the event that says so, its dead letter and the position that moves past it are one transaction. Only a
refusal is put aside, of a value or of the domain; a broken promise of our own code stops its reader.
"""

from __future__ import annotations

from typing import NamedTuple

import structlog
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from oms_es.errors import Reason
from oms_es.kernel import BadInput, Recorded, Refused
from oms_es.processing import metrics
from oms_es.schemas.inputs import Input
from oms_es.schemas.operations.aside import PutReactionAside
from oms_es.schemas.problems import problems
from oms_es.schemas.values.types import IDENTIFIER_LENGTH_MAX, TEXT_LENGTH_MAX
from oms_es.store.dead_letters import DeadLetter

DIALECT = "reaction"
REFUSALS = (ValidationError, Refused)
INVALID = Input.INVALID_COMMAND

log = structlog.get_logger(__name__)


class Reaction(NamedTuple):
    """The content of a dead letter that stands for an event: which reader was to process which event."""

    reader: str
    position: int
    fact: str
    fact_id: str


def why(error: ValidationError | Refused) -> tuple[Reason, str]:
    """A stable code, and the fields that are wrong; their values are left out, as they may be personal."""
    if isinstance(error, Refused):
        return error.reason, error.detail
    return INVALID, f"{error.title}: {problems(error, whole='it')}"[:TEXT_LENGTH_MAX]


def put(reader: str, recorded: Recorded, error: ValidationError | Refused) -> tuple[PutReactionAside, DeadLetter]:
    """The command that records that an event was put aside, and the dead letter that keeps it."""
    reason, detail = why(error)
    fact = type(recorded.event).__name__
    reaction = Reaction(reader, recorded.position, fact, str(recorded.event_id))
    log.error("put aside", consumer=reader, position=recorded.position, fact=fact, reason=str(reason))
    metrics.DEAD_LETTERS.labels(reader).inc()
    order_id = getattr(recorded.event, "order_id", "")
    command = PutReactionAside(
        reader=reader,
        fact_id=reaction.fact_id,
        fact=fact,
        position=recorded.position,
        about_order=order_id[:IDENTIFIER_LENGTH_MAX],
        reason=reason,
        detail=detail.replace("\x00", "")[:TEXT_LENGTH_MAX],
    )
    dead_letter = DeadLetter(
        source=reader,
        place=str(recorded.position),
        dialect=DIALECT,
        payload=to_json(reaction._asdict()),
        reason=reason,
        detail=detail,
    )
    return command, dead_letter


def log_dead_letter(dead_letter: DeadLetter) -> None:
    """Log a dead letter without its detail, which may quote its content: that is for those who may see dead letters."""
    log.warning("dead letter", source=dead_letter.source, place=dead_letter.place, reason=str(dead_letter.reason))


def read(payload: bytes) -> Reaction:
    """Raises BadInput."""
    try:
        return Reaction(**from_json(payload))
    except (ValueError, TypeError) as error:
        raise BadInput(Input.NO_REACTION, f"{type(error).__name__}: this names no event that was put aside") from error
