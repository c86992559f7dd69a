"""What was made of one report by its schedule.

Invariant: a report is made once for each period, and put once where it is to be put; what was made never changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rpds import HashTrieMap

from oms_es.kernel import Decider, Refused
from oms_es.schemas.operations import report as ready
from oms_es.schemas.operations.refusals import OperationsRefusal

Period = tuple[ready.Every, str]


class Report(NamedTuple):
    """`made`: the periods that it was made for. `waiting`: those with files that are still to be put somewhere, which
    `deliver_to` names.
    """

    made: HashTrieMap[Period, None] = HashTrieMap()
    waiting: HashTrieMap[Period, ready.ReportReady] = HashTrieMap()


def evolve(report: Report, event: ready.ReportEvent) -> Report:
    """Never refuse an event: an old stream must load under new rules."""
    period = (event.every, event.first_day)
    match event:
        case ready.ReportReady():
            waiting = report.waiting.insert(period, event) if event.deliver_to else report.waiting
            return Report(report.made.insert(period, None), waiting)
        case ready.ReportDelivered() if (waits := report.waiting.get(period)) is not None:
            left = tuple(one for one in waits.deliver_to if one != event.to)
            still = waits.model_copy(update={"deliver_to": left})
            waiting = report.waiting.insert(period, still) if left else report.waiting.remove(period)
            return report._replace(waiting=waiting)
    return report


def decide(report: Report, command: ready.ReportCommand) -> Iterator[ready.ReportEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    period = (command.every, command.first_day)
    match command:
        case ready.RecordReportFiles() if period not in report.made:
            yield ready.ReportReady(**command.model_dump())
        case ready.RecordReportDelivery():
            if period not in report.made:
                raise Refused(
                    OperationsRefusal.REPORT_NOT_MADE,
                    f"{command.name} was not made for the {command.every} from {command.first_day}; "
                    "`oms-es report-files list` lists what was",
                )
            waits = report.waiting.get(period)
            if waits is not None and command.to in waits.deliver_to:
                yield ready.ReportDelivered(**command.model_dump())


decider: Decider[Report] = Decider(
    "report",
    Report(),
    evolve,
    decide,
    accepts=(ready.RecordReportFiles, ready.RecordReportDelivery),
    emits=(ready.ReportReady, ready.ReportDelivered),
)
