"""A return, from the request to the credit.

Invariant: inspected <= received <= expected, per line; each unit is credited at most once; it is approved or refused
once, and closed once. Its order has checked that the units were shipped and are in no other return.

  opened -> (review) -> approved -> received -> inspected -> closed
    |           |            (each line in parts)
   refused     refused, closed: nothing came in time
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Literal, NamedTuple, TypeAlias

from rpds import HashTrieMap, HashTrieSet

from oms_es.aggregates.fast_replace import fast_replace
from oms_es.aggregates.repeats import asked_of, done_before
from oms_es.kernel import Decider, Refused
from oms_es.schemas.order import LineUnits
from oms_es.schemas.returns import rma as r
from oms_es.schemas.returns.refusals import ReturnsRefusal
from oms_es.schemas.values import names

Status = Literal["new", "review", "approved", "refused", "closed"]
Counts: TypeAlias = "HashTrieMap[str, int]"
"""Units by line id."""


@fast_replace
class Rma(NamedTuple):
    status: Status = "new"
    opened: r.RmaOpened | None = None
    receipts: HashTrieMap[str, str] = HashTrieMap()  # a digest of what was asked under each receipt
    received: Counts = HashTrieMap()
    inspections: HashTrieMap[str, str] = HashTrieMap()
    inspected: Counts = HashTrieMap()
    accepted: Counts = HashTrieMap()  # units that were inspected, are worth something and are not credited yet
    turned_away: HashTrieSet[str] = HashTrieSet()  # other orders that asked for a return of the same id
    # (order sent in exchange, credit id) that were recorded
    credit_left_of: HashTrieSet[tuple[str, str]] = HashTrieSet()

    @property
    def expected(self) -> dict[str, int]:
        assert self.opened
        counts: dict[str, int] = {}
        for line in self.opened.lines:
            counts[line.line_id] = counts.get(line.line_id, 0) + line.quantity
        return counts

    @property
    def outstanding(self) -> dict[str, int]:
        """The units that are still to come, by line."""
        return {line: n for line, n in less(self.expected, self.received).items() if n}

    @property
    def uninspected(self) -> dict[str, int]:
        return {line: n for line, n in less(dict(self.received.items()), self.inspected).items() if n}


def evolve(rma: Rma, event: r.RmaEvent) -> Rma:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case r.RmaOpened():
            return rma._replace(opened=event)
        case r.RmaNameTaken(order_id=order):
            return rma._replace(turned_away=rma.turned_away.insert(order))
        case r.RmaReviewRequested():
            return rma._replace(status="review")
        case r.RmaApproved():
            return rma._replace(status="approved")
        case r.RmaRefused():
            return rma._replace(status="refused")
        case r.RmaReceived(receipt_id=receipt, lines=lines):
            return rma._replace(receipts=rma.receipts.insert(receipt, event.asked), received=_plus(rma.received, lines))
        case r.RmaSurplusReceived(receipt_id=receipt):
            return rma._replace(receipts=rma.receipts.insert(receipt, event.asked))
        case r.RmaInspected(inspection_id=inspection, lines=inspected):
            return rma._replace(
                inspections=rma.inspections.insert(inspection, event.asked),
                inspected=_plus(rma.inspected, inspected),
                accepted=_plus(rma.accepted, (line for line in inspected if line.credited)),
            )
        case r.RmaCreditDue():
            return rma._replace(accepted=HashTrieMap())
        case r.RmaCreditLeft(exchange_order_id=order, credit_id=name):
            return rma._replace(credit_left_of=rma.credit_left_of.insert((order, name)))
        case r.RmaClosed():
            return rma._replace(status="closed")
    return rma


def decide(rma: Rma, command: Any) -> Iterator[r.RmaEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    if isinstance(command, r.OpenRma):
        yield from _open(command) if rma.opened is None else _name_taken(rma, rma.opened, command)
    elif rma.opened is not None:
        yield from DECISIONS[type(command)](rma, command)
    # the order of an exchange that a channel placed by itself has no return here
    elif not isinstance(command, r.RecordCreditLeft):
        raise Refused(ReturnsRefusal.UNKNOWN_RETURN, f"there is no return {command.rma_id}; request it first")


def less(counts: Mapping[str, int], taken: Counts) -> dict[str, int]:
    return {line: n - taken.get(line, 0) for line, n in counts.items()}


def _plus(counts: Counts, lines: Iterable[LineUnits]) -> Counts:
    for line in lines:
        counts = counts.insert(line.line_id, counts.get(line.line_id, 0) + line.quantity)
    return counts


def _open(command: r.OpenRma) -> Iterator[r.RmaEvent]:
    of = {"rma_id": command.rma_id, "order_id": command.order_id}
    opened = r.RmaOpened(
        **of,
        channel=command.channel,
        resolution=command.resolution,
        lines=command.lines,
        requested_at=command.requested_at,
        terms=command.terms,
    )
    yield opened
    objections = tuple(_objections(command))
    if objections:
        yield r.RmaReviewRequested(**of, reasons=objections)
    else:
        yield from _approve(evolve(Rma(), opened), "")


def _name_taken(rma: Rma, opened: r.RmaOpened, command: r.OpenRma) -> Iterator[r.RmaEvent]:
    """Refuse, by an event, a return whose id belongs to another order. The return's own order is not refused."""
    if command.order_id not in (opened.order_id, *rma.turned_away):
        units = tuple(LineUnits(line_id=line.line_id, quantity=line.quantity) for line in command.lines)
        reason = f"the name {command.rma_id} is taken by a return of another order; use another rma_id"
        yield r.RmaNameTaken(rma_id=command.rma_id, order_id=command.order_id, lines=units, reason=reason)


