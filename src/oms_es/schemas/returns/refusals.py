"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal
from oms_es.exit_codes import Code


class ReturnsRefusal(Refusal):
    """What returns and feedback refuse."""

    ALREADY_RECORDED = (
        "already_recorded",
        "The feedback says something else under this id.",
        "Use another id.",
    )
    ARRIVED = (
        "arrived",
        "Goods of the return have come back.",
        "Inspect them without credit instead of refusing the return.",
    )
    NOT_INSPECTED = (
        "not_inspected",
        "Goods of the return were not inspected yet.",
        "Inspect them first.",
    )
    NOT_RECEIVED = (
        "not_received",
        "More units would be inspected than were received.",
        "Receive them first, or inspect fewer.",
    )
    REFUSED = (
        "refused",
        "The return was refused.",
        "Request another one.",
    )
    TOO_MUCH = (
        "too_much",
        "The order has as many feedbacks as are kept.",
        "Nothing: no more are kept.",
    )
    UNCLEAR_SUBJECT = (
        "unclear_subject",
        "The feedback does not say what it is about, or says it twice.",
        "Name the SKU or the carrier in about, and nothing for the order itself.",
    )
    UNKNOWN_RETURN = (
        "unknown_return",
        "There is no such return.",
        "Request it first.",
        Code.NOT_FOUND,
    )
