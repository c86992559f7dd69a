"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal
from oms_es.exit_codes import Code


class ShipmentRefusal(Refusal):
    """Refusals of shipments."""

    ALREADY_BOOKED = (
        "already_booked",
        "The shipment travels under other tracking numbers.",
        "Ask the carrier which label is real.",
    )
    ALREADY_LEFT = (
        "already_left",
        "The shipment has left.",
        "Ask for a return.",
    )
    ALREADY_REQUESTED = (
        "already_requested",
        "The shipment was requested with other contents.",
        "Use another shipment_id.",
    )
    PICK_ANSWERED = (
        "pick_answered",
        "The warehouse has answered this request, or it is settled otherwise.",
        "Look at the shipment: it is packed, short, rejected or cancelled.",
    )
    TOO_MANY_REPEATS = (
        "too_many_repeats",
        "The request was repeated too often.",
        "Ask the warehouse why it does not take the request, and pack the shipment by hand.",
    )
    ANSWERED_AHEAD = (
        "answered_ahead",
        "The warehouse's answer is given later than now.",
        "Correct the warehouse's clock, and send the answer again with the time at which it was given.",
    )
    ANSWER_INCOMPLETE = (
        "answer_incomplete",
        "The warehouse's answer lacks the weight of what is packed, or the reason why it is not.",
        "Send the answer again with it.",
    )
    BILLED_OTHERWISE = (
        "billed_otherwise",
        "The bill is known with another amount, or the shipment is billed in another currency.",
        "Ask the carrier which is right.",
    )
    CANCELLED = (
        "cancelled",
        "The shipment was cancelled and should be in the warehouse.",
        "Look for it there.",
    )
    CARTONS_DO_NOT_MATCH = (
        "cartons_do_not_match",
        "The cartons do not hold exactly the items of the shipment, or share an id.",
        "Pack exactly its items, each carton under its own carton_id.",
    )
    COLLECTED = (
        "collected",
        "The shipment is collected at the counter; no carrier takes it.",
        "Record when it was collected.",
    )
    NOT_A_PICKUP = (
        "not_a_pickup",
        "The shipment is sent with a carrier; it is not collected.",
        "Book it.",
    )
    NOT_ANSWERED = (
        "not_answered",
        "The carrier has not answered the booking yet.",
        "Try again when it has, or cancel the shipment.",
    )
    NOT_BOOKED = (
        "not_booked",
        "The shipment was not given to a carrier.",
        "Book it first.",
    )
    NOT_ON_ITS_WAY = (
        "not_on_its_way",
        "The shipment has not left, or has come to its end.",
        "Cancel the shipment if it has not left.",
    )
    NOT_PACKED = (
        "not_packed",
        "The shipment has no weight yet.",
        "Pack it before booking it.",
    )
    NOT_READY = (
        "not_ready",
        "The shipment is not ready for collection.",
        "Look for it in the warehouse.",
    )
    OTHER_NUMBER = (
        "other_number",
        "The shipment does not travel under this tracking number.",
        "Ask the carrier which parcel has this number.",
    )
    TOO_MANY_ANSWERS = (
        "too_many_answers",
        "The warehouse has answered as often as one request keeps answers.",
        "Pack the shipment by hand, or cancel it.",
    )
    TOO_MANY_BILLS = (
        "too_many_bills",
        "The shipment has as many lines of bills as one may have.",
        "State their sum in one line.",
    )
    UNKNOWN_CARTON = (
        "unknown_carton",
        "The shipment has no such carton.",
        "Name cartons that it has, or leave them out.",
    )
    UNKNOWN_SHIPMENT = (
        "unknown_shipment",
        "There is no such shipment.",
        "Request it first; `oms-es shipment show ORDER` names the shipments of an order.",
        Code.NOT_FOUND,
    )
