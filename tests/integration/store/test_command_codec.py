"""A stored command can be given again; a gateway's report that the domain refuses is stored that way."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from oms_es.app import PARSERS, engine_on
from oms_es.kernel import BadInput, Command, Event, Recorded, Refused
from oms_es.processing.gateway_worker import dead_letter_of
from oms_es.schemas import payment as p
from oms_es.schemas.payment.refusals import PaymentRefusal
from oms_es.store.dead_letters import listed
from oms_es.store.encoding.command_codec import DIALECT, as_bytes

PAY = p.RequestPayment(payment_id="o.1", order_id="o", amount_minor=5, currency="EUR", payment_token="tok")
PAID, PAID_OTHERWISE = (p.RecordAuthorization(payment_id="o.1", reference=reference) for reference in "ab")


class Contradicting:
    """A gateway that reports one authorisation under two references."""

    name = "payment_provider"
    intents: frozenset[type[Event]] = frozenset({p.PaymentRequested})
    batch_max = 500

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        return [(PAID, PAID_OTHERWISE) for _ in intents]


def test_a_command_is_read_back_as_it_was() -> None:
    assert PARSERS[DIALECT](as_bytes(PAY)) == PAY


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b'{"command": "Nothing", "fields": {}}', b'{"command": "CancelOrder"}']
)
def test_what_is_no_command_is_refused(payload: bytes) -> None:
    with pytest.raises(BadInput, match="no_command"):
        PARSERS[DIALECT](payload)


def test_an_answer_that_contradicts_is_rejected_and_the_gateway_goes_on(database_url: str) -> None:
    with engine_on(database_url, gateways=(Contradicting(),)) as engine:
        engine.submit("test", [PAY])
        engine.settle()
        engine.submit("test", [PAY.model_copy(update={"payment_id": "o.2"})])
        engine.settle()
        with engine.recorder.datastore.cursor() as curs:
            letters = listed(curs)
    assert [(letter.source, letter.dialect) for letter in letters] == [("payment_provider", DIALECT)]
    assert PARSERS[DIALECT](letters[0].payload) == PAID_OTHERWISE


def test_no_card_number_is_kept_of_what_is_put_aside() -> None:
    named = p.RecordDecline.model_construct(payment_id="o.1", reason="card 4111111111111111", retriable=False)
    refused = Refused(PaymentRefusal.CONTRADICTS, "declined: card 4111111111111111")
    letter = dead_letter_of("payment_provider", "1", named, refused)
    assert b"card ************1111" in letter.payload
    assert "card ************1111; a card number in it was masked" in letter.detail
