"""Forgetting what the lines of a statement say of people: amounts, days and references stay history.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from oms_es.kernel import SystemCommand
from oms_es.schemas.finance.statement import AccountName, StatementEvent
from oms_es.schemas.order.forgetting import ForgetReason, LegalHoldReason
from oms_es.schemas.values.types import Identifier, ShortName


class StatementCommand(SystemCommand):
    account: AccountName
    statement_id: ShortName

    @property
    def stream(self) -> str:
        return f"statement-{self.account}/{self.statement_id}"


class ForgetStatement(StatementCommand):
    """Forget the texts of a statement's lines.

    The command only records this; who sends it destroys the key.
    """

    reason: ForgetReason
    case_id: Identifier | None = None


class PlaceStatementLegalHold(StatementCommand):
    """Keep the texts of a statement's lines, in spite of any period, until the hold is lifted.

    A case holds a statement once.
    """

    case_id: Identifier
    reason: LegalHoldReason


class LiftStatementLegalHold(StatementCommand):
    """End the hold of a case that does not need the statement any more."""

    case_id: Identifier


class StatementForgotten(StatementEvent):
    """The texts of the statement's lines cannot be read from now on. The actor of its envelope is responsible."""

    reason: str
    case_id: str | None = None


class StatementLegalHoldPlaced(StatementEvent):
    """The statement is not forgotten as long as this hold is in force. The actor of its envelope is responsible."""

    case_id: str
    reason: str


class StatementLegalHoldLifted(StatementEvent):
    case_id: str
