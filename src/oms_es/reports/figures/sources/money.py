"""The sources of payments and refunds."""

from __future__ import annotations

from sqlalchemy import and_, case, func, or_

from oms_es.projections.facts import refunds as refund_facts
from oms_es.projections.payment import payments as payment_rows
from oms_es.reports.figures.sources.base import CURRENCY, KINDS, OF_ORDER, ONE, ORDERS, Number, Source, hours, m, yes

refund, payment = refund_facts.projection.table.c, payment_rows.projection.table.c
undone = and_(
    refund.requested_at.is_not(None),
    refund.line_minor + refund.shipping_minor + refund.goodwill_minor + refund.credit_minor == 0,
)
"""Refunds of a whole payment that was replaced, or whose order was cancelled: nothing was sold by it."""


CAUSES = ("asked for", "payment undone", "at the provider")
_cause = case((refund.requested_at.is_(None), CAUSES[2]), (undone, CAUSES[1]), else_=CAUSES[0])
_begun = func.coalesce(refund.requested_at, refund.refunded_at)
refunds = Source(
    "Refunds, each part that one payment bears; what is given back at the provider counts when it did.",
    "payments",
    refund_facts.projection.table.outerjoin(ORDERS, m.order_id == refund.order_id),
    {**OF_ORDER, CURRENCY: refund.currency, "status": refund.status, "reason": refund.reason, "cause": _cause},
    {
        "refunds": Number(ONE, "refunds", "parts of refunds"),
        "requested_minor": Number(refund.requested_minor, "minor", "asked for"),
        "refunded_minor": Number(refund.refunded_minor, "minor", "given back"),
        "line_minor": Number(refund.line_minor, "minor", "asked for, for lines"),
        "shipping_minor": Number(refund.shipping_minor, "minor", "asked for, for shipping"),
        "goodwill_minor": Number(refund.goodwill_minor, "minor", "asked for, as goodwill"),
        "credit_minor": Number(refund.credit_minor, "minor", "asked for, as credit that an exchange left over"),
        "refund_hours": Number(
            hours(refund.requested_at, refund.refunded_at), "hours", "from the request to the provider's answer"
        ),
    },
    {"requested_at": _begun, "refunded_at": refund.refunded_at, "placed_at": m.placed_at},
    {**KINDS, "status": refund_facts.STATUSES, "cause": CAUSES},
)
_held = payment.authorized_minor > 0
_over = or_(_held, payment.state == "declined", payment.state == "failed")
payments = Source(
    "Payments, each time that money was asked for; one that was asked for again counts again.",
    "payments",
    payment_rows.projection.table.outerjoin(ORDERS, m.order_id == payment.order_id),
    {**OF_ORDER, CURRENCY: payment.currency, "method": payment.method, "state": payment.state},
    {
        "payments": Number(ONE, "payments", "payments asked for"),
        "answered_payments": Number(yes(_over), "payments", "payments that were answered, or given up"),
        "held_payments": Number(yes(_held), "payments", "payments that were authorised"),
        "refused_payments": Number(
            yes(and_(_over, ~_held)), "payments", "payments that were turned down, or that no provider answered"
        ),
        "declined_payments": Number(yes(payment.state == "declined"), "payments", "payments that were turned down"),
        "failed_payments": Number(yes(payment.state == "failed"), "payments", "payments that no provider answered"),
        "requested_minor": Number(payment.requested_minor, "minor", "asked for"),
        "authorized_minor": Number(payment.authorized_minor, "minor", "held, also what was let go since"),
        "captured_minor": Number(payment.captured_minor, "minor", "taken, also what was given back since"),
        "refunded_minor": Number(payment.refunded_minor, "minor", "given back"),
        "disputed_minor": Number(payment.disputed_minor, "minor", "in dispute now"),
        "lost_minor": Number(payment.lost_minor, "minor", "lost in disputes"),
    },
    {"requested_at": payment.requested_at},
    {**KINDS, "state": payment_rows.STATES},
)
