"""The check whether a command's stream exists, for commands that are given by hand: a stream cannot know of others.

Invariant: a command about something that does not exist is refused and begins no stream. An exception exists if it was
raised, by whatever stream, or if a person has dealt with it. Commands that begin a stream
are listed, and so are reports of carriers, providers and channels that may come before the thing that they are about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from oms_es.aggregates.order.split_merge import why_not_merged
from oms_es.exit_codes import Code
from oms_es.kernel import Command, Refused
from oms_es.reports import names
from oms_es.reports.operations import exceptions
from oms_es.reports.queries import Connection
from oms_es.schemas.catalog.item import DefineBundle, DescribeItem
from oms_es.schemas.catalog.location import LocationClosed, OpenLocation
from oms_es.schemas.catalog.numbering import SetOrderNumbering
from oms_es.schemas.catalog.rates import DefineDeliveryOption, PublishRates
from oms_es.schemas.catalog.routes import PublishGatewayRoutes
from oms_es.schemas.catalog.rules import PublishSourcingRules
from oms_es.schemas.catalog.serial import ReceiveSerials, RecordSerialsSeen
from oms_es.schemas.finance.account import OpenAccount
from oms_es.schemas.finance.gift_card import IssueGiftCard
from oms_es.schemas.finance.invoicing import SetSeller
from oms_es.schemas.finance.reconciliation import RecordReconciliation
from oms_es.schemas.finance.statement import RecordStatement
from oms_es.schemas.operations.aside import PutReactionAside
from oms_es.schemas.operations.connection import OpenConnection
from oms_es.schemas.operations.document import AttachDocument, RecordDocumentFields, RemoveDocument
from oms_es.schemas.operations.encryption import RecordEncryption
from oms_es.schemas.operations.exception import AssignException, OpenException, ResolveException, SnoozeException
from oms_es.schemas.operations.refusals import OperationsRefusal
from oms_es.schemas.operations.report import RecordReportDelivery, RecordReportFiles
from oms_es.schemas.operations.subscription import OpenSubscription
from oms_es.schemas.order import (
    AmendOrder,
    AssignOrder,
    CancelOrder,
    MergeOrders,
    PlaceExchange,
    PlaceJoined,
    PlaceOrder,
    RecordChannelRefund,
    RecordFulfilment,
    YieldToMerge,
)
from oms_es.schemas.order.refusals import OrderRefusal
from oms_es.schemas.order.returns import RequestReturn
from oms_es.schemas.payment import RequestPayment
from oms_es.schemas.payment.provider import RecordProviderReport
from oms_es.schemas.payment.references import ClaimReference
from oms_es.schemas.refusals import SharedRefusal
from oms_es.schemas.returns.feedback import RecordFeedback
from oms_es.schemas.returns.policy import SetReturnPolicy
from oms_es.schemas.returns.rma import OpenRma
from oms_es.schemas.shipment import AttachLabel, RequestShipment
from oms_es.schemas.shipment.tracker import RecordSharedNumber, RecordTracking
from oms_es.schemas.stock import (
    AdmitMove,
    AdmitSerials,
    CountStock,
    ExpectInbound,
    ExpireReservation,
    MoveStock,
    ReceiveStock,
    ReleaseStock,
    ReserveStock,
    RestockReturn,
    SetChannelShare,
    SetPresaleLimit,
    SetReorderPoint,
    SetSafetyStock,
    StockCommand,
)
from oms_es.store.documents import table as documents
from oms_es.store.http import webhook_secrets

Kinds = tuple[type[Command], ...]
OF_PLACES: Kinds = (
    *(ReceiveStock, CountStock, ExpectInbound, ReceiveSerials),
    *(SetSafetyStock, SetPresaleLimit, SetChannelShare, SetReorderPoint),
    *(AdmitSerials, AdmitMove, RestockReturn, RecordSerialsSeen),
)
"""Commands about goods that a location may not have had yet: only the location must exist."""
OF_THE_WORLD: Kinds = (
    *(RecordProviderReport, ClaimReference, RecordTracking, RecordSharedNumber),
    *(RecordStatement, RecordReconciliation),
)
"""Reports of providers and carriers, which may concern something that is not known yet: it is matched when it is."""
OF_EXCEPTIONS = (AssignException, SnoozeException, ResolveException)
"""What people do about an exception: its stream begins with the first of these, and other streams raise it."""
BEGINNINGS: Kinds = (
    *(*OF_PLACES, *OF_THE_WORLD),
    *(PlaceOrder, PlaceExchange, PlaceJoined, MergeOrders, RequestPayment, RequestShipment, OpenRma),
    *(OpenLocation, DescribeItem, DefineBundle, SetOrderNumbering, SetReturnPolicy),
    *(PublishSourcingRules, PublishRates, DefineDeliveryOption, PublishGatewayRoutes),
    *(*OF_EXCEPTIONS, RecordFeedback, OpenException, PutReactionAside),
    *(OpenConnection, OpenSubscription, OpenAccount, IssueGiftCard, SetSeller),
    *(AttachDocument, RecordDocumentFields, RecordEncryption, RecordReportFiles, RecordReportDelivery),
)
"""Commands that begin a stream."""
BEFORE_ITS_ORDER = (AmendOrder, CancelOrder, RecordFulfilment, RecordChannelRefund)
"""Commands that a channel may give before the order, with `keep`."""
LETTING_GO = (ReleaseStock, ExpireReservation)
"""Commands that may concern an unknown order."""
INTO_PLACES = (ReceiveStock, ExpectInbound, ReserveStock, SetPresaleLimit, ReceiveSerials)
"""Commands that a closed location does not accept. What is there can be counted, moved and written off, and expected
units can be received."""


class Missing(Refused):
    """The entity that a command names does not exist."""

    exit_code = Code.NOT_FOUND
    status = HTTPStatus.NOT_FOUND


class Asking(NamedTuple):
    """What the check reads: the store's newest state of each stream, with its version, and the read models, for
    similar names.
    """

    state_of: Callable[[str], tuple[Any, int]]
    connection: Connection

    def exists(self, stream: str) -> bool:
        return self.state_of(stream)[1] > 0


def require(asking: Asking, command: Command) -> None:
    """Raise Missing if something that the command names does not exist, and Refused if a location is closed."""
    for location in dict.fromkeys(_locations(command)):
        _require_location(asking, command, location)
    begins = type(command) in BEGINNINGS or (isinstance(command, BEFORE_ITS_ORDER) and command.keep)
    if not (begins or asking.exists(command.stream)):
        raise _missing(asking, command)
    for order_id in dict.fromkeys(_orders(command)):
        if not asking.exists(f"order-{order_id}"):
            raise _no_order(order_id)
    if (account := getattr(command, "to_account", "")) and not asking.exists(f"account-{account}"):
        raise Missing(SharedRefusal.UNKNOWN_ACCOUNT, f"there is no account {account}; {WORDS['account'][1]}")
    if isinstance(command, OF_EXCEPTIONS) and not asking.exists(command.stream):
        _require_exception(asking.connection, command)
    if isinstance(command, MergeOrders):
        _require_mergeable(asking, command)
    if isinstance(command, RequestReturn):
        _require_own_name(asking, command)
    if isinstance(command, AttachDocument):
        _require_entity(asking, command)
    if isinstance(command, AttachLabel | RecordStatement | AttachDocument | RecordDocumentFields):
        require_document(asking.connection, command)
    if isinstance(command, RecordReportFiles):
        for file in command.files:
            require_kept(asking.connection, file.sha256, documents.claim)
    if isinstance(command, RemoveDocument) and documents.is_of_the_engine(asking.connection, command.sha256):
        raise Refused(
            OperationsRefusal.DOCUMENT_NEEDED,
            "a label, a statement or a report of history has these bytes: detach it instead",
        )
    if secret_id := getattr(command, "secret_id", ""):
        _require_secret(asking.connection, secret_id)


def _require_exception(connection: Connection, command: Any) -> None:
    """Raise Missing if the exception is neither open, nor resolved."""
    if exceptions.was_raised(connection, command.exception_id):
        return
    near = exceptions.like(connection, command.exception_id)
    hint = f"did you mean {near}?" if near else "`oms-es exceptions list` names those that are open"
    raise Missing(
        SharedRefusal.UNKNOWN_EXCEPTION,
        f"no exception {command.exception_id} was raised, or it has settled itself; {hint}",
    )


def _require_mergeable(asking: Asking, command: MergeOrders) -> None:
    """Raise Refused if it is known already that fewer than two of the orders can be merged; otherwise the orders
    decide.
    """
    if asking.exists(command.stream):
        return
    terms, reasons = None, {}
    for order_id in dict.fromkeys(command.order_ids):
        order, _ = asking.state_of(f"order-{order_id}")
        question = YieldToMerge(order_id=order_id, to_order_id=command.order_id, channel=command.channel, terms=terms)
        if reason := why_not_merged(order, question):
            reasons[order_id] = reason
        else:
            terms = terms or order.content
    if len({*command.order_ids}) - len(reasons) < 2:  # noqa: PLR2004 - to be one
        said = "; ".join(f"order {order_id}: {reason}" for order_id, reason in reasons.items())
        raise Refused(
            OrderRefusal.NOT_MERGEABLE,
            f"{said or 'only one order is named'}; name at least two orders that can be merged",
        )


def _require_own_name(asking: Asking, command: RequestReturn) -> None:
    """Raise Refused if the return id belongs to another order: the return would be refused later, when no caller
    waits.
    """
    rma, version = asking.state_of(f"rma-{command.rma_id}")
    if version and rma.opened and rma.opened.order_id != command.order_id:
        raise Refused(
            SharedRefusal.ID_REUSED,
            f"rma_id {command.rma_id} is a return of order {rma.opened.order_id}; use another rma_id",
        )


def _require_entity(asking: Asking, command: AttachDocument) -> None:
    """Raise Missing if the entity that a document is attached to does not exist."""
    if asking.exists(f"{command.entity}-{command.entity_id}"):
        return
    if command.entity == "order":
        raise _no_order(command.entity_id)
    what, where = WORDS[command.entity]
    refusal = SharedRefusal.by_code(f"unknown_{command.entity}")
    raise Missing(refusal, f"there is no {what} {command.entity_id}; {where}")


def require_document(
    connection: Connection, command: AttachLabel | RecordStatement | AttachDocument | RecordDocumentFields
) -> None:
    """Raise Missing if the document's bytes are not kept. Bytes that a label or a statement names are never swept."""
    if isinstance(command, AttachDocument | RecordDocumentFields):
        require_kept(connection, command.sha256, documents.may_be_named)
    else:
        address = command.document.sha256 if isinstance(command, AttachLabel) else command.document_sha256
        require_kept(connection, address, documents.claim)


