"""Orders that are paid from an account, and what the read models then say of both."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from desk_story import order
from oms_es.app import Engine
from oms_es.schemas import order as o


def by_account(number: int, account_id: str, amount: int, units: int = 1) -> o.PlaceOrder:
    """Return an order that is paid from the account, with the remainder by card."""
    placed = order(number)
    line = placed.lines[0].model_copy(update={"quantity": units})
    tender = o.Tender(method="account", payment_token=account_id, amount_minor=amount)
    return placed.model_copy(update={"lines": (line,), "tenders": (tender,)})


def one(engine: Engine, query: str, *values: Any) -> dict[str, Any]:
    with psycopg.connect(engine.database_url, row_factory=dict_row) as connection:
        rows = connection.execute(query.encode(), values).fetchall()
    assert len(rows) == 1, rows
    return rows[0]


def there(engine: Engine, account_id: str) -> tuple[int, int]:
    row = one(engine, "SELECT * FROM accounts WHERE account_id = %s", account_id)
    return row["balance_minor"], row["held_minor"]


def phase(engine: Engine, placed: o.PlaceOrder) -> str:
    name: str = one(engine, "SELECT phase FROM order_status WHERE order_id = %s", placed.order_id)["phase"]
    return name
