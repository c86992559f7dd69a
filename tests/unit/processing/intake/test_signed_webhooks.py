"""What becomes of a webhook whose signature is good."""

from __future__ import annotations

import json

import psycopg
import pytest

from oms_es.app import PARSERS
from oms_es.kernel import BadInput, Refused, Skipped
from oms_es.processing.committer import Busy
from oms_es.processing.intake.webhooks import Webhook
from oms_es.schemas.inputs import Input
from oms_es.schemas.order import PlaceOrder
from oms_es.schemas.refusals import SharedRefusal

ORDER = {
    "channel": "shop",
    "external_id": "S-1",
    "placed_at": "2026-01-05T09:00:00Z",
    "currency": "EUR",
    "lines": [{"line_id": "1", "sku": "mug", "quantity": 1, "unit_price_minor": 900}],
    "ship_to": {"country": "DE"},
}


def webhook(body: bytes) -> Webhook:
    return Webhook("webhook:shop", "req-1", "canonical", body, [("webhook-id", b"msg-1")])


def test_the_command_of_a_webhook_has_its_connection_as_actor() -> None:
    work = webhook(json.dumps(ORDER).encode()).work(PARSERS["canonical"])
    assert isinstance(work.command, PlaceOrder)
    assert (work.command.external_id, work.cause.actor, work.key) == ("S-1", "webhook:shop", None)


def test_what_cannot_be_read_is_kept_with_its_reason_and_where_it_came_from() -> None:
    sent = webhook(b'{"channel": "shop"}')
    with pytest.raises(BadInput) as bad:
        sent.work(PARSERS["canonical"])
    kept = sent.dead_letter(bad.value)
    assert kept is not None
    assert (kept.source, kept.place, kept.dialect, kept.payload) == ("webhook:shop", "req-1", "canonical", sent.body)
    assert kept.reason == bad.value.reason
    assert list(kept.headers) == [("webhook-id", b"msg-1")]


@pytest.mark.parametrize("error", [Refused(SharedRefusal.ID_REUSED, "it differs"), ValueError("a fault of ours")])
def test_what_was_refused_or_could_not_be_decided_is_kept_too(error: Exception) -> None:
    kept = webhook(b"{}").dead_letter(error)
    assert kept is not None
    assert kept.reason == (error.reason if isinstance(error, Refused) else Input.UNEXPECTED)


def test_nothing_is_kept_of_what_says_nothing() -> None:
    assert webhook(b"{}").dead_letter(Skipped("a ping")) is None


@pytest.mark.parametrize("outage", [psycopg.OperationalError("gone"), Busy("2,000 requests wait")])
def test_an_outage_is_no_answer_and_its_sender_sends_it_again(outage: Exception) -> None:
    with pytest.raises(type(outage)):
        webhook(b"{}").dead_letter(outage)
