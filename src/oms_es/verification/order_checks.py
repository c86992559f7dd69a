"""A second account of what orders cost and what came back of them, from the bare amounts of their events.

It shares no code with the engine. Of parcels that were reported without their shares of the total, nothing is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from oms_es.kernel import Event, Recorded
from oms_es.processing.bulk.overflow import Overflow, Overflowing
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns import rma as r
from oms_es.schemas.values.currency import in_money
from oms_es.verification.check import Check, at
from oms_es.verification.order_accounts import COUNTED, OrderAccount, ReturnAccount, by_line, units_of, worth_of

CAPTURER = "payment_capturer"
"""Who takes what a parcel is charged; what a person takes by hand is theirs to answer for."""


class OrderChecks:
    def __init__(self, overflow: Overflow) -> None:
        self.orders: Overflowing[str, OrderAccount] = overflow.mapping(OrderAccount)
        self.rmas: Overflowing[str, ReturnAccount] = overflow.mapping()
        self.taking: Overflowing[str, dict[str, int]] = overflow.mapping(dict)  # in flight, by payment and capture
        self.giving: Overflowing[tuple[str, str], int] = overflow.mapping()  # by payment and refund
        self.shared = Check("charges conserved: lines and shipping of all parcels = what is charged = the total")
        self.refunds = Check("refunds conserved: parts sum to the refund, and none exceeds what was paid for its line")
        self.grants: Overflowing[str | None, int] = (
            overflow.mapping()
        )  # by the return, or the loss, that an exchange is for
        self.granted = Check(
            "exchanges: each was granted, and its credit is used or refunded to the payments it came from"
        )
        self.returned = Check("returns conserved: credited <= accepted <= received <= requested <= shipped, by line")
        self._handlers: Mapping[type[Event], Callable[[Recorded, Any], None]] = {
            o.OrderPlaced: self._placed,
            o.OrderBundlesExploded: self._bundled,
            o.OrderJoined: self._bundled,
            o.OrderAmended: self._changed,
            o.OrderFulfilledElsewhere: self._changed,
            o.OrderLinesCancelled: self._changed,
            o.OrderSplit: self._changed,
            o.OrderOverridden: self._overridden,
            **dict.fromkeys(COUNTED, self._money),
            o.OrderReleased: self._released,
            o.OrderShipmentPlanned: self._planned,
            o.OrderShipmentCancelled: self._stopped,
            o.OrderShipmentDispatched: self._left,
            o.OrderShipmentDelivered: self._left,
            o.OrderShipmentReturned: self._came_back,
            o.OrderShipmentLost: self._lost,
            p.PaymentCaptureRequested: self._taking,
            p.PaymentDepositApplied: self._taking,
            p.PaymentCaptureShort: self._taking_less,
            p.PaymentCaptured: self._taken,
            p.PaymentCaptureFailed: self._not_taken,
            p.PaymentReauthorizationRequested: self._not_taken,
            o.OrderRefundRequested: self._refund,
            o.OrderCreditLeft: self._credit_left,
            x.OrderExchangeCredited: self._credit,
            p.PaymentRefundRequested: self._giving,
            p.PaymentRefundShort: self._giving_less,
            p.PaymentRefunded: self._gave,
            x.OrderReturnRequested: self._return,
            x.OrderReturnEnded: self._return_ended,
            r.RmaOpened: self._rma_opened,
            r.RmaReceived: self._rma,
            r.RmaInspected: self._rma,
            r.RmaCreditDue: self._rma,
        }

    @property
    def checks(self) -> tuple[Check, ...]:
        return self.shared, self.refunds, self.returned, self.granted

    def note(self, recorded: Recorded) -> None:
        if handle := self._handlers.get(type(recorded.event)):
            handle(recorded, recorded.event)

    def _placed(self, recorded: Recorded, event: o.OrderPlaced) -> None:
        account = self.orders[event.order_id]
        account.lines = {line.line_id: (line.sku, line.quantity) for line in event.lines}
        goods = sum(line.quantity * line.unit_price_minor for line in event.lines)
        account.currency = event.currency
        account.total = goods + event.shipping_minor + event.tax_minor - event.discount_minor
        account.not_charged = account.credit = event.credit_minor
        account.exchange_of = event.exchange_of
        if event.kind == "exchange":
            granted = self.grants.get(event.exchange_of)
            known = "nothing" if granted is None else account.money(granted)
            found = f"a credit of {account.money(account.credit)}, granted was {known}"
            self._expect(self.granted, recorded, granted == account.credit, found)

    def _bundled(self, _: Recorded, event: o.OrderBundlesExploded | o.OrderJoined) -> None:
        self.orders[event.order_id].bundles.update(event.bundles)

    def _changed(self, _: Recorded, event: Any) -> None:
        account = self.orders[event.order_id]
        account.total = event.total_minor
        if event.lines is not None:
            account.lines = {line.line_id: (line.sku, line.quantity) for line in event.lines}
        if account.replanned is not None:
            account.replanned += event.more_minor

    def _overridden(self, _: Recorded, event: o.OrderOverridden) -> None:
        self.orders[event.order_id].not_charged += event.written_off_minor

    def _money(self, _: Recorded, event: Any) -> None:
        self.orders[event.order_id].count(event)

    def _released(self, recorded: Recorded, event: o.OrderReleased) -> None:
        account = self.orders[event.order_id]
        for plan in event.shipments:
            self._planned_parcel(recorded, account, plan, event.payment_id)
        if not all(plan.lines for plan in event.shipments):
            return
        worth = sum(worth_of(plan) for plan in event.shipments)
        self._expect(
            self.shared,
            recorded,
            worth == account.total,
            f"shares sum to {account.money(worth)}, the total is {account.money(account.total)}",
        )
        charged = sum(sum(account.charges[plan.shipment_id].values()) for plan in event.shipments)
        due = max(account.total - account.not_charged, 0)
        self._expect(
            self.shared,
            recorded,
            charged == due,
            f"{account.money(charged)} is charged, {account.money(due)} is due of {account.money(account.total)}",
        )
        shared = units_of(share for plan in event.shipments for share in plan.lines)
        ordered = account.units({line: quantity for line, (_, quantity) in account.lines.items()})
        self._expect(self.shared, recorded, shared == ordered, f"shares of {dict(shared)}, ordered {dict(ordered)}")

    def _planned(self, recorded: Recorded, event: o.OrderShipmentPlanned) -> None:
        account = self.orders[event.order_id]
        was = account.plans.get(event.plan.shipment_id)
        self._planned_parcel(recorded, account, event.plan, event.payment_id)
        if event.plan.shipment_id in account.held:
            same = event.plan == was and not event.held
            self._expect(self.shared, recorded, same, f"{event.plan.shipment_id} is not as it was held")
        elif event.plan.lines:
            worth, left = worth_of(event.plan), account.replanned
            self._expect(
                self.shared,
                recorded,
                worth == left,
                f"shares sum to {account.money(worth)}, {account.money(left or 0)} was left of the parcel",
            )
        account.replanned = None
        (account.held.add if event.held else account.held.discard)(event.plan.shipment_id)

    def _planned_parcel(self, recorded: Recorded, account: OrderAccount, plan: o.ShipmentPlan, payment_id: str) -> None:
        account.plans[plan.shipment_id] = plan
        charges = {charge.payment_id: charge.amount_minor for charge in plan.charges}
        account.charges[plan.shipment_id] = charges or ({payment_id: plan.amount_minor} if plan.amount_minor else {})
        if plan.lines:
            inside = Counter[str]()
            for item in plan.items:
                inside[item.sku] += item.quantity
            for share in plan.lines:
                inside[share.sku] -= share.quantity
            self._expect(
                self.shared, recorded, not any(inside.values()), f"{plan.shipment_id}: {dict(inside)} without a share"
            )

    def _stopped(self, _: Recorded, event: o.OrderShipmentCancelled) -> None:
        account = self.orders[event.order_id]
        plan = account.plans.get(event.shipment_id)
        account.held.discard(event.shipment_id)
        if plan and not event.released:
            account.replanned = worth_of(plan)

    def _left(self, recorded: Recorded, event: o.OrderShipmentDispatched | o.OrderShipmentDelivered) -> None:
        account = self.orders[event.order_id]
        held = event.shipment_id in account.held
        self._expect(self.shared, recorded, not held, f"{event.shipment_id} left, and was held")
        if event.shipment_id in account.plans:
            account.gone.add(event.shipment_id)

    def _came_back(self, recorded: Recorded, event: o.OrderShipmentReturned) -> None:
        self._undelivered(recorded, event, left=event.complete, became="came back")

    def _lost(self, recorded: Recorded, event: o.OrderShipmentLost) -> None:
        self._undelivered(recorded, event, left=True, became="were lost")

    def _undelivered(
        self, recorded: Recorded, event: o.OrderShipmentReturned | o.OrderShipmentLost, *, left: bool, became: str
    ) -> None:
        """`left`: it says of itself that the parcel had left."""
        account = self.orders[event.order_id]
        plan = account.plans.get(event.shipment_id)
        if plan and left:
            account.gone.add(event.shipment_id)
        units, shipped = units_of(event.lines), units_of(plan.lines) if plan else Counter()
        account.back.update(units)
        self._expect(self.returned, recorded, units <= shipped, f"{dict(units)} {became} of {dict(shipped)}")

    def _taking(self, recorded: Recorded, event: p.PaymentCaptureRequested | p.PaymentDepositApplied) -> None:
        """A deposit may have been given back in part before its parcel left."""
        if isinstance(event, p.PaymentCaptureRequested):
            self.taking[event.payment_id][event.capture_id] = event.amount_minor
        charges, text = self.orders[event.order_id].charges.get(event.capture_id), self._text(event)
        if charges is not None and recorded.actor == CAPTURER:
            n, due = event.amount_minor, charges.get(event.payment_id, 0)
            holds = n == due or (n < due and isinstance(event, p.PaymentDepositApplied))
            self._expect(self.shared, recorded, holds, f"{text(n)} is taken, the parcel is charged {text(due)}")

    def _taken(self, recorded: Recorded, event: p.PaymentCaptured) -> None:
        if not event.asked:
            return  # at the provider: the payment's own account asks whether so much was held
        n, asked = event.amount_minor, self.taking[event.payment_id].pop(event.capture_id, None)
        text = self._text(event)
        self._expect(self.shared, recorded, n == asked, f"{text(n)} was taken, {text(asked)} was asked for")

    def _taking_less(self, recorded: Recorded, event: p.PaymentCaptureShort) -> None:
        asked = self.taking[event.payment_id].get(event.capture_id, 0)
        left, text = asked - event.amount_minor, self._text(event)
        self._expect(self.shared, recorded, left > 0, f"{text(event.amount_minor)} less is taken of {text(asked)}")
        self.taking[event.payment_id][event.capture_id] = left

    def _not_taken(self, _: Recorded, event: p.PaymentCaptureFailed | p.PaymentReauthorizationRequested) -> None:
        self.taking[event.payment_id].pop(event.capture_id, None)

    def _refund(self, recorded: Recorded, event: o.OrderRefundRequested) -> None:
        account = self.orders[event.order_id]
        n, parts = event.amount_minor, sum(part.amount_minor for part in event.parts)
        if event.credit:
            parts += event.credit.amount_minor
            account.credit_back += event.credit.amount_minor
            self._expect_within_credit(recorded, account)
        self._expect(
            self.refunds, recorded, n == parts, f"parts sum to {account.money(parts)}, the refund is {account.money(n)}"
        )
        for part in event.parts:
            account.parts[event.refund_id, part.payment_id] = part
            self._expect_sum(recorded, part.payment_id, part)
            account.refunded_by[part.payment_id] += part.amount_minor
            refunded, left = account.refunded_by[part.payment_id], account.left_of(part.payment_id)
            found = f"{part.payment_id} gives back {account.money(refunded)}, and has {account.money(left)}"
            self._expect(self.refunds, recorded, refunded <= left, found)
        allocations = [allocation for part in event.parts for allocation in part.allocations]
        allocations += event.credit.allocations if event.credit else ()
        account.credited -= sum(allocation.amount_minor for allocation in allocations if allocation.kind == "credit")
        self._expect(
            self.granted,
            recorded,
            account.credited >= 0,
            f"{account.money(-account.credited)} more than was credited goes back",
        )
        self._count(recorded, account, allocations, event.refunded_units)

    def _credit(self, recorded: Recorded, event: x.OrderExchangeCredited) -> None:
        account, credit = self.orders[event.order_id], event.content.credit_minor
        account.credited += credit
        worth = sum(allocation.amount_minor for allocation in event.allocations)
        self._expect(
            self.granted,
            recorded,
            credit == worth,
            f"{account.money(credit)} is granted for goods worth {account.money(worth)}",
        )
        self.grants[event.content.exchange_of] = credit
        self._count(recorded, account, event.allocations, event.credited_units)

    def _credit_left(self, recorded: Recorded, event: o.OrderCreditLeft) -> None:
        account = self.orders[event.order_id]
        if account.exchange_of == event.exchange_of:
            account.credit_back += event.amount_minor
            self._expect_within_credit(recorded, account)

    def _expect_within_credit(self, recorded: Recorded, account: OrderAccount) -> None:
        within = account.credit_back <= account.credit
        self._expect(
            self.granted,
            recorded,
            within,
            f"{account.money(account.credit_back)} goes back of a credit of {account.money(account.credit)}",
        )

    def _count(
        self,
        recorded: Recorded,
        account: OrderAccount,
        allocations: Iterable[p.RefundAllocation],
        units: Mapping[str, int],
    ) -> None:
        for allocation in allocations:
            account.refunded[allocation.kind, allocation.line_id] += allocation.amount_minor
        paid = account.paid_for()
        for (kind, line_id), refunded in account.refunded.items():
            if kind in ("line", "shipping"):
                limit = paid[kind, line_id]
                found = f"{account.money(refunded)} given back of {account.money(limit)} for {kind} {line_id}".rstrip()
                self._expect(self.refunds, recorded, refunded <= limit, found)
        account.refunded_units.update(units)
        back, shipped = account.units(account.refunded_units), account.shipped()
        self._expect(self.refunds, recorded, back <= shipped, f"units {dict(back)} given back of {dict(shipped)}")

    def _giving(self, recorded: Recorded, event: p.PaymentRefundRequested) -> None:
        n = event.amount_minor
        self.giving[event.payment_id, event.refund_id] = n
        if event.allocations:
            self._expect_sum(recorded, event.payment_id, event)
        if part := self.orders[event.order_id].parts.get((event.refund_id, event.payment_id)):
            same = (n, event.allocations) == (part.amount_minor, part.allocations)
            text = self._text(event)
            self._expect(
                self.refunds, recorded, same, f"{text(n)} is given back, its order says {text(part.amount_minor)}"
            )

    def _giving_less(self, recorded: Recorded, event: p.PaymentRefundShort) -> None:
        key = event.payment_id, event.refund_id
        left = self.giving.get(key, 0) - event.amount_minor
        text = self._text(event)
        self._expect(
            self.refunds, recorded, left > 0, f"{text(event.amount_minor)} less is given back, {text(left)} is left"
        )
        self.giving[key] = left

    def _gave(self, recorded: Recorded, event: p.PaymentRefunded) -> None:
        if not event.asked:
            return
        n, asked = event.amount_minor, self.giving.get((event.payment_id, event.refund_id))
        text = self._text(event)
        self._expect(self.refunds, recorded, n == asked, f"{text(n)} was given back, {text(asked)} was asked for")

    def _expect_sum(self, recorded: Recorded, payment_id: str, part: o.RefundPart | p.PaymentRefundRequested) -> None:
        n, parts = part.amount_minor, sum(allocation.amount_minor for allocation in part.allocations)
        text = self._text(recorded.event)
        found = f"parts sum to {text(parts)}, {payment_id} gives back {text(n)}"
        self._expect(self.refunds, recorded, n == parts, found)

    def _return(self, recorded: Recorded, event: x.OrderReturnRequested) -> None:
        account = self.orders[event.order_id]
        account.asked_back[event.rma_id] = by_line(event.lines)
        asked = sum(account.asked_back.values(), Counter[str]())
        asked.subtract(account.ended)
        back, shipped = account.units(asked), account.shipped()
        back.update(account.back)
        self._expect(self.returned, recorded, back <= shipped, f"{dict(back)} asked back of {dict(shipped)} shipped")

    def _return_ended(self, recorded: Recorded, event: x.OrderReturnEnded) -> None:
        account = self.orders[event.order_id]
        ended, asked = by_line(event.lines), account.asked_back.get(event.rma_id, Counter())
        self._expect(self.returned, recorded, ended <= asked, f"{dict(ended)} did not come of {dict(asked)} asked back")
        account.ended.update(ended)

    def _rma_opened(self, recorded: Recorded, event: r.RmaOpened) -> None:
        account = self.rmas[event.rma_id] = ReturnAccount(event)
        asked = self.orders[event.order_id].asked_back.get(event.rma_id)
        if asked is not None:
            self._expect(
                self.returned,
                recorded,
                asked == account.expected,
                f"{dict(account.expected)} expected, {dict(asked)} asked back",
            )

    def _rma(self, recorded: Recorded, event: Any) -> None:
        account = self.rmas.get(event.rma_id)
        if account is None:
            self._expect(self.returned, recorded, False, "there is no such return")
            return
        match event:
            case r.RmaReceived():
                account.received.update(by_line(event.lines))
                self._expect_within(recorded, account.received, "received", account.expected, "asked back")
            case r.RmaInspected():
                account.inspected.update(by_line(event.lines))
                account.accepted.update(by_line(line for line in event.lines if line.credited))
                self._expect_within(recorded, account.inspected, "inspected", account.received, "received")
            case r.RmaCreditDue(resolution=resolution):
                account.credited.update(by_line(event.lines))
                limit, word = (
                    (account.expected, "kept") if resolution == "refund_only" else (account.accepted, "accepted")
                )
                self._expect_within(recorded, account.credited, "credited", limit, word)

    def _expect_within(
        self, recorded: Recorded, units: Counter[str], what: str, limit: Counter[str], of_what: str
    ) -> None:
        self._expect(self.returned, recorded, units <= limit, f"{dict(units)} {what} of {dict(limit)} {of_what}")

    @staticmethod
    def _text(event: Any) -> Callable[[int | None], str]:
        """Return a function that writes amounts in the event's currency, and None as nothing."""
        currency = getattr(event, "currency", "")
        return lambda amount_minor: "nothing" if amount_minor is None else in_money(amount_minor, currency)

    @staticmethod
    def _expect(check: Check, recorded: Recorded, holds: bool, found: str) -> None:  # noqa: FBT001 - as in Check
        check.expect(holds, lambda: f"{at(recorded)}: {found}")
