"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal
from oms_es.exit_codes import Code


class OrderRefusal(Refusal):
    """Refusals of orders."""

    ALREADY_RELEASED = (
        "already_released",
        "The order was released to its warehouses and cannot be changed any more.",
        "Cancel lines of it, or ask for a return.",
    )
    ALREADY_REQUESTED = (
        "already_requested",
        "A return of this id was requested for other units.",
        "Use another rma_id.",
    )
    ALREADY_SHIPPED = (
        "already_shipped",
        "The units left, or can no longer be stopped.",
        "Ask for a return, or cancel fewer units.",
    )
    BEING_SOURCED = (
        "being_sourced",
        "Units of the order are being sourced, or their reservations are on their way to it.",
        "Try again in a moment.",
    )
    BELOW_DEPOSIT = (
        "below_deposit",
        "The order would cost less than the deposit that was paid for it.",
        "Cancel the order.",
    )
    DEMAND_NOT_MET = (
        "demand_not_met",
        "The answer to a sourcing attempt does not assign or backorder every unit.",
        "Answer for exactly the units that the attempt asked for.",
    )
    EXCEEDS_CREDIT = (
        "exceeds_credit",
        "More would be refunded than was credited.",
        "Lower the amount.",
    )
    EXCEEDS_PAYMENT = (
        "exceeds_payment",
        "More would be given back than is left of what was paid.",
        "Lower the amount, or give the rest as goodwill.",
    )
    EXCEEDS_SHIPPED = (
        "exceeds_shipped",
        "More units would be refunded than were shipped.",
        "Refund fewer units.",
    )
    INVALID_AMENDMENT = (
        "invalid_amendment",
        "The order would not be valid with the changed content.",
        "Correct the fields that are named.",
    )
    INVALID_REPLACEMENT = (
        "invalid_replacement",
        "The replacement of an exchange is not a valid order.",
        "Correct the fields that are named.",
    )
    INVALID_SPLIT = (
        "invalid_split",
        "The order would not be valid without these units, or the order of these units would not.",
        "Split other units.",
    )
    MERGED = (
        "merged",
        "The order was merged into another one, which has its lines, reservations and payments now.",
        "Send the command for the order that it was merged into.",
    )
    NAME_TAKEN = (
        "name_taken",
        "The channel has another order of this id.",
        "Use another merge_id.",
    )
    NO_SUCH_UNITS = (
        "no_such_units",
        "The line does not have as many units.",
        "Name lines and units that the order has.",
    )
    NOT_AMENDABLE = (
        "not_amendable",
        "The channel changed fields that an amendment cannot change.",
        "Cancel the order and have it placed under another id, or keep the order as it is here.",
    )
    NOT_GRANTED = (
        "not_granted",
        "The order is an exchange that no return granted.",
        "Request the return with the resolution exchange; the exchange order is placed by the engine.",
    )
    NOT_LOCKED = (
        "not_locked",
        "Not every unit of the order is reserved.",
        "Cancel the lines that lack stock, or wait.",
    )
    NOT_MERGEABLE = (
        "not_mergeable",
        "Fewer than two of the named orders can be merged.",
        "Name orders of one channel, to one address, that are not released yet.",
    )
    NOT_SHIPPED = (
        "not_shipped",
        "The order has not left; it cannot have arrived.",
        "Record its shipment first.",
    )
    NOT_STANDARD = (
        "not_standard",
        "Only orders of the kind standard are split.",
        "Cancel units of it instead.",
    )
    NOT_ITS_CONTENT = (
        "not_its_content",
        "The content belongs to another order than the named one.",
        "Name the order that the content belongs to.",
    )
    NOTHING_LEFT = (
        "nothing_left",
        "The order would have no line left.",
        "Split fewer units.",
    )
    NOTHING_TO_PAY = (
        "nothing_to_pay",
        "The order waits for no payment.",
        "There is nothing to do: no payment can be retried.",
    )
    NOTHING_TO_REFUND = (
        "nothing_to_refund",
        "The refund names no money.",
        "Give lines, shipping or goodwill.",
    )
    OVER_RETURN = (
        "over_return",
        "More units would come back than can be returned.",
        "Name only units that were shipped and are in no other return or refund.",
    )
    RESERVED_NAME = (
        "reserved_name",
        "The name begins with a prefix that is reserved for names made by the engine.",
        "Give it another name.",
    )
    TOO_MANY_KEPT = (
        "too_many_kept",
        "The highest number of messages is kept for this order, which has not come.",
        "Send the order first, then send this message again.",
    )
    TOO_MANY_NOTES = (
        "too_many_notes",
        "The order has the highest number of notes.",
        "Keep further notes in another system.",
    )
    TOO_MANY_UNITS = (
        "too_many_units",
        "More units are assigned than the order needs.",
        "Assign what the order needs.",
    )
    UNCLEAR_RESOLUTION = (
        "unclear_resolution",
        "An exchange names no replacement, or another resolution names one.",
        "Give a replacement with the resolution exchange, and only with it.",
    )
    UNKNOWN_ORDER = (
        "unknown_order",
        "There is no such order.",
        "Place it first, or look its id up with `oms-es orders list`.",
        Code.NOT_FOUND,
    )
    WITH_CARRIER = (
        "with_carrier",
        "The order is with the carrier.",
        "Ask for a return.",
    )