def require_kept(connection: Connection, address: str, is_kept: Callable[[Connection, str], bool]) -> None:
    """Raise Missing if no bytes are kept under the address, as `is_kept` finds."""
    if not is_kept(connection, address):
        raise Missing(
            SharedRefusal.UNKNOWN_DOCUMENT,
            f"no document {address} is kept; keep its bytes first, as with `oms-es documents add`, then attach it",
        )


def _require_secret(connection: Connection, secret_id: str) -> None:
    """Raise Missing if the secret is not kept: webhooks would be sent unsigned, or all be rejected."""
    if not webhook_secrets.named(connection, [secret_id]):
        raise Missing(
            SharedRefusal.UNKNOWN_SECRET, f"no secret {secret_id} is kept; keep it first with POST /v1/webhook-secrets"
        )


def _locations(command: Command) -> Iterator[str]:
    if isinstance(command, AssignOrder):
        yield from (one.location for one in command.assignments)
    for name in ("location", "to_location"):
        if not isinstance(command, OpenLocation) and (given := getattr(command, name, "")):
            yield given


def _orders(command: Command) -> Iterator[str]:
    if isinstance(command, MergeOrders):
        yield from command.order_ids
    elif not isinstance(command, LETTING_GO):
        order_id: str = getattr(command, "order_id", "")
        if order_id and command.stream != f"order-{order_id}":
            yield order_id


