"""Every problem of input from outside: its stable code, what it means, and what its sender does next.

A dead letter is kept with its code. A command line ends with the code if it reads the input at once.
"""

from __future__ import annotations

from oms_es.errors import InputProblem


class Input(InputProblem):
    """What is wrong with a message, a line of a file, or a callback."""

    BAD_CALLBACK = (
        "bad_callback",
        "A callback of a provider or carrier cannot be read, or states something impossible.",
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
        "A message about a parcel is not a tracker message.",
        "Send a tracker.updated event, or a tracker.",
    )
    INVALID_AMOUNT = (
        "invalid_amount",
        "An amount of money cannot be read.",
        "Correct the field that is named.",
    )
    INVALID_COMMAND = (
        "invalid_command",
        "The command that follows from an event is not valid.",
        "Correct the data that the event names, then replay the dead letter.",
    )
    INVALID_ORDER = (
        "invalid_order",
        "Fields of the order are missing, unknown or not valid.",
        "Correct the named fields and send the order again.",
    )
    LINE_TOO_LONG = (
        "line_too_long",
        "A line of the file is longer than a line may be.",
        "Split the order.",
    )
    NAME_TWICE = (
        "name_twice",
        "The same name stands twice in one JSON object, and programs differ in which of the values they take.",
        "Leave one of them out and send the message again.",
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
        "Send one JSON object; {} if there is nothing to say.",
    )
    NO_REACTION = (
        "no_reaction",
        "The dead letter names no event, or a reader that does not react to it.",
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
        "The fulfilment concerns units that have not left.",
        "Check whether it was reported as sent.",
    )
    NOTHING_TO_SHIP = (
        "nothing_to_ship",
        "No line of the order is shipped.",
        "The order needs no fulfilment: discard the dead letter.",
    )
    NUL_CHARACTER = (
        "nul_character",
        "A text contains the character NUL.",
        "Leave the character out and send the message again.",
    )
    OTHER_ACCOUNT = (
        "other_account",
        "A callback of a payment provider is about another account's money.",
        "Let the provider send events of your own account only.",
    )
    OTHER_CHANNEL = (
        "other_channel",
        "The message names a channel that does not write to this topic.",
        "Send the message to the topic of its channel.",
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
        "The order is a test order of the shop.",
        "Nothing is done for it: place a real order.",
    )
    TOTAL_MISMATCH = (
        "total_mismatch",
        "The total of the order is not the sum of its parts.",
        "Compare lines, discounts, taxes and shipping in the shop.",
    )
    UNEXPECTED = (
        "unexpected",
        "The program failed to process it; its sender made no mistake.",
        "Upgrade the engine, then replay the dead letter.",
    )
    UNKNOWN_CHANNEL = (
        "unknown_channel",
        "The order names an unknown channel.",
        "Name it in a return policy or at a location, or set OMS_UNKNOWN_CHANNEL.",
    )
    UNKNOWN_COUNTRY = (
        "unknown_country",
        "The order names a country code that does not exist.",
        "Write the country's code of ISO 3166-1 alpha-2.",
    )
    UNKNOWN_DELIVERY_OPTION = (
        "unknown_delivery_option",
        "The order names a delivery option that is not defined.",
        "Define it with `oms-es delivery define-option`.",
    )
    UNKNOWN_SKU = (
        "unknown_sku",
        "The order names an unknown SKU.",
        "Describe it with `oms-es item describe`, or receive stock of it.",
    )
    UNKNOWN_STATUS = (
        "unknown_status",
        "The order has a custom status, which the shop's software does not define.",
        "Send the order again once it has a known status.",
    )
    UNKNOWN_TYPE = (
        "unknown_type",
        "The message has a type that no channel sends.",
        "Write one of the named types.",
    )
    UNREAD_EVENT = (
        "unread_event",
        "The provider sends an event that is not read here.",
        "Take it off the webhook's list of events.",
    )
