"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal
from oms_es.exit_codes import Code


class FinanceRefusal(Refusal):
    """Refusals about accounts, statements and their reconciliation."""

    ACCOUNT_BLOCKED = (
        "account_blocked",
        "The account is blocked: nothing is paid from it.",
        "Unblock it first with `oms-es account unblock`.",
    )
    BALANCE_LIMIT = (
        "balance_limit",
        "The account's balance would exceed its limit.",
        "Pay less in, or raise its limit with `oms-es account limit`.",
    )

    BREAKS_OPEN = (
        "breaks_open",
        "The period has breaks that are open.",
        "See them with `oms-es reconcile breaks`, and resolve each.",
    )
    BREAK_RESOLVED = (
        "break_resolved",
        "The break was resolved before, in another way.",
        "Reopen it first.",
    )
    CARD_NOT_USABLE = (
        "card_not_usable",
        "The gift card is blocked, or has expired.",
        "Pay in another way; a person may unblock or extend the card.",
    )
    CHANNEL_OF_ANOTHER_SELLER = (
        "channel_of_another_seller",
        "The channel is another seller's already.",
        "See whose it is with `oms-es seller list`, and take it from that one first.",
    )
    CODE_SHOWN = (
        "code_shown",
        "The gift card's code was shown before, and is shown once.",
        "If the code is lost, replace it.",
    )
    HOLD_OF_PAYMENT = (
        "hold_of_payment",
        "The hold belongs to a payment, which applies or releases it by itself.",
        "Cancel or refund its order; or name another hold.",
    )
    INSUFFICIENT_BALANCE = (
        "insufficient_balance",
        "The account, or the hold, has less than this amount.",
        "Top the account up, or lower the amount.",
    )
    INVOICE_CANCELS = (
        "invoice_cancels",
        "The document cancels another, and stays.",
        "Correct the document that was issued in place of the one that it cancels.",
    )
    INVOICE_CREDITED = (
        "invoice_credited",
        "Issued again, the invoice would have less net or tax than its credit notes give back.",
        "Set the seller with the tax that the invoice had, then replay the dead letter.",
    )
    INVOICE_MISSING = (
        "invoice_missing",
        "The document refers to another one, which was put aside.",
        "Replay the dead letter of that one, then this one.",
    )
    INVOICE_NOT_DRAWN_UP = (
        "invoice_not_drawn_up",
        "History does not have what the document was drawn up of.",
        "Verify the history, restore what that finds, then replay the dead letter.",
    )
    NO_CUSTOMER = (
        "no_customer",
        "The account is a channel's own: it names no customer.",
        "Name an account of a customer.",
    )
    NO_GIFT_CARD = (
        "no_gift_card",
        "The account is no gift card.",
        "See what it is with `oms-es account show`.",
    )
    NOT_A_MATCH = (
        "not_a_match",
        "The lines and movements of these breaks cannot be one match.",
        "Name open breaks of one currency whose lines and movements sum to the same; or resolve them.",
    )
    TOO_MANY_SELLERS = (
        "too_many_sellers",
        "There are as many sellers as may be.",
        "Set one of them otherwise.",
    )
    UNKNOWN_BREAK = (
        "unknown_break",
        "The account has no such break.",
        "List the breaks with `oms-es reconcile breaks`.",
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
    UNKNOWN_STATEMENT = (
        "unknown_statement",
        "The account has no such statement.",
        "See which there are with `oms-es reconcile statements`.",
        Code.NOT_FOUND,
    )
    WRONG_CODE = (
        "wrong_code",
        "No gift card has this code.",
        "Compare it with the card, and give it again.",
        Code.NOT_FOUND,
    )
    STATEMENT_DIFFERS = (
        "statement_differs",
        "The account has a statement of this id already, with other content.",
        "Compare both files; if the newer one is right, import it with another --statement-id.",
    )
    STATEMENT_UNBALANCED = (
        "statement_unbalanced",
        "The opening balance and the booked lines do not sum to the closing balance.",
        "Fetch the whole statement again: lines are missing, or an amount was changed.",
    )
