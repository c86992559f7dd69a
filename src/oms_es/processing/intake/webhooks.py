"""What becomes of a signed webhook: its command is committed, or it is kept as a dead letter.

Invariant: its sender is answered only when one of the two is durable, since it never sends again what was taken. Only
an outage is not an answer: then the sender tries again, and every command recognises its repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from oms_es.kernel import Skipped
from oms_es.processing import aside, metrics
from oms_es.processing.committer import Busy, Work
from oms_es.processing.intake.worker import Parser, dead_letter_of, understood
from oms_es.store.dead_letters import DeadLetter, Header
from oms_es.store.encoding.codec import Cause
from oms_es.store.recorder import Recording
from oms_es.store.store import OUTAGES


class Webhook(NamedTuple):
    """A webhook whose signature is verified. `place`: names the request in a dead letter. `headers`: those that a dead
    letter keeps."""

    source: str
    place: str
    dialect: str
    body: bytes
    headers: Sequence[Header] = ()

    def work(self, parse: Parser) -> Work:
        """Return the command to commit. Raise BadInput, and Skipped for what says nothing of what is kept here."""
        return Work(Cause(self.source), understood(parse, self.body), lambda: None)

    def dead_letter(self, error: Exception) -> DeadLetter | None:
        """Return what is kept of a webhook that failed with this error: nothing if it was skipped. Raise the error if
        the sender has to send it again."""
        if isinstance(error, (Busy, *OUTAGES)):
            raise error
        if isinstance(error, Skipped):
            return None
        return dead_letter_of(error, self.source, self.place, self.dialect, self.body, self.headers)


def keep(recorder: Recording, dead_letter: DeadLetter) -> None:
    """Store a dead letter. Once this returns, it is durable and its sender may forget it. Raises one of OUTAGES."""
    with recorder.moving() as transaction:
        recorder.add_dead_letters(transaction, [dead_letter])
    metrics.DEAD_LETTERS.labels(dead_letter.source).inc()
    aside.log_dead_letter(dead_letter)
