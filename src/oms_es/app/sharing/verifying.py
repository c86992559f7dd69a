"""`verify` by as many processes as there are cores: each asks some of the questions, in the same snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from oms_es.app.registry import DECIDERS, PROJECTIONS
from oms_es.processing.bulk.processes import shared_out, worth_starting
from oms_es.processing.read_models.history_pages import newest_by_type
from oms_es.proof.notes import VerifierKey
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.verification.reading import Answers, Known, Questions, answered, exported, last_position, snapshot
from oms_es.verification.seal_checks import Signed
from oms_es.verification.verify import Report, report_of, shared_questions


class Asking(NamedTuple):
    """What a process asks, of which snapshot."""

    database_url: str
    snapshot: str
    questions: Questions
    keys: Sequence[VerifierKey]
    against: Sequence[Signed]


def verify_together(
    database_url: str,
    progress: Callable[[int, int], None],
    keys: Sequence[VerifierKey] = (),
    against: Sequence[Signed] = (),
    processes: int = 1,
) -> Report:
    """Verify the program's own read models, as `verify` does, by several processes."""
    with snapshot(database_url) as connection:
        last, name = last_position(connection), exported(connection)
        shares = shared_questions(PROJECTIONS, newest_by_type(connection), worth_starting(processes, last))
        asked = [Asking(database_url, name, questions, keys, against) for questions in shares]
        answers = shared_out(_answered, asked, lambda position: progress(position, last))
    return report_of(answers, PROJECTIONS)


def _answered(asking: Asking, reached: Callable[[int], None]) -> Answers:
    known = Known(DECIDERS, PROJECTIONS, Codec(EVENTS), asking.keys, asking.against)
    with snapshot(asking.database_url, asking.snapshot) as connection:
        return answered(connection, asking.questions, known, reached)
