"""What-if runs over HTTP: history replayed with changed rules or stock, in a background thread, and the result.

Invariant: a run changes nothing in the database. A run is bounded in events, and a caller has one unfinished run at
most. A server forgets its runs when it ends: a run is repeated from its first and last position and its changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from oms_es.door import brought_in
from oms_es.errors import NotFound
from oms_es.history import moments
from oms_es.http.background import Job, Progress
from oms_es.http.requests import Asked
from oms_es.http.routing import Body, Route
from oms_es.http.writing.commands import closed
from oms_es.reports import queries
from oms_es.schemas.catalog.rates import DefineDeliveryOption, PublishRates
from oms_es.schemas.catalog.rules import PublishSourcingRules, SourcingRules
from oms_es.schemas.returns.policy import SetReturnPolicy
from oms_es.schemas.values.types import LocationId, Sku
from oms_es.whatif.changes import NAME, Changes, require_known
from oms_es.whatif.comparing import Comparison, compare
from oms_es.whatif.figures import MEASURES
from oms_es.whatif.history import read
from oms_es.whatif.stories import Step, stories

WRITE, READ = "catalog:write", "orders:read"
OF_NO_CHANNEL = "history is of every channel"
CHANGES_MAX = 1_000
UNITS_MAX = 10**9
POSITION_MAX = 10**17
STORIES_MAX = 100
"""Orders of a run whose two histories are kept."""
RETRY_SECONDS = 1
PATH = "/v1/what-if"
At = AwareDatetime | Annotated[int, Field(ge=0, le=POSITION_MAX)]
Place = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^(\*|[A-Za-z0-9._-]+)$")]
Changed = Field(max_length=CHANGES_MAX)


class Placed(BaseModel):
    """Units of a SKU at a location; `*` is any of either."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sku: Sku
    location: Place
    units: Annotated[int, Field(ge=-UNITS_MAX, le=UNITS_MAX)]


