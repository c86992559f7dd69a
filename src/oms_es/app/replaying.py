"""Replay of a dead letter: it is decided as if it had just come, and settled if it is accepted now."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from oms_es.app import bulk_commands
from oms_es.app.engine import Runtime
from oms_es.app.registry import parser_of
from oms_es.kernel import BadInput, Command, Refused, Skipped
from oms_es.processing import aside
from oms_es.processing.intake.worker import understood
from oms_es.reports import existence, queries
from oms_es.schemas.shipment import AttachLabel
from oms_es.store import dead_letters
from oms_es.store.dead_letters import StoredDeadLetter
from oms_es.store.encoding.codec import Cause


def replayed(runtime: Runtime, actor: str, dead_letter: StoredDeadLetter) -> str:
    """Replay the dead letter; return why it still cannot be used, or an empty string if it was used.

    A crash between the two steps leaves it open: a repeated replay then decides nothing, and settles it.
    """
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


class Foreseen(NamedTuple):
    """The result of a preview. `why` the dead letter still cannot be used, or empty; `events`: names of the events that
    it would lead to."""

    why: str
    events: Sequence[str] = ()


def foreseen(runtime: Runtime, dead_letter: StoredDeadLetter) -> Foreseen:
    """Return what a replay would result in; nothing is changed. A request to a gateway cannot be previewed."""
    if dead_letter.is_masked:
        return Foreseen(dead_letters.MASKED)
    try:
        if dead_letter.dialect == aside.DIALECT:
            commands: Sequence[Command] = runtime.followed_up(dead_letter)
        else:
            commands = _understood(runtime, dead_letter)
        events = [event for command in commands for event in runtime.store.preview(command)[1]]
    except Skipped:
        return Foreseen("")
    except (BadInput, Refused) as why:
        return Foreseen(str(why))
    return Foreseen("", [type(event).__name__ for event in events])


def _give_again(runtime: Runtime, actor: str, dead_letter: StoredDeadLetter) -> None:
    with suppress(Skipped):
        runtime.store.execute([(Cause(actor), _understood(runtime, dead_letter))])


def _understood(runtime: Runtime, dead_letter: StoredDeadLetter) -> Sequence[Command]:
    """Return the commands in the dead letter. Raise BadInput, Refused or Skipped."""
    command = understood(parser_of(dead_letter.dialect), dead_letter.payload)
    if dead_letter.dialect == bulk_commands.DIALECT:
        with queries.reading(runtime.database_url) as connection:
            existence.require(existence.Asking(runtime.store.state_of, connection), command)
    if isinstance(command, AttachLabel):
        with queries.reading(runtime.database_url) as connection:
            existence.require_document(connection, command)
    (screened,) = runtime.screen([command])
    if isinstance(screened, BadInput):
        raise screened
    return screened
