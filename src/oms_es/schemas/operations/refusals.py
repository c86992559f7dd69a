"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal


class OperationsRefusal(Refusal):
    """Refusals about exceptions, webhook connections and subscriptions, and documents."""

    ALREADY_RESOLVED = (
        "already_resolved",
        "The exception was resolved before, in another way.",
        "There is nothing to do: `oms-es exceptions show` names who resolved it, and how.",
    )
    ATTACHED_OTHERWISE = (
        "attached_otherwise",
        "The document is attached to it already, as another kind or with another reference or term.",
        "Detach it with `oms-es documents detach`, then attach it as it should be.",
    )
    CHANNEL_NEEDED = (
        "channel_needed",
        "A connection of this dialect needs a channel, or can have none.",
        "Name the channel for WooCommerce; name none for Shopify, Stripe and carriers.",
    )
    CONNECTION_EXISTS = (
        "connection_exists",
        "There is a connection of this name already.",
        "Rotate its secret, or take another name.",
    )
    DOCUMENT_NEEDED = (
        "document_needed",
        "The document is a label or a statement, whose bytes history needs.",
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
        "Remove it after that day, which the detail names.",
    )
    ENCRYPTED_MEANWHILE = (
        "encrypted_meanwhile",
        "Another process has encrypted these events of the log.",
        "Migrate the database again: that goes on from there.",
    )
    RAISED_AGAIN = (
        "raised_again",
        "The exception was raised again since it was read: there is something newer to decide about.",
        "Read it again with `oms-es exceptions show`, then decide.",
    )
    RAISED_IN_FUTURE = (
        "raised_in_future",
        "The exception is said to be raised later than now.",
        "Name it with the moment at which the list of open exceptions says that it was last raised.",
    )
    REPORT_NOT_MADE = (
        "report_not_made",
        "The report was not made for this period, so nothing of it can have been delivered.",
        "`oms-es report-files list` lists what was made.",
    )
    SNOOZE_OUT_OF_RANGE = (
        "snooze_out_of_range",
        "The time until which the exception would be snoozed is over, or too far away.",
        "Snooze it until a time within the next 30 days.",
    )
    SUBSCRIPTION_EXISTS = (
        "subscription_exists",
        "There is a subscription of this name already.",
        "Change it, rotate its secret, or take another name.",
    )
    TOO_MANY_ATTACHMENTS = (
        "too_many_attachments",
        "The document is attached to the highest number of things.",
        "Detach it from one of them with `oms-es documents detach` first.",
    )
