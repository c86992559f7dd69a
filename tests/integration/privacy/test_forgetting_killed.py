"""Processes that forget people, or change the key that wraps the others, are killed in the middle, and others go on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import psycopg
import pytest
from psycopg.rows import dict_row

from conftest import fresh_database
from killing import run_until_killed
from oms_es.app import DECIDERS, PROJECTIONS, Engine
from oms_es.app.privacy import erasing
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.database.rows import connected
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.store.privacy import rotation, wrapping
from oms_es.verification.verify import verify
from people import (
    ADA,
    C_ADA,
    FIRST,
    GRACE,
    KEY,
    OF_GRACE,
    SAID,
    SECOND,
    assert_right,
    engine_with_people,
    everything,
    order_of,
    rows_of,
)

NEW_KEY = b"\x0a" * wrapping.KEY_BYTES
UNFINISHED = "no order and no account that was forgotten still has its key"

ERASES = """
from oms_es.app.privacy import erasing

erasing.erase(url, rest, "dpo", 30.0)
"""
ROTATES = """
from oms_es.database.rows import connected
from oms_es.store.privacy import rotation

rotation.OF_OTHERS = rotation.OF_OTHERS.replace(f"LIMIT {rotation.BATCH_MAX}", "LIMIT 1")
with connected(url) as rows:
    rotation.rotate(rows, held[0])
"""


@pytest.fixture
def engine(embedded_server: EmbeddedPostgres) -> Iterator[Engine]:
    with fresh_database(embedded_server) as url, engine_with_people(url) as engine:
        yield engine


def still_to_do(engine: Engine) -> list[str]:
    with psycopg.connect(engine.database_url, row_factory=dict_row) as connection:
        return erasing.unfinished(connection)


def assert_right_but_for(engine: Engine, orders: Sequence[str]) -> None:
    """What was killed is named, and nothing else is wrong."""
    report = verify(engine.database_url, DECIDERS, PROJECTIONS, Codec(EVENTS))
    failed = {check.name: check.failed for check in report.checks if check.failed}
    assert failed == ({UNFINISHED: len(orders)} if orders else {})
    assert still_to_do(engine) == list(orders)


EVERY = "OMS_TEST_KILLS" in os.environ
"""`make faults` kills at every step; without it, at one of each kind."""
BEFORE_THE_COMMIT = (
    "oms_es.store.privacy.subject_keys:destroy",
    "oms_es.app.privacy.elsewhere:take_away",
    "oms_es.app.privacy.rows:fold_again",
    "oms_es.history.states:drop_at_once",
)
WHILE_CHANGING = (
    ("oms_es.store.privacy.rotation:_some", 2, 1),
    ("oms_es.store.privacy.wrapping:Keyring.wrap", 2, 2),  # inside the transaction of the second
    ("oms_es.store.privacy.rotation:_some", 4, 0),  # before the old key is let go of
)


def test_who_is_killed_while_forgetting_has_done_all_of_it_or_nothing(engine: Engine) -> None:
    url, orders = engine.database_url, [FIRST, SECOND]
    erasing.ask(engine, "dpo", orders, "request", "dsr-1")
    engine.settle()
    before = {table: rows_of(url, table) for table in ("customers", "order_recipients", "oms_subject_keys")}
    assert any(row["customer_id"] == C_ADA.customer_id for row in before["customers"])
    for function in BEFORE_THE_COMMIT if EVERY else BEFORE_THE_COMMIT[:1]:
        run_until_killed(ERASES, url, [KEY], function, 1, *orders)
        assert {table: rows_of(url, table) for table in before} == before, function
        assert_right_but_for(engine, orders)
        engine.submit("test", [order_of(GRACE, C_ADA, function)])
        engine.settle()
        before = {table: rows_of(url, table) for table in before}
    run_until_killed(ERASES, url, [KEY], "oms_es.app.privacy.erasing:_erase", 1, *orders)
    assert_right_but_for(engine, [])
    gone = {row["subject"] for row in rows_of(url, "oms_subject_keys") if row["wrapped"] is None}
    assert gone == {FIRST, SECOND}
    of_ada = [said for said in SAID if said not in ("c-1815", "analytical", "20 7946", "ring twice")]
    assert [said for said in of_ada if said in everything(url)] == [], "what Grace ordered as Ada is left"


@pytest.mark.parametrize(("function", "nth", "left"), WHILE_CHANGING if EVERY else WHILE_CHANGING[:1])
def test_who_is_killed_while_changing_the_key_leaves_all_readable(
    engine: Engine, function: str, nth: int, left: int
) -> None:
    url = engine.database_url
    new, old = wrapping.KEYRING.hold([NEW_KEY, KEY])
    run_until_killed(ROTATES, url, [NEW_KEY, KEY], function, nth)
    with connected(url) as rows:
        assert rotation.standing(rows) == (new, [old], 3)
    assert [row["wrapped_by"] for row in rows_of(url, "oms_subject_keys")].count(old) == left
    engine.submit("test", [order_of(ADA, C_ADA, "9")])
    engine.settle()
    assert_right(engine)
    with Engine(url) as another:
        for order_id, address in ((FIRST, ADA), (SECOND, ADA), (OF_GRACE, GRACE)):
            placed = another.store.history(f"order-{order_id}")[0].event
            assert placed.ship_to == address  # type: ignore[attr-defined] # placed
    with connected(url) as rows:
        done = rotation.rotate(rows, new)
        assert (done.to, done.unneeded) == (new, [old])
        assert rotation.standing(rows) == (new, [], 4)
    assert {row["wrapped_by"] for row in rows_of(url, "oms_subject_keys")} == {new}
    assert_right(engine)
