"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal
from oms_es.exit_codes import Code


class PaymentRefusal(Refusal):
    """Refusals of payments, and of reports of their providers."""

    CONTRADICTS = (
        "contradicts",
        "The report contradicts what was reported before.",
        "Ask the provider which of the two is true.",
    )
    NOT_AUTHORIZED = (
        "not_authorized",
        "The payment holds no money that could expire.",
        "Ask the provider what it holds.",
    )
    REFERENCE_REUSED = (
        "reference_reused",
        "The provider reports one of its references for two different things.",
        "Ask the provider what it did under that reference.",
    )
    SECOND_AUTHORIZATION = (
        "second_authorization",
        "The authorisation was reported before, under another reference.",
        "Ask the provider which of them is real.",
    )
    SECOND_CAPTURE = (
        "second_capture",
        "The capture was reported before, under another reference.",
        "Ask the provider which of them is real.",
    )
    SECOND_REAUTHORIZATION = (
        "second_reauthorization",
        "The reauthorisation was reported before, under another reference.",
        "Ask the provider which of them is real.",
    )
    SECOND_REFUND = (
        "second_refund",
        "The refund was reported before, under another reference.",
        "Ask the provider which of them is real.",
    )
    SECOND_REFUND_FAILURE = (
        "second_refund_failure",
        "The failure of the refund was reported before, under another reference.",
        "Ask the provider which of them is real.",
    )
    SECOND_REFUND_SETBACK = (
        "second_refund_setback",
        "The temporary failure of the refund was reported before, under another reference.",
        "Ask the provider which of them is real.",
    )
    SECOND_VOID = (
        "second_void",
        "The void was reported before, under another reference.",
        "Ask the provider which of them is real.",
    )
    UNKNOWN_CAPTURE = (
        "unknown_capture",
        "This capture was never asked for.",
        "Ask the provider what it captured.",
    )
    UNKNOWN_PAYMENT = (
        "unknown_payment",
        "There is no such payment.",
        "Request it first; `oms-es payment show ORDER` names the payments of an order.",
        Code.NOT_FOUND,
    )
    UNKNOWN_REAUTHORIZATION = (
        "unknown_reauthorization",
        "No new authorisation was ever requested for this capture.",
        "Ask the provider what it holds.",
    )
    UNKNOWN_REFUND = (
        "unknown_refund",
        "This refund was never asked for.",
        "Ask the provider what it gave back.",
    )
    UNKNOWN_REPORT = (
        "unknown_report",
        "The provider reported nothing under this id.",
        "Look the report up with `oms-es exceptions list`.",
        Code.NOT_FOUND,
    )
    UNKNOWN_VOID = (
        "unknown_void",
        "No void of this payment was requested.",
        "Ask the provider what it released.",
    )
