"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal


class OperationsRefusal(Refusal):
    """What the inbox of exceptions refuses, who is connected by webhooks, and documents."""

    ALREADY_RESOLVED = (
        "already_resolved",
        "The exception was resolved before, otherwise.",
        "Nothing: see who resolved it, and how, with `oms-es exceptions show`.",
    )
    ATTACHED_OTHERWISE = (
        "attached_otherwise",
        "The document is attached there already, as another kind or with another reference or term.",
        "Detach it with `oms-es documents detach`, then attach it as it should be.",
    )
    CHANNEL_NEEDED = (
        "channel_needed",
        "A connection of this dialect needs a channel, or can have none.",
        "Say whose orders WooCommerce's are; Shopify, Stripe and EasyPost have none.",
    )
    CONNECTION_EXISTS = (
        "connection_exists",
        "A connection of this name is there already.",
        "Rotate its secret, or take another name.",
    )
    DOCUMENT_NEEDED = (
        "document_needed",
        "The bytes are those of a label or a statement, which history needs.",
        "Detach it with `oms-es documents detach` instead; its bytes stay.",
    )
    DOCUMENT_REMOVED = (
        "document_removed",
        "The document was removed for good.",
        "Add another copy, such as a new scan, and attach that.",
    )
    DOCUMENT_RETAINED = (
        "document_retained",
        "The document is to be kept until a day that is not over.",
        "Remove it after that day, which the refusal names.",
    )
    SNOOZE_OUT_OF_RANGE = (
        "snooze_out_of_range",
        "The moment until which the exception would be put off is over, or too far away.",
        "Put it off until a moment within the next 30 days.",
    )
    SUBSCRIPTION_EXISTS = (
        "subscription_exists",
        "A subscription of this name is there already.",
        "Change it, rotate its secret, or take another name.",
    )
    TOO_MANY_ATTACHMENTS = (
        "too_many_attachments",
        "The document is attached to as many things as it may be.",
        "Detach it somewhere with `oms-es documents detach` first.",
    )
