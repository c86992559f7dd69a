"""Records of what was encrypted follow each other, and no event is named twice."""

from __future__ import annotations

from typing import Any

from dsl import Given
from oms_es.aggregates.operations.encryption import decider
from oms_es.schemas.operations.encryption import EncryptedEvent, EventsEncrypted, RecordEncryption

ONE = EncryptedEvent(position=7, before="a" * 64, after="b" * 64)
FIRST: Any = {"previous": 0, "reached": 9, "through": 12, "events": (ONE,), "checkpoint": "log\n9\n"}
SECOND: Any = {**FIRST, "previous": 9, "reached": 12, "events": ()}


def test_what_was_encrypted_is_recorded_once() -> None:
    Given(decider).when(RecordEncryption(**FIRST)).then(EventsEncrypted(**FIRST))
    Given(decider, EventsEncrypted(**FIRST)).when(RecordEncryption(**FIRST)).then()
    Given(decider, EventsEncrypted(**FIRST)).when(RecordEncryption(**SECOND)).then(EventsEncrypted(**SECOND))


def test_a_record_that_reaches_further_back_is_refused() -> None:
    overlapping = RecordEncryption(**{**SECOND, "previous": 8})
    Given(decider, EventsEncrypted(**FIRST)).when(overlapping).then_refused("encrypted_meanwhile")


def test_a_record_that_reaches_beyond_where_encryption_began_or_says_another_place_is_refused() -> None:
    beyond = RecordEncryption(**{**SECOND, "reached": 13})
    Given(decider, EventsEncrypted(**FIRST)).when(beyond).then_refused("encrypted_meanwhile")
    Given(decider).when(beyond).then_refused("encrypted_meanwhile")
    elsewhere = RecordEncryption(**{**SECOND, "through": 13})
    Given(decider, EventsEncrypted(**FIRST)).when(elsewhere).then_refused("encrypted_meanwhile")
