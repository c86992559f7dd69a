"""Orders, the newest first, by filters that stand in the address."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from urllib.parse import urlencode

from starlette.responses import Response

from oms_es.console.routes import page
from oms_es.console.visits import Visit
from oms_es.http.errors import BadParameter
from oms_es.reports.order_list import PHASES

FILTERS = ("channel", "sku", "hold", "country", "customer")
OPEN_PHASES = tuple(phase for phase in PHASES if phase not in ("completed", "cancelled", "merged"))
FILTER = ("phase", *FILTERS, "since", "until")
FOR_ALL = ("hold", "release-hold", "retry-sourcing", "retry-payment", "cancel")
WRITE = "orders:write"
LIMIT = "50"


async def orders(visit: Visit) -> Response:
    given = filter_of(visit.many, visit.one)
    found = await visit.api.get("/v1/orders", {**query_of(given), "after": visit.one("after"), "limit": LIMIT})
    more = found["next"] and f"/console/orders?{urlencode({**given, 'after': found['next']}, doseq=True)}"
    return visit.page(
        "orders.html",
        orders=found["items"],
        more=more,
        phases=PHASES,
        open_phases=OPEN_PHASES,
        chosen_phases=given.get("phase", []),
        chosen={name: values[0] for name, values in given.items() if name != "phase"},
        is_first=visit.one("after") is None,
        filter=urlencode(given, doseq=True),
        for_all=offers_of_all(visit),
    )


def offers_of_all(visit: Visit) -> list[str]:
    """Verbs that may be given to every order of a filter."""
    return list(FOR_ALL) if visit.api.may(WRITE) else []


def filter_of(many: Callable[[str], list[str]], one: Callable[[str], str | None]) -> dict[str, list[str]]:
    """What was chosen, by name."""
    given = {name: [value] for name in FILTER if name != "phase" and (value := one(name))}
    return {"phase": phases, **given} if (phases := many("phase")) else given


def query_of(given: Mapping[str, Sequence[str]]) -> dict[str, str | Sequence[str] | None]:
    """As the API asks it. Raises BadParameter."""
    first = {name: values[0] for name, values in given.items()}
    return {
        **{name: first.get(name) for name in FILTERS},
        "phase": given.get("phase"),
        "placed_at[gte]": _day("since", first.get("since"), 0),
        "placed_at[lt]": _day("until", first.get("until"), 1),
    }


def _day(name: str, text: str | None, days: int) -> str | None:
    """The moment at which it begins; of the last day that counts, at which it ends. Raises BadParameter."""
    if text is None:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError):
        raise BadParameter(name, "write a day such as 2026-01-05") from None
    return f"{day.isoformat()}T00:00:00Z"


ROUTES = (page(*("/orders", "orders", "orders:read", orders, *FILTER, "after"), many=("phase",)),)
