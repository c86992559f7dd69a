"""Where each command is, by its name in the terminal."""

from __future__ import annotations

from collections.abc import Mapping

ENTITIES: Mapping[str, str | None] = {
    "order": "One order.",
    "stock": "Stock of a SKU at a location.",
    "payment": "One payment of an order.",
    "shipment": "One shipment of an order.",
    "location": "Places that hold stock.",
    "item": "What is sold: its measures, and bundles of it.",
    "numbering": "The numbers that a channel's orders are given.",
    "serials": "Units with a serial number.",
    "rules": "How the place is chosen that an order is shipped from.",
    "rates": "What carriers charge.",
    "delivery": "Delivery options, and what they promise.",
    "tracker": "What a carrier says of a tracking number.",
    "aside": "What followed from an event and was refused.",
    "return": "Goods that come back (RMA).",
    "policy": "What channels promise about returns.",
    "feedback": "What customers say.",
    "provider": "What a payment provider reports.",
    "statement": "What a bank or a payment provider says moved.",
    "reconcile": "What banks and payment providers say moved, beside what happened here.",
    "connections": "Who sends webhooks here, and under which secrets.",
    "subscriptions": "Who is sent webhooks of what becomes of orders.",
}
"""What each group of commands of the vocabulary is about."""
COMMANDS: Mapping[str, str] = {
    "demo": "operator.demo:demo",
    "run": "operator.running:run_engine",
    "serve": "operator.serving:run_server",
    "deliver": "operator.running:run_deliverer",
    "relay": "operator.running:run_relay",
    "worker": "operator.running:run_worker",
    "migrate": "operator.running:migrate_database",
    "status": "operator.status:status",
    "verify": "operator.checking:verify_history",
    "audit": "operator.auditing:app",
    "rebuild": "operator.checking:rebuild_read_models",
    "rows": "past.rows:list_rows",
    "explain": "past.rows:explain",
    "diff": "past.diff:diff",
    "states": "past.states:app",
    "simulate": "operator.simulating:simulate",
    "orders": "desk.orders:app",
    "customers": "desk.customers:app",
    "callbacks": "importing:callbacks_app",
    "report": "desk.reports:app",
    "forecast": "desk.forecasts:forecast_demand",
    "replenish": "desk.replenishing:app",
    "books": "finance.books:app",
    "export": "operator.exporting:export",
    "dead-letters": "desk.dead_letters:app",
    "exceptions": "desk.exceptions:app",
    "reference": "operator.reference:app",
    "topics": "operator.topics:app",
    **{entity: f"entities:{entity}" for entity in ENTITIES},
    "keys": "operator.serving:keys_app",
    "deliveries": "subscriptions:deliveries_app",
}
"""Where each is, in this package: it is imported when it is asked for."""
