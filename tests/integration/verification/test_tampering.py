"""Tampering with every right on the database, its signing key, its data key and this code, meant to stay unseen.

Each attack is carried out as well as its author could. Whoever holds a checkpoint from before finds it, or `verify`
alone does; what the attacker's own checks say afterwards is asserted, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from pydantic_core import from_json

from conftest import fresh_database
from oms_es.app import DECIDERS, PROJECTIONS, Engine, migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.database.rows import connected
from oms_es.processing.sealer import Sealer
from oms_es.proof.notes import SignerKey, signer_key
from oms_es.schemas.stock import ReceiveStock
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.store.privacy import subject_keys
from oms_es.store.recorder import datastore_of
from oms_es.store.sealing import seals
from oms_es.store.sealing.seals import SqlSealing, Unsealed
from oms_es.verification.verify import check_log, verify
from people import ADA, C_ADA, FIRST, KEY, SECOND, order_of, people_order
from tampering import World, copied, differences, done, edit, held_of, one

SEALED = ("oms_log_head", "oms_log_tiles", "oms_log_checkpoints", "oms_log_keys")
A_RECEIPT = "SELECT notification_id, state FROM oms_events WHERE topic = 'StockReceived' LIMIT 1"
THIRD_PARTY = SignerKey("another/log", b"\x21" * 32)


@pytest.fixture(scope="module")
def world(embedded_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Orders from before there was a data key, which a migration encrypted, and orders from after."""
    kept = tmp_path_factory.mktemp("kept")
    with fresh_database(embedded_server) as url:
        migrate(url)
        with Engine(url) as engine:
            people_order(engine)
        migrate(url, data_keys=[KEY])
        with Engine(url) as engine:
            engine.submit("test", [order_of(ADA, C_ADA, "9")])
            engine.settle()
        yield World(str(conninfo_to_dict(url)["dbname"]), held_of(url, kept))


@pytest.fixture
def url(embedded_server: EmbeddedPostgres, world: World) -> Iterator[str]:
    with copied(embedded_server, world) as url:
        yield url


class AsRecorded(SqlSealing):
    """Seals what records say of the bytes before, so that the records fit."""

    def unsealed(self, position: int, limit: int) -> Sequence[Unsealed]:
        query = "SELECT state FROM oms_events WHERE topic = 'EventsEncrypted'"
        with self.datastore.cursor() as curs:
            records = [from_json(bytes(row["state"]))["event"]["events"] for row in curs.execute(query).fetchall()]
        named = {one["position"]: bytes.fromhex(one["before"]) for record in records for one in record}
        found = super().unsealed(position, limit)
        return [each._replace(digest=named.get(each.position, each.digest)) for each in found]


def seal_again(url: str, key: SignerKey | None = None) -> None:
    """Make tree, tiles and checkpoints again, over what is stored now, signed with the log's own key."""
    stolen = signer_key(one(url, "SELECT secret FROM oms_log_keys WHERE secret IS NOT NULL")["secret"])
    done(url, *(f"DELETE FROM {table}" for table in SEALED))
    with psycopg.connect(url, row_factory=dict_row) as connection:
        seals.begin(connection, key or stolen)
    done(url, "UPDATE oms_log_keys SET secret = %s", values=[str(key or stolen)])
    datastore = datastore_of(url)
    Sealer(AsRecorded(datastore)).seal_all()
    datastore.close()


def fold_again(url: str) -> None:
    """Make every read model fit what is stored now."""
    with Engine(url) as engine:
        engine.rebuild_all(PROJECTIONS)


def with_more_units(body: dict[str, Any]) -> None:
    body["event"]["quantity"] += 5


def by_someone_else(body: dict[str, Any]) -> None:
    body["actor"] = "ada"


def everything_is_made_to_fit(url: str) -> None:
    """An event is changed; read models, leaves, tiles and checkpoints are made of the new one, with the stolen key."""
    edit(url, A_RECEIPT, with_more_units)
    seal_again(url)
    fold_again(url)


def another_actor_is_sealed(url: str) -> None:
    edit(url, A_RECEIPT, by_someone_else)
    seal_again(url)


def cut_with_its_tree(url: str) -> None:
    """The newest order never was: the log ends before it, and so does the tree."""
    placed = one(url, "SELECT max(notification_id) AS at FROM oms_events WHERE topic = 'OrderPlaced'")["at"]
    done(url, f"DELETE FROM oms_events WHERE notification_id >= {placed}")
    done(url, f"UPDATE oms_tracking SET notification_id = least(notification_id, {placed - 1})")
    seal_again(url)


def begun_again_from_an_older_checkpoint(url: str) -> None:
    """The log is set back to an older state of itself, which was signed, and goes on otherwise from there."""
    cut_with_its_tree(url)
    with Engine(url) as engine:
        for number in range(60):
            stock = ReceiveStock(sku="B", location="berlin", receipt_id=f"b{number}", quantity=1)
            engine.submit("test", [stock])
        engine.settle()


