"""One group of commands per entity of the vocabulary: its lists and views, and every command that it accepts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import typer

from oms_es.app import DECIDERS
from oms_es.app.verbs import Verb, is_for_the_engine, verbs
from oms_es.cli.desk import exceptions
from oms_es.cli.generated import add_to
from oms_es.cli.giving import do
from oms_es.cli.lazy import group_of, imported, of_one_command
from oms_es.cli.places import ENTITIES
from oms_es.kernel import Command
from oms_es.schemas.operations.connection import OpenConnection, RotateConnection
from oms_es.schemas.operations.subscription import OpenSubscription, RotateSubscription

SHOWN: Mapping[str, Mapping[str, str]] = {
    "order": {"show": "desk.single:show_order", "link": "operator.serving:link_order", "why": "desk.single:why_there"},
    "stock": {
        "show": "desk.stock:show_stock",
        "pick-advice": "desk.stock:pick_advice",
        "low": "desk.stock:running_low",
        "list": "desk.single:list_stock",
    },
    "payment": {"show": "desk.single:show_payment", "list": "desk.lists:list_payments"},
    "shipment": {
        "quote": "desk.shipping:quote_shipment",
        "label": "desk.shipping:print_label",
        "show": "desk.single:show_shipment",
        "list": "desk.lists:list_shipments",
    },
    "return": {"show": "desk.single:show_return", "list": "desk.lists:list_returns"},
    "location": {"show": "desk.single:show_location", "list": "desk.single:list_locations"},
    "account": {
        "list": "finance.accounts:list_accounts",
        "show": "finance.accounts:show_account",
        "statement": "finance.accounts:show_statement",
        "ageing": "finance.accounts:show_ageing",
        "outstanding": "finance.gift_cards:show_outstanding",
        "show-code": "finance.gift_cards:show_code",
        "enquire": "finance.gift_cards:enquire",
        "present": "finance.gift_cards:present",
        "import-cards": "finance.gift_cards:import_cards",
    },
    "seller": {"list": "finance.invoices:list_sellers"},
    "invoice": {"list": "finance.invoices:list_invoices"},
    "reconcile": {
        "import": "finance.reconciling:import_statement",
        "statements": "finance.reconciling:list_statements",
        "lines": "finance.reconciling:show_lines",
        "run": "finance.reconciling:run",
        "breaks": "finance.reconciling:list_breaks",
        "explain": "finance.reconciling:explain",
        "report": "finance.reporting:report",
    },
    "documents": {
        "add": "finance.documents:add_document",
        "get": "finance.documents:get_document",
        "list": "finance.documents:list_documents",
        "read": "finance.documents:read_document",
        "sweep": "finance.documents:sweep_documents",
    },
    "report-files": {"list": "desk.reports:report_files"},
    "connections": {
        "create": "connections:create_connection",
        "list": "connections:list_connections",
        "rotate": "connections:rotate_connection",
    },
    "subscriptions": {
        "create": "subscriptions:create_subscription",
        "list": "subscriptions:list_subscriptions",
        "rotate": "subscriptions:rotate_subscription",
    },
}
"""Commands of each group beside those of the vocabulary."""
WITH_A_SECRET: tuple[type[Command], ...] = (OpenConnection, RotateConnection, OpenSubscription, RotateSubscription)
"""Commands of the vocabulary that refer to a secret, which must be stored first."""
GIVEN_ELSEWHERE = (*exceptions.GIVEN_HERE, *WITH_A_SECRET)
VERBS = [verb for verb in verbs(DECIDERS) if verb.command not in GIVEN_ELSEWHERE]


def made(verb: Verb) -> Callable[[], Any]:
    def make() -> Any:
        app = of_one_command()
        add_to(app, verb, do)
        return typer.main.get_command(app)

    return make


def makers(entity: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    yield from ((name, imported(place)) for name, place in SHOWN.get(entity, {}).items())
    yield from ((verb.name, made(verb)) for verb in VERBS if verb.group == entity)


def __getattr__(entity: str) -> Any:
    """Return the group of an entity by its name."""
    if entity not in {verb.group for verb in VERBS}:
        raise AttributeError(entity)
    only_the_engine = all(is_for_the_engine(verb.command) for verb in VERBS if verb.group == entity)
    return group_of(dict(makers(entity)), text=ENTITIES[entity], hidden=only_the_engine and entity not in SHOWN)
