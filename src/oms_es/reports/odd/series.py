"""The series that are judged by default: reports by day, each with the measure that is judged."""

from __future__ import annotations

from collections.abc import Mapping

from oms_es.reports.figures.definition import Definition, read

TEXTS: Mapping[str, str] = {
    "orders": """
title = "Orders placed"
source = "orders"
measure = [{ name = "orders", of = "orders" }]
""",
    "sales": """
title = "What orders came to"
source = "orders"
measure = [{ name = "gross", of = "gross_minor" }]
""",
    "cancellations": """
title = "Orders cancelled"
source = "orders"
time = "cancelled_at"
measure = [{ name = "cancelled", of = "cancelled_orders" }]
""",
    "returns": """
title = "Units asked to be sent back"
source = "returns"
measure = [{ name = "requested", of = "requested_units" }]
""",
    "payment-failures": """
title = "Share of payments that did not come"
source = "payments"
chart = "rate"
measure = [
  { name = "answered", of = "answered_payments" },
  { name = "refused", of = "refused_payments" },
  { name = "rate", how = "ratio", of = "refused", per = "answered" },
]
""",
    "delivery-time": """
title = "Hours from leaving to arrival, in the middle"
source = "parcels"
time = "delivered_at"
measure = [{ name = "half", how = "percentile", of = "ship_to_door_hours", percent = 50 }]
""",
    "stock-corrections": """
title = "Units that counts and corrections changed"
source = "movements"
filter = [{ dimension = "kind", is = ["counted", "adjusted", "written_off"] }]
measure = [{ name = "changed", of = "units" }]
""",
}


def built_in() -> Mapping[str, Definition]:
    return {name: read(f'name = "{name}"\n{text}', name) for name, text in TEXTS.items()}
