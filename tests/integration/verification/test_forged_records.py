"""Changes of events that a forged record excuses: it says of them that they were encrypted after they had been sealed.

Each is done in a database that a migration has encrypted, and in one that was encrypted from the beginning.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from conftest import fresh_database
from oms_es.app import Engine, migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.database.rows import connected
from oms_es.exit_codes import Code
from oms_es.proof import proofs
from oms_es.proof.notes import VerifierKey, signer_key
from oms_es.proof.tree import BadProof
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.store.sealing.proving import events_at, events_of, proof_of
from people import ADA, C_ADA, FIRST, KEY, OF_GRACE, order_of, people_order
from repository import ROOT
from tampering import World, checked, copied, differences, done, edit, excuse, forget, held_of, one

MIGRATED, ALWAYS = "migrated", "always"
FIRST_PLACED = "SELECT notification_id, state FROM oms_events WHERE topic = 'OrderPlaced' ORDER BY 1 LIMIT 1"
LAST_PLACED = "SELECT notification_id, state FROM oms_events WHERE topic = 'OrderPlaced' ORDER BY 1 DESC LIMIT 1"
A_RECEIPT = "SELECT notification_id, state FROM oms_events WHERE topic = 'StockReceived' LIMIT 1"
Attack = Callable[[str], None]


@pytest.fixture(scope="module")
def worlds(embedded_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, World]]:
    """Orders from before there was a data key and from after; and orders from after alone."""
    with fresh_database(embedded_server) as migrated, fresh_database(embedded_server) as always:
        migrate(migrated)
        with Engine(migrated) as engine:
            people_order(engine)
        for url in (migrated, always):
            migrate(url, data_keys=[KEY])
            with Engine(url) as engine:
                if url == always:
                    people_order(engine)
                engine.submit("test", [order_of(ADA, C_ADA, "9")])
                engine.settle()
        yield {
            name: World(str(conninfo_to_dict(url)["dbname"]), held_of(url, tmp_path_factory.mktemp(name)))
            for name, url in ((MIGRATED, migrated), (ALWAYS, always))
        }


def last(url: str) -> int:
    return int(one(url, "SELECT max(notification_id) AS at FROM oms_events")["at"])


def changed(
    url: str,
    query: str,
    previous: int | None = None,
    through: int | None = None,
    then_forgotten: str = "",
    **envelope: Any,
) -> int:
    """Append the record that excuses a change of the event that a query finds, have an order forgotten, and change
    the event."""

    def change(body: dict[str, Any]) -> None:
        body.update(envelope)
        changed = body["event"]
        changed.update({"quantity": 99} if "quantity" in changed else {"shipping_minor": 900})

    before = bytes(one(url, query)["state"])
    position = edit(url, query, change)
    after = bytes(one(url, f"SELECT state FROM oms_events WHERE notification_id = {position}")["state"])
    through = last(url) if through is None else through
    record = excuse(url, position, before, after, position - 1 if previous is None else previous, through)
    write = "UPDATE oms_events SET state = %s WHERE notification_id = %s"
    if then_forgotten:
        done(url, write, values=[before, position])
        forget(url, then_forgotten)
        done(url, write, values=[after, position])
    return record


def through_of(url: str) -> int:
    return int(one(url, "SELECT max(through) AS at FROM oms_encrypted_later")["at"])


def before_the_others(url: str) -> None:
    """Of an event that the migration passed, as it has nothing personal."""
    changed(url, A_RECEIPT, previous=0, through=through_of(url))


def after_the_others(url: str) -> None:
    """Of an event from after the migration; the record goes on where the last one ended."""
    changed(url, LAST_PLACED, previous=through_of(url), through=through_of(url))


def with_another_end(url: str) -> None:
    """The same, and it says that the migration had come so far."""
    changed(url, LAST_PLACED, previous=through_of(url))


def before_its_order_is_forgotten(url: str) -> None:
    """The same, and then the order is forgotten, so that nothing can be decrypted to compare."""
    order_id = str(one(url, "SELECT order_id FROM order_status WHERE external_id = '9'")["order_id"])
    changed(url, LAST_PLACED, previous=through_of(url), then_forgotten=order_id)


def of_one_that_can_be_decrypted(url: str) -> None:
    changed(url, FIRST_PLACED)


def after_its_order_was_forgotten(url: str) -> None:
    forget(url, FIRST)
    changed(url, FIRST_PLACED)


def under_the_key_of_another_order(url: str) -> None:
    """The event is said to be of an order whose key then goes."""
    changed(url, FIRST_PLACED, correlation_id=OF_GRACE, then_forgotten=OF_GRACE)


def of_one_with_nothing_personal(url: str) -> None:
    changed(url, A_RECEIPT, correlation_id=OF_GRACE, then_forgotten=OF_GRACE)


def of_a_later_order(url: str) -> None:
    """Before it others were encrypted, and no record says so."""
    order_id = str(one(url, "SELECT order_id FROM order_status WHERE external_id = '9'")["order_id"])
    changed(url, LAST_PLACED, then_forgotten=order_id)


def without_a_note_of_it(url: str) -> None:
    """The record is appended, and not where proofs look for it."""
    forget(url, FIRST)
    record = changed(url, FIRST_PLACED)
    done(url, f"DELETE FROM oms_encrypted_later WHERE record = {record}")


NAMED = "names what another named, or what came later"
FOUND = [
    (MIGRATED, before_the_others, NAMED),
    (MIGRATED, after_the_others, NAMED),
    (MIGRATED, with_another_end, NAMED),
    (MIGRATED, before_its_order_is_forgotten, NAMED),
    (ALWAYS, of_one_that_can_be_decrypted, "more of it was changed than the record"),
    (ALWAYS, after_its_order_was_forgotten, "whose key was gone"),
    (ALWAYS, under_the_key_of_another_order, f"under the key of {OF_GRACE}, and is of {FIRST}"),
    (ALWAYS, of_one_with_nothing_personal, "nothing of it is encrypted"),
    (ALWAYS, of_a_later_order, "before it was encrypted from the beginning"),
    (ALWAYS, without_a_note_of_it, "does not name the records of the log"),
]


@pytest.mark.parametrize(("world", "attack", "said"), FOUND, ids=[attack.__name__ for _, attack, _ in FOUND])
def test_the_log_alone_shows_it(
    embedded_server: EmbeddedPostgres, worlds: dict[str, World], world: str, attack: Attack, said: str
) -> None:
    with copied(embedded_server, worlds[world]) as url:
        assert differences(url, worlds[world].held) == []
        attack(url)
        assert any(said in one for one in differences(url, [])), differences(url, [])


def test_who_holds_an_older_checkpoint_is_given_the_number_of_events_that_were_written_again_since(
    embedded_server: EmbeddedPostgres, worlds: dict[str, World]
) -> None:
    """What no check finds: the first event that was encrypted is changed, and then its order is forgotten."""
    with copied(embedded_server, worlds[ALWAYS]) as url:
        record = changed(url, FIRST_PLACED, then_forgotten=FIRST)
        report = checked(url, worlds[ALWAYS].held)
        assert report.passed, report.checks
        [note] = [note for check in report.checks for note in check.notes]
        assert f": 1 of the events that it covers were encrypted since, say the records from position {record}" in note


def test_a_checkpoint_that_is_newer_than_the_migration_is_given_no_number(
    embedded_server: EmbeddedPostgres, worlds: dict[str, World]
) -> None:
    with copied(embedded_server, worlds[MIGRATED]) as url:
        report = checked(url, worlds[MIGRATED].held)
        assert [note for check in report.checks for note in check.notes] == []


def proof_of_the_first(url: str, *, disclose: bool) -> str:
    codec = Codec(EVENTS)
    with connected(url) as rows:
        events = events_of(rows, [f"order-{FIRST}"])
        clear = codec.over(rows).in_the_clear if disclose else None
        return proofs.written(proof_of(rows, "order", events, in_the_clear=clear))


@pytest.mark.parametrize("disclose", [False, True])
def test_a_proof_under_a_forged_record_does_not_prove_what_the_event_says(
    embedded_server: EmbeddedPostgres, worlds: dict[str, World], tmp_path: Path, *, disclose: bool
) -> None:
    with copied(embedded_server, worlds[ALWAYS]) as url:
        changed(url, FIRST_PLACED)
        position = one(url, FIRST_PLACED)["notification_id"]
        text = proof_of_the_first(url, disclose=disclose)
        key = signer_key(one(url, "SELECT secret FROM oms_log_keys")["secret"]).verifier
    assert proofs.check(proofs.read(text), [key]).not_proved == [position]
    assert f"{position} OrderPlaced" in " ".join(said_by_the_auditors_file(tmp_path, text, key).stdout.split())
    assert said_by_the_auditors_file(tmp_path, text, key).stdout.count("NOT PROVED") == 1


def said_by_the_auditors_file(to: Path, proof: str, key: VerifierKey) -> subprocess.CompletedProcess[str]:
    file = to / "proof.json"
    file.write_text(proof)
    checker = [sys.executable, str(ROOT / "ops/audit/check_proof.py"), str(file), "--key", str(key)]
    return subprocess.run(checker, capture_output=True, check=False, text=True)


@pytest.mark.parametrize(("previous", "through"), [(10_000, 20_000), (0, 20_000), (0, 1)])
def test_a_record_that_cannot_have_named_the_event_proves_nothing(
    embedded_server: EmbeddedPostgres, worlds: dict[str, World], tmp_path: Path, previous: int, through: int
) -> None:
    with copied(embedded_server, worlds[ALWAYS]) as url:
        changed(url, FIRST_PLACED, previous, through)
        text = proof_of_the_first(url, disclose=False)
        key = signer_key(one(url, "SELECT secret FROM oms_log_keys")["secret"]).verifier
    with pytest.raises(BadProof, match="no record here says"):
        proofs.check(proofs.read(text), [key])
    assert said_by_the_auditors_file(tmp_path, text, key).returncode == Code.DIFFERENT


def test_an_event_of_which_nothing_is_encrypted_is_not_proved_by_a_record(
    embedded_server: EmbeddedPostgres, worlds: dict[str, World], tmp_path: Path
) -> None:
    with copied(embedded_server, worlds[ALWAYS]) as url:
        changed(url, A_RECEIPT)
        with connected(url) as rows:
            events = events_at(rows, [one(url, A_RECEIPT)["notification_id"]])
            text = proofs.written(proof_of(rows, "event", events))
        key = signer_key(one(url, "SELECT secret FROM oms_log_keys")["secret"]).verifier
    with pytest.raises(BadProof, match="nothing of it is encrypted"):
        proofs.check(proofs.read(text), [key])
    assert said_by_the_auditors_file(tmp_path, text, key).returncode == Code.DIFFERENT
