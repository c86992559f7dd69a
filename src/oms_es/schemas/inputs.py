"""Every problem of input from outside: its stable code, what it means, and what its sender does next.

A dead letter is kept under its code. Input that a command line reads at once ends the command with it.
"""

from __future__ import annotations

from oms_es.errors import InputProblem


class Input(InputProblem):
    """What is wrong with a message, a line of a file, or a callback."""

    BAD_CALLBACK = (
        "bad_callback",
        "A callback of a provider or carrier cannot be read, or says what cannot be.",
        "Ask the sender to send it again.",
    )
    BAD_INVOICE = (
        "bad_invoice",
        "An invoice cannot be read by a program, or not for certain.",
        "Ask its seller for the XML, or attach it without reading it.",
    )
    BAD_STATEMENT = (
        "bad_statement",
        "A statement of an account cannot be read for certain, or does not add up.",
        "Fetch the file again as it was sent; the line that is named says what is wrong.",
    )
    BAD_TRACKER = (
        "bad_tracker",
        "A message about a parcel is not one of a tracker.",
        "Send a tracker.updated event, or a tracker.",
    )
    INVALID_AMOUNT = (
        "invalid_amount",
        "An amount of money cannot be read.",
        "Correct the field that is named.",
    )
    INVALID_COMMAND = (
        "invalid_command",
        "What follows from an event is not a valid command.",
        "Correct what the event names, then replay the dead letter.",
    )
    INVALID_ORDER = (
        "invalid_order",
        "Fields of the order are missing, unknown or not what is expected.",
        "Correct the fields that are named and send the order again.",
    )
    LINE_TOO_LONG = (
        "line_too_long",
        "A line of the file is longer than a line may be.",
        "Split the order.",
    )
    NO_ARRAY = (
        "no_array",
        "The body is not an array of orders.",
        "Send an array of orders, or one order a line.",
    )
    NO_COMMAND = (
        "no_command",
        "The dead letter names no command that the engine knows.",
        "Upgrade the engine, or discard the dead letter.",
    )
    NO_OBJECT = (
        "no_object",
        "The body is not a JSON object.",
        "Send one JSON object; {} where nothing is to be said.",
    )
    NO_REACTION = (
        "no_reaction",
        "The dead letter names no event, or a reader that has nothing to do with it.",
        "Look whether its gateway is connected, then replay it.",
    )
    NOT_DATED = (
        "not_dated",
        "An order does not say when it was changed.",
        "Send updated_at with it.",
    )
    NOT_JSON = (
        "not_json",
        "The message is not one JSON object in UTF-8.",
        "Send one JSON object per message.",
    )
    NOT_SENT = (
        "not_sent",
        "The fulfilment is of something that has not left.",
        "Look whether it was reported as sent.",
    )
    NOTHING_TO_SHIP = (
        "nothing_to_ship",
        "No line of it is shipped.",
        "Nothing follows from it: discard the dead letter.",
    )
    NUL_CHARACTER = (
        "nul_character",
        "A text contains the character NUL.",
        "Leave the character out and send the message again.",
    )
    OTHER_CHANNEL = (
        "other_channel",
        "The message is of a channel that does not write to this topic.",
        "Send it to the topic of its channel.",
    )
    OUT_OF_RANGE = (
        "out_of_range",
        "A number, date or text is beyond what is accepted.",
        "Correct the field that is named.",
    )
    PARTLY_FULFILLED = (
        "partly_fulfilled",
        "The order was sent in part and does not say which part.",
        "Send it with its fulfilments, or with fulfillable_quantity of each line.",
    )
    PARTLY_REFUNDED = (
        "partly_refunded",
        "The order was refunded in part and does not say of which units.",
        "Send it as it was created, and its refunds by themselves.",
    )
    PAYMENT_FAILED = (
        "payment_failed",
        "The order was not paid for in the shop.",
        "Send it again once it is paid for.",
    )
    TEST_ORDER = (
        "test_order",
        "The order is a test of the shop's.",
        "Nothing is done for it: place a real order.",
    )
    TOTAL_MISMATCH = (
        "total_mismatch",
        "The total of the order is not the sum of its parts.",
        "Compare lines, discounts, taxes and shipping in the shop.",
    )
    UNEXPECTED = (
        "unexpected",
        "This program made a mistake with it, not its sender.",
        "Upgrade the engine, then replay the dead letter.",
    )
    UNKNOWN_CHANNEL = (
        "unknown_channel",
        "The order names a channel that nothing here knows.",
        "Name it in a return policy or at a location, or set OMS_UNKNOWN_CHANNEL.",
    )
    UNKNOWN_COUNTRY = (
        "unknown_country",
        "The order names a country that is none.",
        "Write its code of ISO 3166-1 alpha-2.",
    )
    UNKNOWN_DELIVERY_OPTION = (
        "unknown_delivery_option",
        "The order names a delivery option that is not defined.",
        "Define it with `oms-es delivery define-option`.",
    )
    UNKNOWN_SKU = (
        "unknown_sku",
        "The order names a SKU that nothing here knows.",
        "Describe it with `oms-es item describe`, or receive stock of it.",
    )
    UNKNOWN_STATUS = (
        "unknown_status",
        "The order has a status that its shop's software does not have by itself.",
        "Send it again once it has one that is known.",
    )
    UNKNOWN_TYPE = (
        "unknown_type",
        "The message has a type that no channel sends.",
        "Write one of the types that are named.",
    )
    UNREAD_EVENT = (
        "unread_event",
        "The provider sends an event that is not read here.",
        "Take it off the webhook's list of events.",
    )
