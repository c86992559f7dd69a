"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal
from oms_es.exit_codes import Code


class ReturnsRefusal(Refusal):
    """Refusals of returns and feedback."""

    ALREADY_RECORDED = (
        "already_recorded",
        "Feedback of this id was recorded with other content.",
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
        "The order has the highest number of feedbacks.",
        "There is nothing to do: no more are recorded.",
    )
    UNCLEAR_SUBJECT = (
        "unclear_subject",
        "The feedback does not state its subject, or names something that the subject does not have.",
        "Name the SKU or the carrier in about, and nothing for the order itself.",
    )
    UNKNOWN_RETURN = (
        "unknown_return",
        "There is no such return.",
        "Request it first.",
        Code.NOT_FOUND,
    )
