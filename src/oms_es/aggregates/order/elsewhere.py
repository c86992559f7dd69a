"""What happened to an order outside of this engine: its channel had units shipped, or refunded money.

Invariant: units that others shipped are neither shipped nor charged here, in whatever order and however often they are
reported. No money moves because a channel reports a refund. A report that does not fit is left to a person, never
dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import reduce
from typing import Any

from oms_es.aggregates.order import amendments as changes
from oms_es.aggregates.order import cancellation, refunding
from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.evolve import evolve
from oms_es.aggregates.order.state import BEFORE_RELEASE, Order, by_sku, channel_refund, fulfilment
from oms_es.aggregates.repeats import asked_of, done_before
from oms_es.kernel import Refused
from oms_es.schemas import order as o

REFUNDED = "refunded by the channel"
SHIPPED = "shipped by the channel"
REPORT_CHARACTERS_MAX = 400
PLACED_AGAIN = "placed again"
"""The name under which the shipped units are reported that an order has when it is sent again."""


def units_of(lines: Iterable[o.LineUnits]) -> dict[str, int]:
    units: Counter[str] = Counter()
    for line in lines:
        units[line.line_id] += line.quantity
    return dict(units)


def record_fulfilment(order: Order, command: o.RecordFulfilment) -> Iterator[o.OrderEvent]:
    """Record units that the channel had shipped.

    A channel also reports the parcels that left from here; these are no news.
    """
    report = fulfilment(command.fulfilment_id)
    if not done_before(order.applied.get(report), command):
        stated = {line: n + order.stated_elsewhere.get(line, 0) for line, n in units_of(command.lines).items()}
        yield from follow(order, stated, report, asked_of(command), command)


def follow(
    order: Order, stated: Mapping[str, int], report: str, asked: str = "", command: o.RecordFulfilment | None = None
) -> Iterator[o.OrderEvent]:
    """Follow up on shipped units. `stated` has, by line, the units that were shipped in all, by us and by others.

    `asked` is the digest of the request, by which a repeat of the report is recognised.
    """
    assert order.content
    known = {line: order.elsewhere.get(line, 0) + refunding.shipped_units(order, line) for line in stated}
    news = {line: n - known[line] for line, n in stated.items() if n > known[line]}
    there = _still_here(order)
    follows = order.content.kind == "standard" and (order.phase in BEFORE_RELEASE or order.phase == "fulfilling")
    fits = {line: n for line, more in news.items() if (n := min(more, there.get(line, 0))) > 0} if follows else {}
    if fits or (command and order.phase not in o.FINAL_PHASES):
        if order.phase in BEFORE_RELEASE:
            yield from _go_on_without(order, fits, command)
        else:
            yield from _stop(order, fits, report, asked, command)
    if news != fits and report not in order.applied:
        yield _disputed(order, report, SHIPPED, {line: n - fits.get(line, 0) for line, n in news.items()}, asked)


def _still_here(order: Order) -> dict[str, int]:
    """Return, by line, the units that have not left from here, and that no parcel was asked to give up already."""
    assert order.content
    return {
        line.line_id: line.quantity
        - refunding.shipped_units(order, line.line_id)
        - cancellation.units_asked_for(order, line.line_id)
        for line in order.content.lines
    }


def _go_on_without(
    order: Order, units: Mapping[str, int], command: o.RecordFulfilment | None
) -> Iterator[o.OrderEvent]:
    assert order.content
    if not units:
        yield _noted(order, units, command)
    elif units == {line.line_id: line.quantity for line in order.content.lines}:
        yield from _nothing_left(order, units, command)
    else:
        changed = refunding.reduced(order.content, units, cancellation.shares_off(order.content, units))
        after = changes.amended(order.content, changed)
        yield from changes.change(order, after, o.OrderFulfilledElsewhere, _own(order, units, command), changed)


def _nothing_left(order: Order, units: Mapping[str, int], command: o.RecordFulfilment | None) -> Iterator[o.OrderEvent]:
    """Complete an order of which others shipped everything: release its reservations and undo its payments."""
    held = sorted([*order.requested.items(), *order.allocated.items()])
    gone = _noted(
        order,
        units,
        command,
        whole=True,
        released=tuple(changes.cut_of(key, quantity, 0) for key, quantity in held),
        no_longer_sought=by_sku(order.to_source),
        no_longer_backordered=by_sku(order.backordered),
        payments_cancelled=tuple(order.live_payments),
    )
    yield gone
    yield steps.completed(evolve(order, gone))


def _stop(
    order: Order, units: Mapping[str, int], report: str, asked: str, command: o.RecordFulfilment | None
) -> Iterator[o.OrderEvent]:
    """Ask the warehouses to stop the parcels that hold these units."""
    yield _noted(order, units, command)
    if units:
        yield from _ask_parcels(order, report, units, SHIPPED, asked)


def _ask_parcels(
    order: Order, report: str, units: Mapping[str, int], reason: str, asked: str
) -> Iterator[o.OrderEvent]:
    cut = o.CancelOrderLines.model_construct(
        order_id=order.order_id, cancellation_id=report, lines=_lines(units), reason=reason
    )
    try:
        yield from cancellation.ask_parcels(order, cut, units, asked)
    except Refused:
        yield _disputed(order, report, reason, units, asked)


def _noted(
    order: Order, units: Mapping[str, int], command: o.RecordFulfilment | None, **undo: Any
) -> o.OrderFulfilledElsewhere:
    assert order.content
    return o.OrderFulfilledElsewhere(
        order_id=order.order_id,
        **_own(order, units, command),
        **undo,
        **changes.totals(order.content, order.content),
    )


def _own(order: Order, units: Mapping[str, int], command: o.RecordFulfilment | None) -> dict[str, Any]:
    said = {"fulfilment_id": command.fulfilment_id, "told": command.lines} if command else {}
    unanswered = tuple(sorted({reservation_id for reservation_id, _, _ in order.requested}))
    return {"fulfilled": _lines(units), "unanswered": unanswered, **said}


def _lines(units: Mapping[str, int]) -> tuple[o.LineUnits, ...]:
    return tuple(o.LineUnits(line_id=line, quantity=n) for line, n in sorted(units.items()))


def _disputed(order: Order, report: str, what: str, units: Mapping[str, int], asked: str) -> o.OrderReportDisputed:
    named = ", ".join(f"{n} of line {line}" for line, n in sorted(units.items()) if n > 0) or "an amount without units"
    detail = f"{what}: {named}, while the order is {order.phase} here; compare both, and correct the one that is wrong"
    return o.OrderReportDisputed(
        order_id=order.order_id, report=report, detail=detail[:REPORT_CHARACTERS_MAX], asked=asked
    )


def amend(order: Order, command: o.AmendOrder) -> Iterator[o.OrderEvent]:
    """Amend an order. Shipped units that the amendment states are recorded first, as its lines still contain them.

    They are recorded, too, where the rest of the amendment comes too late: that is left to a person. So is an amendment
    whose amounts are in another currency than the order's.
    """
    assert order.content
    if command.currency not in (None, order.content.currency):
        yield from _in_another_currency(order, order.content, command)
        return
    if command.fulfilled is None:
        yield from changes.amend(order, command)
        return
    if done_before(order.applied.get(command.amendment_id), command) or order.phase in ("cancelled", "cancelling"):
        return
    asked = asked_of(command)
    followed = list(follow(order, units_of(command.fulfilled), command.amendment_id, asked))
    yield from followed
    order = reduce(evolve, followed, order)
    try:
        yield from _amend_rest(order, command, asked)
    except Refused as refused:
        recorded = any(isinstance(event, o.OrderFulfilledElsewhere) for event in followed)
        if not recorded or order.phase in BEFORE_RELEASE:
            raise
        yield o.OrderReportDisputed(
            order_id=order.order_id,
            report=f"{command.amendment_id}/rest",
            detail=refused.detail[:REPORT_CHARACTERS_MAX],
            asked=asked,
        )


def _in_another_currency(
    order: Order, content: o.OrderContent, command: o.AmendOrder
) -> Iterator[o.OrderReportDisputed]:
    """Leave it to a person, under a name of its own: channels make an amendment's id without its currency, and one in
    the order's currency must take effect beside this, whichever comes first."""
    report = f"{command.amendment_id}/{command.currency}"
    if report in order.applied or order.phase in ("cancelled", "cancelling"):
        return
    yield o.OrderReportDisputed(
        order_id=order.order_id,
        report=report,
        detail=f"its channel states amounts in {command.currency}, and the order is in {content.currency}; "
        "compare both, and correct the one that is wrong",
        asked=asked_of(command),
    )