def the_record_is_edited(url: str) -> None:
    """The record of the migration says of an event that it had been what the attacker makes of it."""
    placed = "SELECT notification_id, state FROM oms_events WHERE topic = 'OrderPlaced' ORDER BY 1 LIMIT 1"

    def dearer(body: dict[str, Any]) -> None:
        body["event"]["shipping_minor"] = 900

    position = edit(url, placed, dearer)
    stored = bytes(one(url, f"SELECT state FROM oms_events WHERE notification_id = {position}")["state"])

    def renamed(body: dict[str, Any]) -> None:
        for named in body["event"]["events"]:
            if named["position"] == position:
                named["after"] = sha256(stored).hexdigest()

    edit(url, "SELECT notification_id, state FROM oms_events WHERE topic = 'EventsEncrypted' LIMIT 1", renamed)
    seal_again(url)


def the_record_is_edited_to_fit(url: str) -> None:
    """The same, and the record also says that the sealed bytes had said so."""
    the_record_is_edited(url)
    with Engine(url) as engine:
        [row] = engine.recorder.after(
            one(url, "SELECT min(notification_id) AS at FROM oms_events WHERE topic = 'OrderPlaced'")["at"] - 1, 1
        )
        clear = sha256(engine.store.codec.in_the_clear(row.state)).hexdigest()

    def fitting(body: dict[str, Any]) -> None:
        for named in body["event"]["events"]:
            if named["position"] == row.id:
                named["before"] = clear

    edit(url, "SELECT notification_id, state FROM oms_events WHERE topic = 'EventsEncrypted' LIMIT 1", fitting)
    seal_again(url)
    fold_again(url)


def the_record_is_deleted(url: str) -> None:
    """Events are said to have been stored as they are now."""
    done(url, "DELETE FROM oms_events WHERE topic = 'EventsEncrypted'", "UPDATE oms_encrypted_later SET record = NULL")
    seal_again(url)


def signed_by_another_key(url: str) -> None:
    """The key is the attacker's own; the database names it as the log's."""
    edit(url, A_RECEIPT, by_someone_else)
    origin = one(url, "SELECT origin FROM oms_log_head")["origin"]
    seal_again(url, SignerKey(origin, THIRD_PARTY.secret))


def keys_are_swapped(url: str) -> None:
    """Two orders have each other's key."""
    done(
        url,
        "UPDATE oms_subject_keys AS kept SET wrapped = other.wrapped FROM oms_subject_keys AS other "
        f"WHERE kept.subject IN ('{FIRST}', '{SECOND}') AND other.subject IN ('{FIRST}', '{SECOND}') "
        "AND kept.subject <> other.subject",
    )


def a_key_is_destroyed(url: str) -> None:
    """A person is made unreadable without a request."""
    with connected(url) as rows, rows.transaction():
        subject_keys.destroy(rows, [SECOND])


def a_read_model_is_edited(url: str) -> None:
    """People see another total; no event says so."""
    done(url, "UPDATE order_status SET total_minor = total_minor + 1")


def a_row_is_deleted_with_its_position(url: str) -> None:
    """A row is gone, and the read model says that it was folded again since."""
    done(
        url,
        "DELETE FROM order_recipients WHERE order_id = (SELECT min(order_id) FROM order_recipients)",
        "UPDATE oms_tracking SET generation = generation + 1 WHERE application_name = 'order_recipients'",
    )


BY_A_HELD_CHECKPOINT = (
    everything_is_made_to_fit,
    another_actor_is_sealed,
    cut_with_its_tree,
    begun_again_from_an_older_checkpoint,
    the_record_is_edited_to_fit,
    the_record_is_deleted,
)
"""What no check finds that knows the database alone."""
BY_VERIFY = (keys_are_swapped, a_key_is_destroyed, a_read_model_is_edited, a_row_is_deleted_with_its_position)


def test_nothing_is_found_where_nothing_was_done(url: str, world: World) -> None:
    assert differences(url, world.held) == []
    assert verify(url, DECIDERS, PROJECTIONS, Codec(EVENTS), against=world.held).passed


@pytest.mark.parametrize("attack", BY_A_HELD_CHECKPOINT, ids=lambda attack: attack.__name__)
def test_who_holds_an_older_checkpoint_finds_it(url: str, world: World, attack: Callable[[str], None]) -> None:
    attack(url)
    assert differences(url, []) == [], "as well as it can be done"
    found = differences(url, world.held)
    assert found
    assert all(str(world.held[0].place) in one for one in found)


def test_a_record_that_does_not_fit_is_shown_by_the_log_alone(url: str) -> None:
    the_record_is_edited(url)
    assert any("more of it was changed than the record" in one for one in differences(url, []))


def test_another_key_is_not_the_one_that_was_given(url: str, world: World) -> None:
    trusted = signer_key(one(url, "SELECT secret FROM oms_log_keys")["secret"]).verifier
    signed_by_another_key(url)
    assert differences(url, []) == []
    _, report = check_log(url, [trusted], world.held, Codec(EVENTS))
    assert not report.passed


@pytest.mark.parametrize("attack", BY_VERIFY, ids=lambda attack: attack.__name__)
def test_verify_shows_what_is_no_event(url: str, attack: Callable[[str], None]) -> None:
    attack(url)
    assert not verify(url, DECIDERS, PROJECTIONS, Codec(EVENTS)).passed
