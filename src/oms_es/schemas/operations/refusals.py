"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal


class OperationsRefusal(Refusal):
    """What the inbox of exceptions refuses, and who is connected by webhooks."""

    ALREADY_RESOLVED = (
        "already_resolved",
        "The exception was resolved before, otherwise.",
        "Nothing: see who resolved it, and how, with `oms-es exceptions show`.",
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
