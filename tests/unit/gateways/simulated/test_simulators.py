"""The simulators recognise a repeated request, also while the first one is being processed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from uuid import NAMESPACE_OID, uuid5

import psycopg
import pytest

from oms_es.app import migrate
from oms_es.gateways.payment.port import Answer, Ask
from oms_es.gateways.simulated.effects import SqlEffectStore
from oms_es.gateways.simulated.modes import Chaos
from oms_es.gateways.simulated.payment_provider import SimulatedPaymentProvider

WORKERS, ASKS, ROUNDS = 4, 20, 5


def asks(of: int) -> list[Ask]:
    return [
        Ask(
            key=uuid5(NAMESPACE_OID, f"{of}/{n}"),
            operation="authorize",
            payment_id=f"p{of}-{n}",
            part="",
            amount_minor=100,
            currency="EUR",
            payment_token="tok-ok",
            authorization="",
        )
        for n in range(ASKS)
    ]


@pytest.mark.parametrize("of", range(ROUNDS))
def test_workers_that_ask_for_the_same_at_the_same_time_get_one_effect_and_one_answer(
    database_url: str, of: int
) -> None:
    migrate(database_url)
    together = Barrier(WORKERS)

    def ask(_: int) -> list[Answer]:
        provider = SimulatedPaymentProvider(SqlEffectStore(database_url, lambda: datetime.now(UTC)), Chaos())
        try:
            provider.submit([])  # connected
            together.wait()
            return list(provider.submit(asks(of)))
        finally:
            provider.effect_store.close()

    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(ask, range(WORKERS)))
    assert all(answer == answers[0] for answer in answers)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM simulated_effects").fetchone() == (ASKS,)
