"""Databases kept from earlier versions: this version migrates them, rebuilds the read models that it folds
otherwise, and continues with them.
"""

from __future__ import annotations

import lzma
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text

from oms_es.app import DECIDERS, PROJECTIONS, Engine, engine, migrate, migration
from oms_es.app.privacy.encrypting import still_in_the_clear
from oms_es.demo.workload import Workload
from oms_es.kernel import Fold, Key, Projection, Recorded, Refused, Row
from oms_es.projections.catalog import locations
from oms_es.schemas.catalog.routes import PaymentRoute, PublishGatewayRoutes
from oms_es.schemas.payment.references import ClaimReference
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store import schema
from oms_es.store.encoding.codec import Codec
from oms_es.store.schema import NewerDatabase, NotMigrated
from oms_es.verification.verify import verify
from repository import ROOT

KEPT = sorted(Path(__file__).parent.glob("*.sql.xz"))


HELD_BY_ONE = """
SELECT count(*) FROM (SELECT FROM payment_references GROUP BY reference HAVING count(*) = 1) AS held"""

ANY_NAME = "SELECT min(reference) FROM payment_references"


def restored(kept: Path, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(lzma.decompress(kept.read_bytes()))


def differences(url: str) -> list[str]:
    report = verify(url, DECIDERS, PROJECTIONS, Codec(EVENTS))
    return [difference for check in report.checks for difference in check.differences]


def value(url: str, query: str) -> Any:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        return row and row[0]


def done(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.name.removesuffix(".sql.xz"))
def test_a_kept_database_is_refused_then_migrated_verified_and_gone_on_with(kept: Path, database_url: str) -> None:
    restored(kept, database_url)
    events = value(database_url, "SELECT count(*) FROM oms_events")
    with pytest.raises(NotMigrated, match=r"an older version of oms-es made this database; .* `oms-es migrate`"):
        Engine(database_url).__enter__()
    migrate(database_url)
    assert differences(database_url) == []
    claims = value(database_url, HELD_BY_ONE)
    assert claims > 100
    assert value(database_url, "SELECT count(*) FROM oms_events") == events + claims > 1_000
    migrate(database_url)
    assert value(database_url, "SELECT count(*) FROM oms_events") == events + claims
    with Engine(database_url, simulated=True) as engine:
        for batch in Workload(7, 20).steps(20):
            engine.submit("test", batch)
        engine.settle()
        with pytest.raises(Refused, match="reference_reused"):
            engine.store.preview(ClaimReference(reference=value(database_url, ANY_NAME), payment_id="another"))
    assert differences(database_url) == []
    assert value(database_url, "SELECT count(*) FROM oms_events") > events


def test_what_a_kept_database_has_in_the_clear_is_encrypted(database_url: str) -> None:
    restored(KEPT[0], database_url)
    migrate(database_url, data_keys=[b"\x0c" * 32])
    with psycopg.connect(database_url) as connection:
        assert still_in_the_clear(connection).events == 0
    assert value(database_url, "SELECT count(*) FROM oms_events WHERE topic = 'EventsEncrypted'") == 1
    assert differences(database_url) == []


def test_routes_that_were_published_before_parcels_had_some_are_folded_again(database_url: str) -> None:
    migrate(database_url)
    with Engine(database_url) as opened:
        opened.submit("test", [PublishGatewayRoutes(version="2", payments=(PaymentRoute(gateway="stripe"),))])
        opened.settle()
    now = value(database_url, "SELECT routes FROM gateway_routes")
    done(database_url, "UPDATE gateway_routes SET routes = routes - 'carriers' - 'warehouses'")
    done(database_url, f"UPDATE {schema.READ_MODELS} SET version = 1 WHERE name = 'gateway_routes'")
    assert differences(database_url)
    migrate(database_url)
    assert value(database_url, "SELECT routes FROM gateway_routes") == now
    assert differences(database_url) == []


def test_there_is_a_kept_database_of_every_release() -> None:
    releases = {file.stem for file in (ROOT / "docs" / "reference" / "published").glob("*.json")}
    assert releases <= {kept.name.removesuffix(".sql.xz") for kept in KEPT}


def test_a_migration_that_was_interrupted_goes_on(database_url: str) -> None:
    restored(KEPT[0], database_url)

    def interrupt(_read_model: str) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrate(database_url, progress=interrupt)
    with pytest.raises(NotMigrated):
        Engine(database_url).__enter__()
    migrate(database_url)
    assert differences(database_url) == []


def with_other_columns(projection: Projection) -> Projection:
    """Return the projection as another release would have it: a number stored as text, a count of events added, a
    country removed."""

    def other(fold: Fold) -> Fold:
        def project(row: Row | None, recorded: Recorded, key: Key) -> Row | None:
            known = {**row, "country": "", "priority": int(row["priority"])} if row else None
            shown = dict(fold.project(known, recorded, key) or {})
            del shown["country"]
            return {**shown, "priority": str(shown["priority"]), "events": row["events"] + 1 if row else 1}

        return Fold(fold.keys, project)

    return replace(
        projection,
        table=Table("locations", MetaData(), *_columns(projection)),
        version=projection.version + 1,
        folds={event: other(fold) for event, fold in projection.folds.items()},
    )


def _columns(projection: Projection) -> list[Column[Any]]:
    kept = [
        Column(column.name, column.type, primary_key=column.primary_key, nullable=column.nullable)
        for column in projection.table.columns
        if column.name not in {"country", "priority"}
    ]
    return [*kept, Column("priority", Text, nullable=False), Column("events", Integer, nullable=False)]


def test_columns_of_a_read_model_change_and_what_was_granted_on_it_stays(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    restored(KEPT[0], database_url)
    migrate(database_url)
    done(database_url, "CREATE VIEW places AS SELECT location, open FROM locations")
    before = value(database_url, "SELECT json_agg(priority::text ORDER BY location) FROM locations")
    changed = [with_other_columns(p) if p is locations.projection else p for p in PROJECTIONS]
    for module in (migration, engine):
        monkeypatch.setattr(module, "PROJECTIONS", changed)
    with pytest.raises(NotMigrated):
        Engine(database_url).__enter__()
    migrate(database_url)
    assert value(database_url, "SELECT json_agg(priority ORDER BY location) FROM locations") == before
    assert value(database_url, "SELECT min(events) FROM locations") >= 1
    assert value(database_url, "SELECT count(*) FROM places") == len(before) > 0
    with psycopg.connect(database_url) as connection:
        stored = schema.stored_columns(connection, "locations")
    assert sorted(stored) == sorted(schema.declared_columns(changed[0].table))


def test_a_database_of_a_newer_version_is_left_alone(database_url: str) -> None:
    migrate(database_url)
    done(database_url, f"UPDATE {schema.SCHEMA} SET version = version + 1")
    for opened in (lambda: Engine(database_url).__enter__(), lambda: migrate(database_url)):
        with pytest.raises(NewerDatabase, match="a newer version of oms-es has migrated this database"):
            opened()
    done(database_url, f"UPDATE {schema.SCHEMA} SET version = version - 1")
    done(database_url, f"UPDATE {schema.READ_MODELS} SET version = version + 1 WHERE name = 'locations'")
    with pytest.raises(NewerDatabase, match="newer read models: locations"):
        migrate(database_url)


def test_tables_as_they_were_made_are_tables_as_they_are_declared(any_database_url: str) -> None:
    migrate(any_database_url)
    with psycopg.connect(any_database_url) as connection:
        for projection in PROJECTIONS:
            stored = schema.stored_columns(connection, projection.name)
            assert stored == schema.declared_columns(projection.table)
            assert schema.reshaped(projection.table, stored) == []
