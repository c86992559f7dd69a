"""Refusals that belong to no family: repeats, and names that nothing here has."""

from __future__ import annotations

from http import HTTPStatus

from oms_es.errors import Refusal
from oms_es.exit_codes import Code


class SharedRefusal(Refusal):
    """Refusals that any aggregate, or the code before it, may raise."""

    FORGOTTEN = (
        "forgotten",
        "The person of the order or of the account was forgotten: no personal data is accepted for it again.",
        "Refund what is owed, or place a new order; for money on account, open another account.",
    )
    ID_REUSED = (
        "id_reused",
        "A name that was used before is used for something else.",
        "Repeat it with the same content, or use another name.",
    )
    LEGAL_HOLD = (
        "legal_hold",
        "A legal case needs the personal data of the order, the account or the statement.",
        "Wait until the case is over, then lift its hold.",
    )
    LEGAL_HOLD_LIFTED = (
        "legal_hold_lifted",
        "The hold of this case was lifted: a case holds an order, an account or a statement once.",
        "Place the hold under another case id.",
    )
    LOCATION_CLOSED = (
        "location_closed",
        "The location is closed and takes nothing more.",
        "Open it again, or name another.",
    )
    NO_LEGAL_HOLD = (
        "no_legal_hold",
        "No case of this id holds it.",
        "Name the case that holds it.",
    )
    STILL_RUNNING = (
        "still_running",
        "The order has not ended, goods of it are under way, or money is on the account: its person is needed.",
        "Wait until it has ended, or end it; pay out what is on the account.",
    )
    UNKNOWN_ACCOUNT = (
        "unknown_account",
        "There is no such account.",
        "`oms-es account list` names them; open it with `oms-es account open`.",
        Code.NOT_FOUND,
    )
    UNKNOWN_INVOICE = (
        "unknown_invoice",
        "The seller has issued no such number in that year.",
        "See which there are with `oms-es invoice list`.",
        Code.NOT_FOUND,
    )
    UNKNOWN_ASIDE = (
        "unknown_aside",
        "No reaction was put aside under this name.",
        "See `oms-es dead-letters list`.",
        Code.NOT_FOUND,
    )
    UNKNOWN_RECONCILIATION = (
        "unknown_reconciliation",
        "The account was never reconciled.",
        "Run `oms-es reconcile run` first.",
        Code.NOT_FOUND,
    )
    UNKNOWN_CONNECTION = (
        "unknown_connection",
        "There is no such connection.",
        "`oms-es connections list` names them.",
        Code.NOT_FOUND,
    )
    UNKNOWN_DOCUMENT = (
        "unknown_document",
        "No document with this hash is kept.",
        "Keep its bytes first, as with `oms-es documents add`, then attach it.",
        Code.NOT_FOUND,
    )
    UNKNOWN_EXCEPTION = (
        "unknown_exception",
        "There is no such exception: none was raised under this name, or it has settled itself.",
        "`oms-es exceptions list` names those that are open.",
        Code.NOT_FOUND,
    )
    UNKNOWN_LOCATION = (
        "unknown_location",
        "There is no such location.",
        "Open it with `oms-es location open`.",
        Code.NOT_FOUND,
    )
    UNKNOWN_NUMBERING = (
        "unknown_numbering",
        "The channel has no numbering.",
        "Set it with `oms-es numbering set-order-numbering`.",
        Code.NOT_FOUND,
    )
    UNKNOWN_ORDER = (
        "unknown_order",
        "There is no such order.",
        "Look its id up with `oms-es orders list`.",
        Code.NOT_FOUND,
    )
    UNKNOWN_PAYMENT = (
        "unknown_payment",
        "There is no such payment.",
        "`oms-es payment show ORDER` names the payments of an order.",
        Code.NOT_FOUND,
    )
    UNKNOWN_PROVIDER = (
        "unknown_provider",
        "The provider reported nothing under this id.",
        "Look the report up with `oms-es exceptions list`.",
        Code.NOT_FOUND,
    )
    UNKNOWN_RATES = (
        "unknown_rates",
        "The carrier has no rates.",
        "Publish them with `oms-es rates publish`.",
        Code.NOT_FOUND,
    )
    UNKNOWN_RMA = (
        "unknown_rma",
        "There is no such return.",
        "`oms-es return show ORDER` names the returns of an order.",
        Code.NOT_FOUND,
    )
    UNKNOWN_SECRET = (
        "unknown_secret",
        "No secret is kept under this id.",
        "Keep it first with POST /v1/webhook-secrets, or use `oms-es subscriptions create`.",
        Code.NOT_FOUND,
    )
    UNKNOWN_SERIALS = (
        "unknown_serials",
        "No unit of this SKU carries a serial number.",
        "Receive it with `oms-es serials receive`.",
        Code.NOT_FOUND,
    )
    UNKNOWN_SHIPMENT = (
        "unknown_shipment",
        "There is no such shipment.",
        "`oms-es shipment show ORDER` names the shipments of an order.",
        Code.NOT_FOUND,
    )
    UNKNOWN_SKU = (
        "unknown_sku",
        "There has never been stock of this SKU at this location.",
        "Receive or count units of it there first.",
        Code.NOT_FOUND,
    )
    UNKNOWN_STATEMENT = (
        "unknown_statement",
        "There is no such statement.",
        "`oms-es reconcile statements` names them; it is called ACCOUNT/STATEMENT.",
        Code.NOT_FOUND,
    )
    UNKNOWN_SUBSCRIPTION = (
        "unknown_subscription",
        "There is no such subscription.",
        "`oms-es subscriptions list` names them.",
        Code.NOT_FOUND,
    )
    VERSION_CHANGED = (
        "version_changed",
        "The resource is no longer at the version that the request states.",
        "Read the resource again, and decide again.",
        Code.REFUSED,
        HTTPStatus.PRECONDITION_FAILED,
    )