def _amend_rest(order: Order, command: o.AmendOrder, asked: str) -> Iterator[o.OrderEvent]:
    """Make the changes of an amendment whose shipped units are recorded."""
    assert order.content
    as_it_was = all(getattr(order.content, name) == value for name, value in command.changes.items())
    if as_it_was and order.phase not in BEFORE_RELEASE:
        return
    without = _without_elsewhere(order, command)
    if without.lines == ():
        if order.phase not in o.FINAL_PHASES:
            changes.require_before_release(order, "amended")
            yield from _nothing_left(order, {}, None)
    elif order.phase != "completed" or not order.elsewhere:
        yield from changes.amend_new(order, without, asked)


def _without_elsewhere(order: Order, command: o.AmendOrder) -> o.AmendOrder:
    if command.lines is None:
        return command
    assert order.content
    content = changes.amended(order.content, command.changes)
    there = {line.line_id: line.quantity for line in content.lines}
    units = {line: n for line, gone in order.elsewhere.items() if (n := min(gone, there.get(line, 0)))}
    if not units:
        return command
    return command.model_copy(update=refunding.reduced(content, units, cancellation.shares_off(content, units)))


def record_refund(order: Order, command: o.RecordChannelRefund) -> Iterator[o.OrderEvent]:
    """Record a refund of the channel, unless a later report of the order, such as an update, includes it already."""
    assert order.content
    report = channel_refund(command.refund_id)
    if done_before(order.applied.get(report), command) or order.phase in ("cancelled", "cancelling"):
        return
    if command.revision is not None and command.revision <= order.revisions.get("lines", 0):
        return
    reported = units_of(command.lines)
    there = _still_here(order)
    units = {line: n for line, quantity in reported.items() if (n := min(quantity, there.get(line, 0))) > 0}
    if units and order.phase in BEFORE_RELEASE:
        yield from _taken_off(order, command, report, units)
    elif units and order.phase == "fulfilling":
        yield from _ask_parcels(order, report, units, REFUNDED, asked_of(command))
    else:
        units = {}
    if units != reported or not reported:
        left = {line: n - units.get(line, 0) for line, n in reported.items()}
        yield _disputed(order, f"{report}/rest" if units else report, REFUNDED, left, asked_of(command))


