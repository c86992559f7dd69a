"""Orders, the newest first, by filters that stand in the address."""

from __future__ import annotations

from datetime import date, timedelta
from urllib.parse import urlencode

from starlette.responses import Response

from oms_es.console.routes import page
from oms_es.console.visits import Visit
from oms_es.http.errors import BadParameter
from oms_es.reports.order_list import PHASES

FILTERS = ("channel", "sku", "hold", "country", "customer")
OPEN_PHASES = tuple(phase for phase in PHASES if phase not in ("completed", "cancelled", "merged"))
LIMIT = "50"


async def orders(visit: Visit) -> Response:
    phases = visit.many("phase")
    given = {name: visit.one(name) for name in (*FILTERS, "since", "until")}
    query = {
        **{name: given[name] for name in FILTERS},
        "phase": phases or None,
        "placed_at[gte]": _day("since", given["since"], 0),
        "placed_at[lt]": _day("until", given["until"], 1),
        "after": visit.one("after"),
        "limit": LIMIT,
    }
    found = await visit.api.get("/v1/orders", query)
    chosen = {name: value for name, value in given.items() if value}
    more = found["next"] and "/console/orders?" + urlencode(
        [*chosen.items(), *(("phase", phase) for phase in phases), ("after", found["next"])]
    )
    return visit.page(
        "orders.html",
        orders=found["items"],
        more=more,
        phases=PHASES,
        open_phases=OPEN_PHASES,
        chosen_phases=phases,
        chosen=chosen,
        is_first=visit.one("after") is None,
    )


def _day(name: str, text: str | None, days: int) -> str | None:
    """The moment at which it begins; of the last day that counts, at which it ends. Raises BadParameter."""
    if text is None:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError):
        raise BadParameter(name, "write a day such as 2026-01-05") from None
    return f"{day.isoformat()}T00:00:00Z"


ROUTES = (
    page(*("/orders", "orders", "orders:read", orders, "phase", *FILTERS, "since", "until", "after"), many="phase"),
)
