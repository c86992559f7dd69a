"""A dead letter that is tried again: decided as if it had just come, and settled if it is taken now."""

from __future__ import annotations

from contextlib import suppress

from oms_es.app.engine import Runtime
from oms_es.app.registry import parser_of
from oms_es.kernel import BadInput, Refused, Skipped
from oms_es.processing import aside
from oms_es.processing.intake.worker import understood
from oms_es.reports import existence, queries
from oms_es.schemas.shipment import AttachLabel
from oms_es.store import dead_letters
from oms_es.store.dead_letters import StoredDeadLetter
from oms_es.store.encoding.codec import Cause


def replayed(runtime: Runtime, actor: str, dead_letter: StoredDeadLetter) -> str:
    """Why it still cannot be used; empty if it was. A kill between the two steps leaves it to be replayed again,
    which decides nothing."""
    if dead_letter.is_masked:
        return dead_letters.MASKED
    given_by = f"{actor}, replaying {dead_letter.source}"
    try:
        if dead_letter.dialect == aside.DIALECT:
            runtime.repeat(given_by, dead_letter)
        else:
            _give_again(runtime, given_by, dead_letter)
    except (BadInput, Refused) as why:
        return str(why)
    with runtime.recorder.datastore.transaction(commit=True) as curs:
        dead_letters.settle(curs, dead_letter.id)
    return ""


def _give_again(runtime: Runtime, actor: str, dead_letter: StoredDeadLetter) -> None:
    with suppress(Skipped):
        command = understood(parser_of(dead_letter.dialect), dead_letter.payload)
        if isinstance(command, AttachLabel):
            with queries.reading(runtime.database_url) as connection:
                existence.require_document(connection, command)
        (screened,) = runtime.screen([command])
        if isinstance(screened, BadInput):
            raise screened
        runtime.store.execute([(Cause(actor), screened)])