class Capacity(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    location: LocationId
    orders_per_day: Annotated[int, Field(ge=0, le=UNITS_MAX)]


class Trying(BaseModel):
    """The changes, and the stretch of history that is replayed. Without changes, the differences are what was in
    progress at the end, or what the log of several processes does not determine."""

    model_config = ConfigDict(extra="forbid", strict=True)

    since: At | None = None
    """The moment, or position in the log, at which the changes begin; without it, from the beginning."""
    until: At | None = None
    """The moment, or position in the log, at which the replay ends; without it, now."""
    rules: SourcingRules | None = None
    """Sourcing rules that replace every version that was in force."""
    rates: Annotated[tuple[PublishRates, ...], Changed] = ()
    policies: Annotated[tuple[SetReturnPolicy, ...], Changed] = ()
    delivery: Annotated[tuple[DefineDeliveryOption, ...], Changed] = ()
    safety_stock: Annotated[tuple[Placed, ...], Changed] = ()
    presale_limits: Annotated[tuple[Placed, ...], Changed] = ()
    stock: Annotated[tuple[Placed, ...], Changed] = ()
    """Units that are added to stock, or taken from it."""
    capacities: Annotated[tuple[Capacity, ...], Changed] = ()

    @property
    def changes(self) -> Changes:
        rules = [PublishSourcingRules(version=NAME, **dict(self.rules))] if self.rules else []
        return Changes(
            published=[*rules, *self.rates, *self.policies, *self.delivery],
            safety_stock={(one.sku, one.location): one.units for one in self.safety_stock},
            presale_limits={(one.sku, one.location): one.units for one in self.presale_limits},
            stock={(one.sku, one.location): one.units for one in self.stock},
            capacities={one.location: one.orders_per_day for one in self.capacities},
        )


class Run(NamedTuple):
    """What is kept of a run: not its events, which are many."""

    found: Mapping[str, Any]
    stories: Mapping[str, Sequence[Step]]


async def begin(asked: Asked) -> Response:
    """Begin a run. Raise ValidationError or Busy."""
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    wanted = brought_in(Trying.model_validate_json(await asked.json_body()))
    services = asked.services
    do = partial(_lived, services.parts.database_url, services.what_if_events_max, wanted)
    given = wanted.model_dump(mode="json", exclude_defaults=True)
    key = (asked.route.name, asked.caller.actor, wanted.model_dump_json())
    job = services.trying.again(key, asked.caller.actor, lambda progress: (given, do(progress)))
    return _running(asked, job)


async def show(asked: Asked) -> Response:
    """Answer with a run's result, or its progress. Raise NotFound, and whatever the run raised."""
    job = _job(asked)
    if not job.result.done():
        return _running(asked, job)
    given, run = job.result.result()
    return asked.json({"state": "done", "run": job.id, "began_at": job.began_at, "changed": given, **run.found})


async def show_stories(asked: Asked) -> Response:
    """Answer with both histories of an order of a run. Raise NotFound, and whatever the run raised."""
    job, order = _job(asked), asked.values["order"]
    if not job.result.done():
        return _running(asked, job)
    found = job.result.result()[1].stories.get(order)
    if found is None:
        raise NotFound(f"it is none of the first {STORIES_MAX} orders of this run that differ; the run names them")
    steps = [{"before": step.before, "after": step.after, "is_same": step.is_same} for step in found]
    return asked.json({"order_id": order, "steps": steps})


async def cancel(asked: Asked) -> Response:
    await asked.json_body()
    job = _job(asked)
    job.progress.cancel()
    return _running(asked, job)


def _job(asked: Asked) -> Job:
    """Return the caller's run that the path names. Raise NotFound."""
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    job = asked.services.trying.find(asked.values["run"], asked.caller.actor)
    if job is None:
        hours = asked.services.trying.kept_seconds / 3_600
        raise NotFound(f"no run of yours has this id; one is kept for {hours:g} h after its end: begin it again")
    return job


def _running(asked: Asked, job: Job) -> Response:
    headers = {"Retry-After": str(RETRY_SECONDS), "Location": f"{PATH}/{job.id}"}
    shown = {"state": "running", "run": job.id, "began_at": job.began_at}
    return asked.json({**shown, "done": job.progress.done, "total": job.progress.total}, 202, headers)


def _lived(database_url: str, events_max: int, wanted: Trying, progress: Progress) -> Run:
    """Replay history with the changes and compare the result. Raise Cancelled, StillToCome, TooLong, Unreadable or
    Stopped."""
    with queries.reading(database_url) as connection:
        last = moments.position_of(connection, wanted.until)
        first = 0 if wanted.since is None else min(moments.position_of(connection, wanted.since), last)
        lived = read(connection, first, last, lambda reached, _: progress(reached, 2 * last), events_max=events_max)
    require_known(wanted.changes, [*lived.before, *lived.after])
    found = compare(lived, wanted.changes, last, lambda reached: progress(min(last + reached, 2 * last), 2 * last))
    return Run(_shown(found), _stories([*lived.before, *lived.after], [*lived.before, *found.relived], found))


def _shown(found: Comparison) -> Mapping[str, Any]:
    shown = found.as_json()
    figures = shown.pop("total")
    return {**shown, "figures": figures, "stories": min(len(found.differ), STORIES_MAX), "measures": dict(MEASURES)}


def _stories(real: Sequence[Any], relived: Sequence[Any], found: Comparison) -> Mapping[str, Sequence[Step]]:
    """Return both histories of the first orders that differ; only their events are folded."""
    named = set(found.differ[:STORIES_MAX])
    was, would_be = ([one for one in history if one.correlation_id in named] for history in (real, relived))
    return {order: stories(was, would_be, order) for order in sorted(named)}


def _schema() -> Mapping[str, Any]:
    found: Mapping[str, Any] = closed(Trying.model_json_schema(ref_template="#/components/schemas/{model}"))
    return found


TEXT: Mapping[str, Any] = {"type": "string"}
COUNT: Mapping[str, Any] = {"type": "integer"}
FIGURES: Mapping[str, Any] = {"type": "object", "description": "Each before and after."}
STATE: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "state": {"enum": ["running", "done"]},
        "run": TEXT,
        "began_at": {"type": "string", "format": "date-time"},
        "done": COUNT,
        "total": {"type": "integer", "description": "0 as long as it is not known."},
        "changed": {"type": "object", "description": "What was to be otherwise, as it was sent."},
        **dict.fromkeys(("begins", "ends"), COUNT),
        **dict.fromkeys(("figures", "by_day", "by_location"), FIGURES),
        "orders_that_differ": COUNT,
        "orders": {"type": "array", "items": TEXT},
        "orders_on_modelled_answers": {"type": "integer", "description": "Which rest on answers that history lacks."},
        "stories": {"type": "integer", "description": "Of so many orders, the first, both stories are kept."},
        "measures": {"type": "object", "description": "What each figure counts."},
    },
    "required": ["state", "run", "began_at"],
}
SIDE: Mapping[str, Any] = {"type": ["object", "null"]}
STORIES: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "order_id": TEXT,
        "steps": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    **dict.fromkeys(("before", "after"), SIDE),
                    "is_same": {"type": "boolean"},
                },
            },
        },
    },
}
RUN: Mapping[str, Mapping[str, Any]] = {"run": {"type": "string", "pattern": "^[0-9a-f]{32}$"}}
NOTHING = Body(lambda: {"type": "object", "maxProperties": 0}, dict)
UNDER_WAY = "It is under way: GET its Location."
NONE = "There is none, or it ended too long ago."
EXAMPLE: Mapping[str, Any] = {"rules": {"split": {"shipments_max": 1}}}
ROUTES: Sequence[Route] = (
    Route(
        "POST",
        PATH,
        "begin-what-if",
        "Replay history in memory under other rules, rates, policies, limits, capacities or stock. Nothing "
        "in the database changes.",
        WRITE,
        begin,
        (),
        Body(_schema, lambda: dict(EXAMPLE)),
        answers={202: UNDER_WAY},
        answer=STATE,
        tag="catalog",
    ),
    Route(
        "GET",
        f"{PATH}/{{run}}",
        "show-what-if",
        "The progress or the result of a run of yours: figures before and after, and the orders that differ.",
        WRITE,
        show,
        answers={200: "It came to this.", 202: UNDER_WAY, 404: NONE},
        answer=STATE,
        tag="catalog",
        path_schemas=RUN,
    ),
    Route(
        "GET",
        f"{PATH}/{{run}}/orders/{{order}}",
        "show-what-if-order",
        "Both histories of an order that differs: as it was, and as it would have been.",
        READ,
        show_stories,
        answers={200: "They are these.", 202: UNDER_WAY, 404: NONE},
        answer=STORIES,
        tag="catalog",
        path_schemas=RUN,
    ),
    Route(
        "POST",
        f"{PATH}/{{run}}:cancel",
        "cancel-what-if",
        "Cancel a run of yours; it ends at its next step.",
        WRITE,
        cancel,
        (),
        NOTHING,
        answers={202: "It ends.", 404: NONE},
        answer=STATE,
        tag="catalog",
        path_schemas=RUN,
    ),
)
