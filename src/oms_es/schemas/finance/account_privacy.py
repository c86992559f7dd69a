"""Forgetting the customer of an account: whose it was cannot be read by anyone any more; its money stays history.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from oms_es.kernel import SystemCommand
from oms_es.schemas.finance.account import AccountCommand, AccountEvent
from oms_es.schemas.order.forgetting import ForgetReason, LegalHoldReason
from oms_es.schemas.values.types import Identifier


class ForgetAccount(AccountCommand, SystemCommand):
    """Forget the customer of an account on which no money is left.

    The command only records this; `oms-es privacy forget` sends it and destroys the key.
    """

    reason: ForgetReason
    case_id: Identifier | None = None
    """The id of the case in another system's files, with the person who asked: nothing about the person is stored
    here."""


class PlaceAccountLegalHold(AccountCommand, SystemCommand):
    """Keep whose account it is, in spite of any request, until the hold is lifted.

    A case holds an account once.
    """

    case_id: Identifier
    reason: LegalHoldReason


class LiftAccountLegalHold(AccountCommand, SystemCommand):
    """End the hold of a case that does not need the account any more."""

    case_id: Identifier


class AccountForgotten(AccountEvent):
    """Whose account it was is not known from now on, and it is closed. The actor of its envelope is responsible."""

    reason: str
    case_id: str | None = None


class AccountLegalHoldPlaced(AccountEvent):
    """The account is not forgotten as long as this hold is in force. The actor of its envelope is responsible."""

    case_id: str
    reason: str


class AccountLegalHoldLifted(AccountEvent):
    case_id: str
