"""Composition: every aggregate, consumer, projection, gateway and dialect that exists, named once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oms_es import channels
from oms_es.aggregates.catalog import delivery, item, location, numbering, rates, routes, rules, serial
from oms_es.aggregates.finance import account, invoice, reconciliation, seller, statement
from oms_es.aggregates.operations import aside as put_aside
from oms_es.aggregates.operations import connection, document, encryption, exception, report, subscription
from oms_es.aggregates.order import decider as order
from oms_es.aggregates.payment import decider as payment
from oms_es.aggregates.payment import provider
from oms_es.aggregates.returns import feedback, policy, rma
from oms_es.aggregates.shipment import decider as shipment
from oms_es.aggregates.shipment import tracker
from oms_es.aggregates.stock import decider as stock
from oms_es.app import bulk_commands
from oms_es.app.invoicing.issuing import InvoicingGateway
from oms_es.channels import DIALECTS
from oms_es.consumers.order import backorder_filler, order_joiner, order_numberer, order_progress
from oms_es.consumers.payment import account_keeper, payment_capturer, payment_matcher, payment_requester, refunder
from oms_es.consumers.returns import customer_feedback, return_opener, return_progress
from oms_es.consumers.shipment import carrier_notifier, fulfilment_releaser, tracking_matcher
from oms_es.consumers.sourcing import sourcing
from oms_es.consumers.stock import replenisher, serial_keeper, stock_allocator, stock_mover
from oms_es.gateways.callbacks import CALLBACKS
from oms_es.gateways.carrier import port as carrier
from oms_es.gateways.payment import port as payment_provider
from oms_es.gateways.simulated.warehouse import SimulatedWarehouse
from oms_es.kernel import (
    Consumer,
    Decider,
    Projection,
)
from oms_es.processing.intake.worker import Parser
from oms_es.projections.catalog import (
    carrier_rates,
    delivery_options,
    gateway_routes,
    items,
    location_load,
    locations,
    sourcing_rules,
)
from oms_es.projections.documents import document_attachments, document_fields
from oms_es.projections.facts import (
    bookings,
    order_lines,
    order_milestones,
    parcel_lines,
    refunds,
    return_lines,
    stock_movements,
)
from oms_es.projections.facts import feedback as feedback_facts
from oms_es.projections.finance import (
    account_entries,
    account_orders,
    accounts,
    invoices,
    money_movements,
    reconciled_accounts,
    reconciliation_breaks,
    reconciliation_matches,
    sellers,
    statement_lines,
    statements,
)
from oms_es.projections.operations import connections, deadlines, exception_history, open_exceptions, subscriptions
from oms_es.projections.order import (
    backorder_queue,
    customer_spending,
    customers,
    daily_sales,
    order_locations,
    order_notes,
    order_numbers,
    order_recipients,
    order_skus,
    order_status,
    order_timeline,
)
from oms_es.projections.payment import deposits, payment_references, payments, provider_reports
from oms_es.projections.privacy import forgotten_accounts, forgotten_orders, legal_holds
from oms_es.projections.reports import report_files
from oms_es.projections.returns import feedback_scores, return_policies, returns
from oms_es.projections.shipment import pick_requests, shipments, tracking_numbers, tracking_reports
from oms_es.projections.stock import inbounds, replenishments, serial_numbers, stock_levels, stock_places
from oms_es.store.encoding import command_codec

DECIDERS: tuple[Decider[Any], ...] = (
    order.decider,
    stock.decider,
    payment.decider,
    shipment.decider,
    location.decider,
    item.decider,
    numbering.decider,
    serial.decider,
    rules.decider,
    rates.decider,
    delivery.decider,
    routes.decider,
    tracker.decider,
    put_aside.decider,
    exception.decider,
    rma.decider,
    policy.decider,
    feedback.decider,
    provider.decider,
    connection.decider,
    subscription.decider,
    statement.decider,
    reconciliation.decider,
    account.decider,
    seller.decider,
    invoice.decider,
    document.decider,
    encryption.decider,
    report.decider,
)

CONSUMERS: tuple[Consumer, ...] = (
    sourcing.consumer,
    stock_allocator.consumer,
    stock_mover.consumer,
    serial_keeper.consumer,
    replenisher.consumer,
    order_progress.consumer,
    backorder_filler.consumer,
    payment_requester.consumer,
    payment_capturer.consumer,
    refunder.consumer,
    order_joiner.consumer,
    order_numberer.consumer,
    fulfilment_releaser.consumer,
    carrier_notifier.consumer,
    tracking_matcher.consumer,
    payment_matcher.consumer,
    account_keeper.consumer,
    return_opener.consumer,
    return_progress.consumer,
    customer_feedback.consumer,
)

PROJECTIONS: tuple[Projection, ...] = (
    locations.projection,
    location_load.projection,
    sourcing_rules.projection,
    order_locations.projection,
    items.projection,
    stock_levels.projection,
    stock_places.projection,
    inbounds.projection,
    serial_numbers.projection,
    replenishments.projection,
    backorder_queue.projection,
    deadlines.projection,
    order_status.projection,
    order_numbers.projection,
    order_skus.projection,
    order_recipients.projection,
    order_timeline.projection,
    order_notes.projection,
    daily_sales.projection,
    customers.projection,
    customer_spending.projection,
    open_exceptions.projection,
    exception_history.projection,
    payments.projection,
    deposits.projection,
    carrier_rates.projection,
    delivery_options.projection,
    gateway_routes.projection,
    shipments.projection,
    pick_requests.projection,
    tracking_numbers.projection,
    tracking_reports.projection,
    payment_references.projection,
    provider_reports.projection,
    return_policies.projection,
    returns.projection,
    feedback_scores.projection,
    order_milestones.projection,
    order_lines.projection,
    parcel_lines.projection,
    return_lines.projection,
    refunds.projection,
    bookings.projection,
    feedback_facts.projection,
    stock_movements.projection,
    connections.projection,
    subscriptions.projection,
    statements.projection,
    statement_lines.projection,
    money_movements.projection,
    reconciliation_matches.projection,
    reconciliation_breaks.projection,
    reconciled_accounts.projection,
    accounts.projection,
    account_entries.projection,
    account_orders.projection,
    sellers.projection,
    invoices.projection,
    document_attachments.projection,
    document_fields.projection,
    forgotten_orders.projection,
    forgotten_accounts.projection,
    legal_holds.projection,
    report_files.projection,
)

REACHING_OUT = (payment_provider.PaymentGateway, SimulatedWarehouse, carrier.CarrierGateway)
"""Gateways to the world, which is there or not."""
GATEWAYS = (*REACHING_OUT, InvoicingGateway)

INTENTS: Mapping[str, frozenset[str]] = {
    gateway.name: frozenset(intent.__name__ for intent in gateway.intents) for gateway in REACHING_OUT
}
"""The events that wait for each gateway to the world, by name."""

PARSERS: Mapping[str, Parser] = {
    **DIALECTS,
    **CALLBACKS,
    command_codec.DIALECT: command_codec.parser_of(DECIDERS),
    bulk_commands.DIALECT: bulk_commands.reader(DECIDERS),
}
"""The parser of each dialect: used when input arrives, and again when a dead letter is replayed."""


def parser_of(dialect: str) -> Parser:
    """Return the parser of a dialect, also one that belongs to a single channel. Raise KeyError."""
    return channels.parser_of(dialect) or PARSERS[dialect]
