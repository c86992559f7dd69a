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
    "connections": "Who sends webhooks here, and under which secrets.",
    "subscriptions": "Who is sent webhooks of what becomes of orders.",
}
"""What each group of commands of the vocabulary is about."""
COMMANDS: Mapping[str, str] = {
    "demo": "demo:demo",
    "run": "running:run_engine",
    "serve": "serving:run_server",
    "deliver": "running:run_deliverer",
    "relay": "running:run_relay",
    "worker": "running:run_worker",
    "migrate": "running:migrate_database",
    "status": "status:status",
    "verify": "checking:verify_history",
    "rebuild": "checking:rebuild_read_models",
    "simulate": "simulating:simulate",
    "orders": "orders:app",
    "callbacks": "importing:callbacks_app",
    "report": "reports:app",
    "dead-letters": "dead_letters:app",
    "exceptions": "exceptions:app",
    "reference": "reference:app",
    "topics": "topics:app",
    **{entity: f"entities:{entity}" for entity in ENTITIES},
    "keys": "serving:keys_app",
    "deliveries": "subscriptions:deliveries_app",
}
"""Where each is, in this package: it is imported when it is asked for."""
