"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal
from oms_es.exit_codes import Code


class FinanceRefusal(Refusal):
    """What accounts, statements and their reconciliation refuse."""

    BALANCE_LIMIT = (
        "balance_limit",
        "More would be on the account than may be.",
        "Pay less in, or raise its limit with `oms-es account limit`.",
    )

    BREAKS_OPEN = (
        "breaks_open",
        "The period has breaks that are open.",
        "See them with `oms-es reconcile breaks`, and resolve each.",
    )
    BREAK_RESOLVED = (
        "break_resolved",
        "The break was resolved before, otherwise.",
        "Reopen it first.",
    )
    HOLD_OF_PAYMENT = (
        "hold_of_payment",
        "The hold is a payment's, which takes or releases it itself.",
        "Cancel or refund its order; or name another hold.",
    )
    INSUFFICIENT_BALANCE = (
        "insufficient_balance",
        "There is not so much on the account, or in the hold.",
        "Top the account up, or take less.",
    )
    NOT_A_MATCH = (
        "not_a_match",
        "What these breaks name cannot be one match.",
        "Name open breaks of one currency whose lines and movements sum to the same; or resolve them.",
    )
    UNKNOWN_BREAK = (
        "unknown_break",
        "The account has no such break.",
        "See which there are with `oms-es reconcile breaks`.",
        Code.NOT_FOUND,
    )
    UNKNOWN_HOLD = (
        "unknown_hold",
        "The account has no such hold.",
        "See its holds with `oms-es account show`.",
        Code.NOT_FOUND,
    )
    UNKNOWN_MATCH = (
        "unknown_match",
        "The account has no such match.",
        "See the match of a line with `oms-es reconcile explain`.",
        Code.NOT_FOUND,
    )
    STATEMENT_DIFFERS = (
        "statement_differs",
        "A statement of this account has this id already, and says something else.",
        "Compare both files; where the newer one is right, import it with another --statement-id.",
    )
    STATEMENT_UNBALANCED = (
        "statement_unbalanced",
        "The opening balance and the booked lines do not sum to the closing balance.",
        "Fetch the whole statement again: lines are missing, or an amount was changed.",
    )