def _taken_off(
    order: Order, command: o.RecordChannelRefund, report: str, units: Mapping[str, int]
) -> Iterator[o.OrderEvent]:
    assert order.content
    reason = command.reason or REFUNDED
    if units == {line.line_id: line.quantity for line in order.content.lines}:
        said = {"report": report, "asked": asked_of(command)}
        for event in steps.ended(order, reason):
            yield event.model_copy(update=said) if isinstance(event, o.OrderCancelled) else event
        return
    changed = refunding.reduced(order.content, units, cancellation.shares_off(order.content, units))
    own = {
        "cancellation_id": report,
        "cancelled": _lines(units),
        "reason": reason,
        "revision": command.revision,
        "asked": asked_of(command),
    }
    yield from changes.change(order, changes.amended(order.content, changed), o.OrderLinesCancelled, own, changed)


def keep(order: Order, command: o.RecordFulfilment | o.RecordChannelRefund) -> Iterator[o.OrderEvent]:
    """Keep a report that came before its order."""
    if isinstance(command, o.RecordFulfilment):
        known = order.early_reports.get(fulfilment(command.fulfilment_id))
        kept = o.OrderReportKept(order_id=command.order_id, fulfilment=command)
    else:
        known = order.early_reports.get(channel_refund(command.refund_id))
        kept = o.OrderReportKept(order_id=command.order_id, refund=command)
    if not done_before(asked_of(known) if known else None, command):
        yield kept


def waiting(order: Order) -> tuple[o.EarlyKind, ...]:
    """Return the kinds of reports that came before the order and wait for it."""
    reports = {type(report) for _, report in order.early_reports.items()}
    there: dict[o.EarlyKind, bool] = {
        "amendment": bool(order.early),
        "cancellation": order.early_cancellation is not None,
        "fulfilment": o.RecordFulfilment in reports,
        "refund": o.RecordChannelRefund in reports,
    }
    return tuple(kind for kind, waits in there.items() if waits)


DECIDED: dict[type[Any], Any] = {o.RecordFulfilment: record_fulfilment, o.RecordChannelRefund: record_refund}


def catch_up(order: Order, fulfilled: Iterable[o.LineUnits] = ()) -> Iterator[o.OrderEvent]:
    """Apply what came before the order as if it had come after it; a refusal becomes an event, as no caller waits for
    it.
    """
    for source in (_shipped_by_now(fulfilled), _early_amendments, _early_reports, _early_cancellation):
        for event in source(order):
            yield event
            order = evolve(order, event)


Source = Callable[[Order], Iterator[o.OrderEvent]]


def _shipped_by_now(fulfilled: Iterable[o.LineUnits]) -> Source:
    return lambda order: follow(order, units_of(fulfilled), PLACED_AGAIN)


def _early_amendments(order: Order) -> Iterator[o.OrderEvent]:
    for amendment in sorted(order.early.values(), key=lambda early: (early.revision or 0, early.amendment_id)):
        try:
            events = list(amend(order, amendment))
        except Refused as refused:
            reason = str(refused)
            events = [
                o.OrderAmendmentRefused(order_id=order.order_id, amendment_id=amendment.amendment_id, reason=reason)
            ]
        yield from events
        order = reduce(evolve, events, order)


def _early_reports(order: Order) -> Iterator[o.OrderEvent]:
    for _, report in sorted(order.early_reports.items()):
        events = list(DECIDED[type(report)](order, report))
        yield from events
        order = reduce(evolve, events, order)


def _early_cancellation(order: Order) -> Iterator[o.OrderEvent]:
    if order.early_cancellation is not None and order.phase not in o.FINAL_PHASES:
        yield from steps.ended(order, order.early_cancellation)
