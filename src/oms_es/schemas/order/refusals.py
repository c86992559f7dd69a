"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal
from oms_es.exit_codes import Code


class OrderRefusal(Refusal):
    """What orders refuse."""

    ALREADY_RELEASED = (
        "already_released",
        "The order was released to its warehouses; it cannot be changed any more.",
        "Cancel lines of it, or ask for a return.",
    )
    ALREADY_REQUESTED = (
        "already_requested",
        "A return of this name was requested for other units.",
        "Use another rma_id.",
    )
    ALREADY_SHIPPED = (
        "already_shipped",
        "The units left, or can no longer be stopped.",
        "Ask for a return, or cancel fewer units.",
    )
    BEING_SOURCED = (
        "being_sourced",
        "Units of the order are being sourced, or their locks are on their way to it.",
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
    FORGOTTEN = (
        "forgotten",
        "The person of the order was forgotten: nothing that says something of a person is taken for it again.",
        "Refund what is owed, or place a new order.",
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
        "The order would not be valid without the units that are split off, or their order would not.",
        "Split other units.",
    )
    LEGAL_HOLD = (
        "legal_hold",
        "A case needs what the order says of its person.",
        "Wait until the case is over, then lift its hold.",
    )
    LEGAL_HOLD_LIFTED = (
        "legal_hold_lifted",
        "The case held the order and was lifted: a case holds an order once.",
        "Hold it by another case id.",
    )
    MERGED = (
        "merged",
        "The order is part of another one, which has its lines, its locks and its money.",
        "Ask it of the order that it became.",
    )
    NAME_TAKEN = (
        "name_taken",
        "The channel has another order by this name.",
        "Use another merge_id.",
    )
    NO_LEGAL_HOLD = (
        "no_legal_hold",
        "No case by this id holds the order.",
        "Name the case by which it was held.",
    )
    NO_SUCH_UNITS = (
        "no_such_units",
        "The line does not have as many units.",
        "Name lines and units that the order has.",
    )
    NOT_AMENDABLE = (
        "not_amendable",
        "What the channel changed cannot be changed by an amendment.",
        "Cancel the order and have it placed under another id, or keep what is here.",
    )
    NOT_GRANTED = (
        "not_granted",
        "The order is an exchange that no return granted.",
        "Request the return with the resolution exchange; its order follows by itself.",
    )
    NOT_LOCKED = (
        "not_locked",
        "Not every unit of the order is locked.",
        "Cancel the lines that lack stock, or wait.",
    )
    NOT_MERGEABLE = (
        "not_mergeable",
        "Fewer than two of the orders that are named can become one.",
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
        "The content is of another order than is named.",
        "Name the order that the content is of.",
    )
    NOTHING_LEFT = (
        "nothing_left",
        "The order would have no line left.",
        "Split fewer units.",
    )
    NOTHING_TO_PAY = (
        "nothing_to_pay",
        "The order waits for no payment.",
        "Nothing: there is no payment to retry.",
    )
    NOTHING_TO_REFUND = (
        "nothing_to_refund",
        "The refund names no money.",
        "Give lines, shipping or goodwill.",
    )
    OVER_RETURN = (
        "over_return",
        "More units would come back than can.",
        "Name only units that were shipped and are in no other return or refund.",
    )
    RESERVED_NAME = (
        "reserved_name",
        "The name begins as only names do that are made by the engine.",
        "Give it another name.",
    )
    STILL_RUNNING = (
        "still_running",
        "The order has not ended, or parcels or returns of it are under way: its person is still needed.",
        "Wait until it has ended, or end it.",
    )
    TOO_MANY_KEPT = (
        "too_many_kept",
        "As much as is kept of an order that has not come is kept of it.",
        "Send the order first, then this again.",
    )
    TOO_MANY_NOTES = (
        "too_many_notes",
        "The order has as many notes as one order may have.",
        "Write it down where longer conversations are kept.",
    )
    TOO_MANY_UNITS = (
        "too_many_units",
        "More units are assigned than the order needs.",
        "Assign what the order needs.",
    )
    UNCLEAR_RESOLUTION = (
        "unclear_resolution",
        "An exchange names no replacement, or something else names one.",
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
