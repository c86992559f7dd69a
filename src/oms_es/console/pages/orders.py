"""The list of orders, the newest first. Its filters are in the address, and a person can save them under names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from urllib.parse import parse_qs, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from oms_es.console.routes import form, page
from oms_es.console.visits import Visit
from oms_es.http.errors import BadParameter
from oms_es.reports.order_list import PHASES
from oms_es.store.http import views
from oms_es.store.http.views import NAME_CHARACTERS_MAX, QUERY_CHARACTERS_MAX, View

FILTERS = ("channel", "sku", "hold", "country", "customer")
OPEN_PHASES = tuple(phase for phase in PHASES if phase not in ("completed", "cancelled", "merged"))
FILTER = ("phase", *FILTERS, "since", "until")
FOR_ALL = ("hold", "release-hold", "retry-sourcing", "retry-payment", "cancel")
WRITE = "orders:write"
LIMIT = "50"
PATH = "/console/orders"
OF_PEOPLE = ("customer",)
"""Filters that are not saved: a customer's name is stored only where it can be forgotten."""


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
        views=await run_in_threadpool(_kept, visit),
        view=urlencode(_to_keep(given), doseq=True),
        name_max=NAME_CHARACTERS_MAX,
    )


def _kept(visit: Visit) -> Sequence[View]:
    return visit.asked.services.read(lambda connection: views.of(connection, visit.person.caller.actor))


def _to_keep(given: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    return {name: values for name, values in given.items() if name not in OF_PEOPLE}


async def keep_view(visit: Visit) -> Response:
    """Save the page's filter as a view. Raise BadParameter or TooManyViews."""
    name = " ".join(visit.form.get("name", "").split())
    if not name.isprintable() or not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        raise BadParameter("name", f"give the view a name of 1 to {NAME_CHARACTERS_MAX} characters")
    said = parse_qs(visit.form.get("query", ""))
    given = filter_of(lambda one: said.get(one, []), lambda one: next(iter(said.get(one, [])), None))
    query_of(given)
    view = View(name, urlencode(_to_keep(given), doseq=True))
    if len(view.query) > QUERY_CHARACTERS_MAX:
        raise BadParameter("query", f"a filter that is kept has at most {QUERY_CHARACTERS_MAX} characters")
    actor = visit.person.caller.actor
    await run_in_threadpool(visit.asked.services.write, lambda connection: views.keep(connection, actor, view))
    return visit.go(f"{PATH}?{view.query}" if view.query else PATH)


async def drop_view(visit: Visit) -> Response:
    name, actor = visit.form.get("name", ""), visit.person.caller.actor
    await run_in_threadpool(visit.asked.services.write, lambda connection: views.drop(connection, actor, name))
    return visit.go(PATH)


def offers_of_all(visit: Visit) -> list[str]:
    """Return the verbs that may be given to all orders of a filter."""
    return list(FOR_ALL) if visit.api.may(WRITE) else []


def filter_of(many: Callable[[str], list[str]], one: Callable[[str], str | None]) -> dict[str, list[str]]:
    """Return the chosen filters by name."""
    given = {name: [value] for name in FILTER if name != "phase" and (value := one(name))}
    return {"phase": phases, **given} if (phases := many("phase")) else given


def query_of(given: Mapping[str, Sequence[str]]) -> dict[str, str | Sequence[str] | None]:
    """Return the filters as parameters of the API. Raise BadParameter."""
    first = {name: values[0] for name, values in given.items()}
    return {
        **{name: first.get(name) for name in FILTERS},
        "phase": given.get("phase"),
        "placed_at[gte]": _day("since", first.get("since"), 0),
        "placed_at[lt]": _day("until", first.get("until"), 1),
    }


def _day(name: str, text: str | None, days: int) -> str | None:
    """Return the moment at which the day begins, moved by `days`. Raise BadParameter."""
    if text is None:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError):
        raise BadParameter(name, "write a day such as 2026-01-05") from None
    return f"{day.isoformat()}T00:00:00Z"


READ = "orders:read"
ROUTES = (
    page("/orders", "orders", READ, orders, *FILTER, "after", many=("phase",)),
    form("/orders/views", "view-keep", READ, keep_view),
    form("/orders/views/drop", "view-drop", READ, drop_view),
)