def _objections(command: r.OpenRma) -> Iterator[str]:
    """Yield the reasons why a person must look at the request before it is approved."""
    terms = command.terms
    if not terms.approve_at_once:
        yield "every return of this channel is looked at"
    if command.delivered_at and command.requested_at - command.delivered_at > timedelta(days=terms.window_days):
        yield f"asked for more than {terms.window_days} days after the delivery of {command.delivered_at:%Y-%m-%d}"
    for reason in dict.fromkeys(line.reason for line in command.lines):
        if terms.reasons and reason not in terms.reasons:
            yield f"{reason} is no reason that this channel accepts"


def _of(rma: Rma) -> Any:
    assert rma.opened
    return {"rma_id": rma.opened.rma_id, "order_id": rma.opened.order_id}


def _approve(rma: Rma, note: str) -> Iterator[r.RmaEvent]:
    """Approve the return; if the customer keeps the goods, credit and close it at once."""
    assert rma.opened
    yield r.RmaApproved(**_of(rma), note=note, return_days=rma.opened.terms.return_days)
    if rma.opened.resolution == "refund_only":
        kept = names.RETURN + names.made_of(rma.opened.rma_id, "kept")
        yield r.RmaCreditDue(**_of(rma), credit_id=kept, resolution="refund_only", lines=_counts(rma.expected))
        yield r.RmaClosed(**_of(rma))


def _approved_by_hand(rma: Rma, command: r.ApproveRma) -> Iterator[r.RmaEvent]:
    if rma.status == "review":
        yield from _approve(rma, command.note)
    elif rma.status == "refused":
        raise Refused(ReturnsRefusal.REFUSED, f"return {command.rma_id} was refused; request another one")


def _refuse(rma: Rma, command: r.RefuseRma) -> Iterator[r.RmaEvent]:
    if rma.status == "refused":
        return
    if rma.status == "closed" or rma.received:
        raise Refused(
            ReturnsRefusal.ARRIVED,
            f"goods of return {command.rma_id} have come back; inspect them without credit instead",
        )
    yield r.RmaRefused(**_of(rma), reason=command.reason, lines=_counts(rma.expected))


def _receive(rma: Rma, command: r.ReceiveRma) -> Iterator[r.RmaEvent]:
    """Record received goods, in whatever status the return is; units beyond the expected ones are recorded as a
    surplus.
    """
    if done_before(rma.receipts.get(command.receipt_id), command):
        return
    left = rma.outstanding if rma.status == "approved" else {}
    expected: dict[str, int] = {}
    surplus: dict[str, int] = {}
    for line in command.lines:
        taken = min(line.quantity, left.get(line.line_id, 0))
        left[line.line_id] = left.get(line.line_id, 0) - taken
        expected[line.line_id] = expected.get(line.line_id, 0) + taken
        surplus[line.line_id] = surplus.get(line.line_id, 0) + line.quantity - taken
    what = {
        **_of(rma),
        "receipt_id": command.receipt_id,
        "location": command.location,
        "asked": asked_of(command),
    }
    if any(expected.values()):
        yield r.RmaReceived(**what, lines=_counts(expected))
    if any(surplus.values()):
        yield r.RmaSurplusReceived(**what, lines=_counts(surplus))


def _counts(counts: Mapping[str, int]) -> tuple[LineUnits, ...]:
    return tuple(LineUnits(line_id=line, quantity=n) for line, n in counts.items() if n)


