"""The postings of the events of one order and its payments.

Invariant: a customer never has a debt and an advance payment at the same time; a debt is never negative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from rpds import HashTrieMap, HashTrieSet

from oms_es.books import chart
from oms_es.kernel import Event
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.finance.account import METHOD, account_in
from oms_es.schemas.order import returns as x

Moves = list[tuple[str, int]]
"""Accounts and amounts, in the currency of the order; a debit is positive."""


class Parcel(NamedTuple):
    """A planned parcel: the part of its worth that the customer is charged, and the part paid by an exchange's credit.

    The rest is not charged.
    """

    plan: o.ShipmentPlan
    charged: int
    credit: int = 0

    @property
    def worth(self) -> int:
        return self.plan.worth_minor if self.plan.lines else self.charged

    @property
    def not_charged(self) -> int:
        return self.worth - self.charged - self.credit

    @property
    def tax(self) -> int:
        return sum(line.tax_minor for line in self.plan.lines)


class Paid(NamedTuple):
    """Where the money of a paid refund came from: a granted refund, a deposit, an advance payment, or earned
    revenue.
    """

    granted: int = 0
    held: int = 0
    ahead: int = 0
    earned: int = 0


class OrderBook(NamedTuple):
    """The bookkeeping of one order.

    `credit`: an exchange's unused credit. `due`: refunds by payment that are granted and not paid, whatever their id
    when they are paid.
    """

    currency: str = ""
    credit: int = 0
    receivable: int = 0
    advances: int = 0
    deposit_kept: bool = False
    parcels: HashTrieMap[str, Parcel] = HashTrieMap()
    left: HashTrieSet[str] = HashTrieSet()
    """Of parcels that have left only the names are kept, because there is a book for every order ever placed."""
    shares: HashTrieMap[str, tuple[int, int]] = HashTrieMap()
    """By line: what was paid for the units that left, and the tax in it."""
    methods: HashTrieMap[str, str] = HashTrieMap()
    deposits: HashTrieMap[str, int] = HashTrieMap()
    due: HashTrieMap[str, int] = HashTrieMap()
    paid: HashTrieMap[tuple[str, str], Paid] = HashTrieMap()
    returned: HashTrieMap[str, tuple[int, int]] = HashTrieMap()
    """By line: what was refunded, and the tax in it."""

    @property
    def deferred(self) -> int:
        return sum(one.worth for one in self.parcels.values())


Posted = tuple[OrderBook, Moves]


def post(book: OrderBook, event: Event) -> Posted:
    handle = HANDLERS.get(type(event))
    return handle(book, event) if handle else (book, [])


def clearing_of(book: OrderBook, event: Any) -> str:
    """Return the clearing account of the payment's method, or that of accounts if the money was credited to a
    customer's account.
    """
    to_account = isinstance(event, p.PaymentRefunded) and account_in(event.reference)
    return chart.sub(chart.CLEARING, METHOD if to_account else book.methods.get(event.payment_id) or "unknown")


def _charge(book: OrderBook, amount: int) -> Posted:
    """Charge an amount to the customer, less what was paid in advance."""
    ahead = min(book.advances, amount)
    book = book._replace(advances=book.advances - ahead, receivable=book.receivable + amount - ahead)
    return book, [(chart.ADVANCES, ahead), (chart.RECEIVABLE, amount - ahead)]


def _settle(book: OrderBook, amount: int) -> Posted:
    """Record that the customer paid an amount, or owes less by it."""
    owed = min(book.receivable, amount)
    book = book._replace(receivable=book.receivable - owed, advances=book.advances + amount - owed)
    return book, [(chart.RECEIVABLE, -owed), (chart.ADVANCES, owed - amount)]


def _placed(book: OrderBook, event: o.OrderPlaced) -> Posted:
    kept = event.deposit_kept or event.deposit_kept_early
    return book._replace(currency=event.currency, credit=event.credit_minor, deposit_kept=kept), []


def _released(book: OrderBook, event: o.OrderReleased) -> Posted:
    moves: Moves = []
    for plan in event.shipments:
        book, more = _plan(book._replace(currency=event.currency), plan)
        moves += more
    return book, moves


def _planned(book: OrderBook, event: o.OrderShipmentPlanned) -> Posted:
    """Plan the parcel. The plan of a held parcel is stated again when the hold ends; it counts once."""
    return _plan(book, event.plan)


def _plan(book: OrderBook, plan: o.ShipmentPlan) -> Posted:
    if plan.shipment_id in book.left:
        return book, []
    book, undone = _unplan(book, plan.shipment_id)
    parcel = Parcel(plan, sum(charge.amount_minor for charge in plan.charges) or plan.amount_minor)
    parcel = parcel._replace(credit=max(min(book.credit, parcel.not_charged), 0))
    book = book._replace(credit=book.credit - parcel.credit, parcels=book.parcels.insert(plan.shipment_id, parcel))
    book, moves = _charge(book, parcel.charged)
    return book, [*undone, *moves, *_promised(parcel, 1)]


def _promised(parcel: Parcel, sign: int) -> Moves:
    """Return the postings of a parcel's worth, which is owed to the customer, and of the part that they do not pay
    themselves.
    """
    moves = [
        (chart.STORE_CREDIT, parcel.credit),
        (chart.WRITE_OFF, parcel.not_charged),
        (chart.DEFERRED, -parcel.worth),
    ]
    return [(account, sign * amount) for account, amount in moves]


def _unplan(book: OrderBook, shipment_id: str) -> Posted:
    parcel = book.parcels.get(shipment_id)
    if parcel is None:
        return book, []
    book = book._replace(parcels=book.parcels.remove(shipment_id), credit=book.credit + parcel.credit)
    book, moves = _settle(book, parcel.charged)
    return book, [*_promised(parcel, -1), *moves]


def _stopped(book: OrderBook, event: o.OrderShipmentCancelled) -> Posted:
    return _unplan(book, event.shipment_id)


def _left(book: OrderBook, event: o.OrderShipmentDispatched | o.OrderShipmentDelivered) -> Posted:
    return _earned(book, event.shipment_id)


def _undelivered(book: OrderBook, event: o.OrderShipmentReturned | o.OrderShipmentLost) -> Posted:
    """Record that the parcel had left, even if that was not reported before."""
    return _earned(book, event.shipment_id)


def _earned(book: OrderBook, shipment_id: str) -> Posted:
    parcel = book.parcels.get(shipment_id)
    if parcel is None:
        return book, []
    book = book._replace(parcels=book.parcels.remove(shipment_id), left=book.left.insert(shipment_id))
    for line in parcel.plan.lines:
        paid, tax = book.shares.get(line.line_id, (0, 0))
        share = paid + line.amount_minor, tax + line.tax_minor
        book = book._replace(shares=book.shares.insert(line.line_id, share))
    shipping = parcel.plan.shipping_minor if parcel.plan.lines else 0
    goods = parcel.worth - parcel.tax - shipping
    earned = [(chart.SALES, -goods), (chart.SHIPPING, -shipping), (chart.TAX, -parcel.tax)]
    return book, [(chart.DEFERRED, parcel.worth), *earned]


def _cancelled(book: OrderBook, event: o.OrderCancelled) -> Posted:
    """Take back the planned parcels. A deposit that is not among the undone payments is kept."""
    moves: Moves = []
    for shipment_id in sorted(book.parcels.keys()):
        book, more = _unplan(book, shipment_id)
        moves += more
    undone = event.payment_ids or (event.payment_id,)
    for payment_id, amount in sorted(book.deposits.items()):
        if amount and book.deposit_kept and payment_id not in undone:
            book = book._replace(deposits=book.deposits.insert(payment_id, 0))
            moves += [(chart.DEPOSITS, amount), (chart.FORFEITED, -amount)]
    return book, moves


def _requested(book: OrderBook, event: p.PaymentRequested) -> Posted:
    book = book._replace(
        currency=book.currency or event.currency, methods=book.methods.insert(event.payment_id, event.method)
    )
    if event.capture_now and event.payment_id not in book.deposits:
        book = book._replace(deposits=book.deposits.insert(event.payment_id, 0))
    return book, []


def _captured(book: OrderBook, event: p.PaymentCaptured) -> Posted:
    came = (clearing_of(book, event), event.amount_minor)
    if event.payment_id in book.deposits:
        held = book.deposits[event.payment_id] + event.amount_minor
        book = book._replace(deposits=book.deposits.insert(event.payment_id, held))
        return book, [came, (chart.DEPOSITS, -event.amount_minor)]
    book, moves = _settle(book, event.amount_minor)
    return book, [came, *moves]


def _applied(book: OrderBook, event: p.PaymentDepositApplied) -> Posted:
    """Apply a deposit to a parcel. Money that was captured in advance and is no deposit was settled when it came."""
    held = book.deposits.get(event.payment_id, 0)
    used = min(held, event.amount_minor)
    if not used:
        return book, []
    book, moves = _settle(book._replace(deposits=book.deposits.insert(event.payment_id, held - used)), used)
    return book, [(chart.DEPOSITS, used), *moves]


def _refund(book: OrderBook, event: o.OrderRefundRequested) -> Posted:
    moves: Moves = []
    for part in event.parts:
        key = part.payment_id
        book = book._replace(due=book.due.insert(key, book.due.get(key, 0) + part.amount_minor))
        book, for_it = _given(book, part.allocations, part.amount_minor)
        moves += [*for_it, (chart.REFUNDS_DUE, -part.amount_minor)]
    if event.credit:
        book, for_it = _given(book, event.credit.allocations, event.credit.amount_minor)
        moves += [*for_it, (chart.STORE_CREDIT, -event.credit.amount_minor)]
    return book, moves


def _exchanged(book: OrderBook, event: x.OrderExchangeCredited) -> Posted:
    book, moves = _given(book, event.allocations, event.content.credit_minor)
    return book, [*moves, (chart.STORE_CREDIT, -event.content.credit_minor)]


def _given(book: OrderBook, allocations: Iterable[p.RefundAllocation], amount: int) -> Posted:
    """Return the postings of a refund by what it is for, and the tax in it.

    An amount without an allocation is a refund, too.
    """
    moves: Moves = []
    rest = amount
    for one in allocations:
        rest -= one.amount_minor
        tax = 0
        if one.kind == "line":
            book, tax = _tax_back(book, one.line_id, one.amount_minor)
        account = chart.STORE_CREDIT if one.kind == "credit" else chart.REFUNDS
        moves += [(account, one.amount_minor - tax), (chart.TAX, tax)]
    return book, [*moves, (chart.REFUNDS, rest)]


def _tax_back(book: OrderBook, line_id: str, amount: int) -> tuple[OrderBook, int]:
    """Return the tax in a line's refund, by its share in what was paid; when all is refunded, all of the tax is."""
    paid, tax = book.shares.get(line_id, (0, 0))
    given, before = book.returned.get(line_id, (0, 0))
    total = min(tax * (given + amount) // paid, tax) if paid else 0
    now = min(max(total - before, 0), amount)
    return book._replace(returned=book.returned.insert(line_id, (given + amount, before + now))), now


def _refunded(book: OrderBook, event: p.PaymentRefunded) -> Posted:
    """Record a paid refund: taken from granted refunds, then from what is not earned yet, then from what was earned."""
    key, left = (event.refund_id, event.payment_id), event.amount_minor
    granted = min(book.due.get(event.payment_id, 0), left)
    held = min(max(book.deposits.get(event.payment_id, 0), 0), left - granted)
    ahead = min(book.advances, left - granted - held)
    out = Paid(granted, held, ahead, left - granted - held - ahead)
    book = _paid(book, key, out, -1)
    return book._replace(paid=book.paid.insert(key, out)), [*_paid_out(out, 1), (clearing_of(book, event), -left)]


def _came_back(book: OrderBook, event: p.PaymentRefundReversed) -> Posted:
    """Record that a refund came back: the amounts return to where they were taken from.

    Whatever is not known to have been paid is owed.
    """
    key, left = (event.refund_id, event.payment_id), event.amount_minor
    before = book.paid.get(key, Paid())
    parts = []
    for amount in before:
        parts.append(min(amount, left))
        left -= parts[-1]
    back = Paid(parts[0] + left, *parts[1:])
    kept = Paid(*(was - now for was, now in zip(before, parts, strict=True)))
    ahead, back = back.ahead, back._replace(ahead=0)
    book = _paid(book, key, back, 1)._replace(paid=book.paid.insert(key, kept))
    book, moves = _settle(book, ahead)
    return book, [(clearing_of(book, event), event.amount_minor), *_paid_out(back, -1), *moves]


def _paid(book: OrderBook, key: tuple[str, str], out: Paid, sign: int) -> OrderBook:
    due, deposits, payment_id = book.due, book.deposits, key[1]
    if out.granted:
        due = due.insert(payment_id, due.get(payment_id, 0) + sign * out.granted)
    if out.held:
        deposits = deposits.insert(payment_id, deposits.get(payment_id, 0) + sign * out.held)
    return book._replace(due=due, deposits=deposits, advances=book.advances + sign * out.ahead)


def _paid_out(out: Paid, sign: int) -> Moves:
    accounts = (chart.REFUNDS_DUE, chart.DEPOSITS, chart.ADVANCES, chart.REFUNDS)
    return [(account, sign * amount) for account, amount in zip(accounts, out, strict=True)]


def _disputed(book: OrderBook, event: p.PaymentDisputeOpened) -> Posted:
    return book, [(chart.DISPUTED, event.amount_minor), (clearing_of(book, event), -event.amount_minor)]


def _won(book: OrderBook, event: p.PaymentDisputeWon) -> Posted:
    return book, [(clearing_of(book, event), event.amount_minor), (chart.DISPUTED, -event.amount_minor)]


def _lost(book: OrderBook, event: p.PaymentDisputeLost) -> Posted:
    """Record a lost dispute: what was the customer's anyway is theirs now; the rest is lost."""
    left, payment_id = event.amount_minor, event.payment_id
    held = min(max(book.deposits.get(payment_id, 0), 0), left)
    ahead = min(book.advances, left - held)
    granted = min(book.due.get(payment_id, 0), left - held - ahead)
    book = _paid(book, ("", payment_id), Paid(granted, held, ahead), -1)
    lost = left - held - ahead - granted
    moves = [(chart.REFUNDS_DUE, granted), (chart.DEPOSITS, held), (chart.ADVANCES, ahead)]
    return book, [*moves, (chart.DISPUTES_LOST, lost), (chart.DISPUTED, -left)]


HANDLERS: Mapping[type[Event], Callable[[OrderBook, Any], Posted]] = {
    o.OrderPlaced: _placed,
    o.OrderReleased: _released,
    o.OrderShipmentPlanned: _planned,
    o.OrderShipmentCancelled: _stopped,
    o.OrderShipmentDispatched: _left,
    o.OrderShipmentDelivered: _left,
    o.OrderShipmentReturned: _undelivered,
    o.OrderShipmentLost: _undelivered,
    o.OrderCancelled: _cancelled,
    o.OrderRefundRequested: _refund,
    x.OrderExchangeCredited: _exchanged,
    p.PaymentRequested: _requested,
    p.PaymentCaptured: _captured,
    p.PaymentDepositApplied: _applied,
    p.PaymentRefunded: _refunded,
    p.PaymentRefundReversed: _came_back,
    p.PaymentDisputeOpened: _disputed,
    p.PaymentDisputeWon: _won,
    p.PaymentDisputeLost: _lost,
}