def _require_location(asking: Asking, command: Command, location: str) -> None:
    state, version = asking.state_of(f"location-{location}")
    if not version:
        near = names.location_like(asking.connection, location)
        hint = f"did you mean {near}?" if near else "open it with `oms-es location open`"
        raise Missing(SharedRefusal.UNKNOWN_LOCATION, f"there is no location {location}; {hint}")
    goes_there = isinstance(command, INTO_PLACES) or (
        isinstance(command, MoveStock) and location == command.to_location
    )
    if goes_there and isinstance(state, LocationClosed):
        raise Refused(SharedRefusal.LOCATION_CLOSED, f"location {location} is closed; open it again, or name another")


def _no_order(order_id: str) -> Missing:
    return Missing(SharedRefusal.UNKNOWN_ORDER, f"there is no order {order_id}; list the orders that there are")


def _missing(asking: Asking, command: Command) -> Missing:
    category, _, name = command.stream.partition("-")
    if category == "order":
        return _no_order(name)
    if isinstance(command, StockCommand):
        near = names.sku_like(asking.connection, command.sku)
        like = f", did you mean {near}?" if near and near != command.sku else ""
        detail = f"there has never been any {command.sku} at {command.location}{like}; receive or count it there first"
        return Missing(SharedRefusal.UNKNOWN_SKU, detail)
    what, where = WORDS.get(category, (category, "see `oms-es --help`"))
    return Missing(SharedRefusal.by_code(f"unknown_{category}"), f"there is no {what} {name}; {where}")


WORDS: Mapping[str, tuple[str, str]] = {
    "payment": ("payment", "`oms-es payment show ORDER` lists the payments of an order"),
    "shipment": ("parcel", "`oms-es shipment show ORDER` lists the parcels of an order"),
    "rma": ("return", "`oms-es return show ORDER` lists the returns of an order"),
    "rates": ("carrier with rates", "publish them with `oms-es rates publish`"),
    "document": ("document", "`oms-es documents list` names those that are attached"),
    "statement": ("statement", "`oms-es reconcile statements` names them, as ACCOUNT/STATEMENT"),
    "connection": ("connection", "`oms-es connections list` names them"),
    "subscription": ("subscription", "`oms-es subscriptions list` names them"),
    "account": ("account", "`oms-es account list` names them; open it with `oms-es account open`"),
    "invoice": ("series of invoices", "`oms-es invoice list` names those that were issued"),
    "reconciliation": ("reconciled account", "run it first with `oms-es reconcile run`"),
    "location": ("location", "`oms-es location list` lists them"),
}
"""For each kind of stream its name in messages, and where a person finds the existing ones."""