def _inspect(rma: Rma, command: r.InspectRma) -> Iterator[r.RmaEvent]:
    if done_before(rma.inspections.get(command.inspection_id), command):
        return
    there = rma.uninspected
    for line in command.lines:
        there[line.line_id] = there.get(line.line_id, 0) - line.quantity
        if there[line.line_id] < 0:
            raise Refused(
                ReturnsRefusal.NOT_RECEIVED,
                f"return {command.rma_id} has {there[line.line_id] + line.quantity} units of line {line.line_id} that "
                f"were not inspected, and {line.quantity} are reported; receive them first",
            )
    inspected = r.RmaInspected(
        **_of(rma),
        inspection_id=command.inspection_id,
        location=command.location,
        lines=command.lines,
        items=tuple(_items(rma, command)),
        asked=asked_of(command),
    )
    yield inspected
    after = evolve(rma, inspected)
    if rma.status == "closed":  # its time was over before, and an exchange was sent for what had come by then
        yield from _credit(after, INSPECTED, command.inspection_id, resolution="refund")
    elif not after.outstanding and not after.uninspected:
        yield from _end(after, INSPECTED, command.inspection_id)
    elif rma.opened and rma.opened.resolution != "exchange":
        yield from _credit(after, INSPECTED, command.inspection_id, resolution=rma.opened.resolution)


INSPECTED = "inspected"


def _items(rma: Rma, command: r.InspectRma) -> Iterator[r.InspectedItem]:
    assert rma.opened
    made_of = {line.line_id: line.components or {line.sku: 1} for line in rma.opened.lines}
    for line in command.lines:
        for sku, each in made_of[line.line_id].items():
            yield r.InspectedItem(
                sku=sku,
                quantity=line.quantity * each,
                disposition=line.disposition,
                bin=line.bin,
                lot=line.lot,
                serials=line.serials,
            )


def _credit(rma: Rma, *name: str, resolution: r.Resolution) -> Iterator[r.RmaEvent]:
    """Yield the credit of the accepted units, if there are any. `name` makes its id, one of several of the return."""
    if rma.accepted:
        of = _of(rma)
        lines = _counts(dict(sorted(rma.accepted.items())))
        credit_id = names.RETURN + names.made_of(of["rma_id"], *name)
        yield r.RmaCreditDue(**of, credit_id=credit_id, resolution=resolution, lines=lines)


def _end(rma: Rma, *name: str) -> Iterator[r.RmaEvent]:
    """Credit what was accepted and close the return: an exchange is sent once, for everything."""
    assert rma.opened
    yield from _credit(rma, *name, resolution=rma.opened.resolution)
    yield r.RmaClosed(**_of(rma), outstanding=_counts(rma.outstanding))


def _close(rma: Rma, command: r.CloseRma) -> Iterator[r.RmaEvent]:
    if rma.status in ("closed", "refused"):
        return
    if rma.uninspected:
        raise Refused(
            ReturnsRefusal.NOT_INSPECTED, f"goods of return {command.rma_id} were not inspected yet; inspect them first"
        )
    yield from _end(rma, "closed")


def _lapse(rma: Rma, _: r.LapseRma) -> Iterator[r.RmaEvent]:
    """Close a return whose time is over. Units that have come can still be inspected; later ones are a surplus."""
    if rma.status == "approved":
        yield from _end(rma, "lapsed")


def _credit_left(rma: Rma, command: r.RecordCreditLeft) -> Iterator[r.RmaEvent]:
    if (command.exchange_order_id, command.credit_id) not in rma.credit_left_of:
        yield r.RmaCreditLeft(
            **_of(rma),
            exchange_order_id=command.exchange_order_id,
            amount_minor=command.amount_minor,
            credit_id=command.credit_id,
            currency=command.currency or "",
        )


DECISIONS: dict[type[r.RmaCommand], Any] = {
    r.ApproveRma: _approved_by_hand,
    r.RefuseRma: _refuse,
    r.ReceiveRma: _receive,
    r.InspectRma: _inspect,
    r.CloseRma: _close,
    r.LapseRma: _lapse,
    r.RecordCreditLeft: _credit_left,
}

decider = Decider(
    "rma",
    Rma(),
    evolve,
    decide,
    accepts=(r.OpenRma, *DECISIONS),
    emits=(
        r.RmaOpened,
        r.RmaNameTaken,
        r.RmaReviewRequested,
        r.RmaApproved,
        r.RmaRefused,
        r.RmaReceived,
        r.RmaSurplusReceived,
        r.RmaInspected,
        r.RmaCreditDue,
        r.RmaCreditLeft,
        r.RmaClosed,
    ),
)
