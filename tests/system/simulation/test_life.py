"""Every command and every callback of the vocabulary occurs in the simulation; commands that do not are listed with
the reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, ClassVar, get_args

import pytest

from oms_es.app import DECIDERS
from oms_es.gateways.carrier import port as carrier
from oms_es.gateways.payment import port as payment_provider
from oms_es.kernel import BadInput, Recorded
from oms_es.simulation.campaign import failure
from oms_es.simulation.components import WHOLE
from oms_es.simulation.expansion import expand
from oms_es.simulation.logging_off import quiet
from oms_es.simulation.requests.rounds import THEMES
from oms_es.simulation.run import Play
from oms_es.simulation.scenario import PROFILES
from oms_es.store.dead_letters import DeadLetter
from oms_es.store.encoding.codec import Cause
from oms_es.store.recorder import Advance
from oms_es.store.store import Batch, Store

RICH = (535, 25, 27, 297, 325, 296, 221, 250, 252, 312, 300, 245, 251, 227, 225, 292, 206, 195, 307, 179, 187, 265)
"""Between them these seeds had everything when they were chosen; whatever they lack is looked for in the others."""
SEEDS_MAX = 400
COMMANDS = {command.__name__ for decider in DECIDERS for command in decider.accepts} - {
    "RecordCaptureFailure",
    "RecordDisputeLost",
    "RecordDisputeOpened",
    "RecordDisputeWon",
    "RecordExpiry",
    "RecordVoidFailure",
}
"""Without what mostly callbacks report of payments: that comes as RecordReportFiles."""
SET_UP = frozenset(
    f"{verb}{party}"
    for party, verbs in (
        ("Connection", ("Open", "Rotate", "Disable", "Enable")),
        ("Subscription", ("Open", "Change", "Rotate", "Disable", "Enable")),
    )
    for verb in verbs
)
"""Who sends webhooks and who is sent them: no worker reacts to it, and the simulated world speaks no HTTP."""
PREPARED = frozenset({"RecordPaymentAction"})
"""No simulated provider lets customers pay by a code: those of tests/integration/gateways do."""
FINANCE = frozenset(
    {
        *("RecordStatement", "SetFeeTerms"),
        *("ForgetStatement", "PlaceStatementLegalHold", "LiftStatementLegalHold"),
        *("OpenAccount", "LimitAccount", "CreditAccount", "DebitAccount"),
        *("HoldAccount", "ApplyAccountHold", "ReleaseAccountHold"),
        *("ForgetAccount", "PlaceAccountLegalHold", "LiftAccountLegalHold"),
        *(f"{verb}GiftCard" for verb in ("Issue", "Extend", "Present", "Expire")),
        *("SetGiftCardCode", "BlockAccount", "UnblockAccount"),
        *("HoldForPayment", "ApplyForPayment", "ReleaseForPayment", "CreditFromPayment"),
        *(f"{verb}Reconciliation" for verb in ("Record", "Resolve", "Reopen", "Match", "Undo", "Close")),
    }
)
"""What banks say comes in files, which no worker reacts to; of accounts and gift cards, test_accounts.py
and test_gift_cards.py ask."""
REPORTED = frozenset({"RecordReportFiles", "RecordReportDelivery"})
"""What is made by schedules, outside of memory: test_reporting.py has it made."""
NOTED = frozenset({"OpenException", "SnoozeException", "DetachDocument", "RemoveDocument"}) | REPORTED
"""What people note for each other, and the papers that they keep, which no worker reacts to."""
UNPLAYED = frozenset({"PutReactionAside", "SettleReaction", "RecordEncryption"}) | SET_UP | FINANCE | NOTED | PREPARED
"""No input is known that is accepted and then refused to a reader: test_aside.py makes one. Migrations encrypt what was
stored in the clear: test_encrypting_stored.py has some."""
Callback = tuple[str, str]


@pytest.fixture(autouse=True)
def _quiet(_quiet: None) -> None:
    quiet()


class Noting(Store):
    """A store that records which commands are given, and by whom."""

    asked: ClassVar[dict[str, set[str]]] = {}

    def execute(
        self, batch: Batch, advance: Advance | None = None, dead_letters: Sequence[DeadLetter] = ()
    ) -> list[Recorded]:
        for cause, commands in batch:
            for command in (one for given in commands for one in (given, *given.beside)):
                self.asked.setdefault(type(command).__name__, set()).add(_kind_of(cause))
        return super().execute(batch, advance, dead_letters)


def _kind_of(cause: Cause) -> str:
    return cause.actor.partition(" ")[0].partition("@")[0]


def of_payments() -> Iterator[Callback]:
    """Return every report that a provider may send."""
    fields = payment_provider.Callback.model_fields
    operations = [name for part in get_args(fields["operation"].annotation) for name in get_args(part)]
    for operation, outcome in product(operations, get_args(fields["outcome"].annotation)):
        reported = {"operation": operation, "outcome": outcome, "payment_id": "p", "part": "1", "reference": "r"}
        try:
            payment_provider.parse_callback(json.dumps({**reported, "amount_minor": 1, "currency": "EUR"}).encode())
        except BadInput:
            continue
        yield operation, outcome


def of_parcels() -> Iterator[Callback]:
    """Return every report that a carrier may send."""
    for part in get_args(carrier.Callback.model_fields["status"].annotation):
        yield from (("", status) for status in get_args(part))


def callbacks_of(playing: Play) -> Iterator[Callback]:
    for payload in (payload for payloads in playing.outside.delivered.values() for payload in payloads):
        reported: dict[str, Any] = json.loads(payload)
        yield reported.get("operation", ""), reported.get("outcome") or reported["status"]


def test_every_command_and_every_callback_of_the_vocabulary_comes_in_some_seed() -> None:
    Noting.asked.clear()
    components = replace(WHOLE, store=Noting)
    callbacks = {*of_payments(), *of_parcels()}
    assert len(callbacks) > 25
    for seed in dict.fromkeys((*RICH, *range(SEEDS_MAX))):
        playing = Play(expand(seed, PROFILES["life"]), components)
        outcome = playing.outcome()
        assert outcome.violation is None, "\n".join(failure(outcome, components))
        callbacks.difference_update(callbacks_of(playing))
        if not (callbacks or COMMANDS.difference(Noting.asked, UNPLAYED)):
            break
    assert not callbacks
    assert COMMANDS - set(Noting.asked) == UNPLAYED
    given = {name for name in COMMANDS - UNPLAYED if name.startswith("Record") and Noting.asked[name] == {"client"}}
    assert not given - UNASKED


UNASKED = {
    "RecordFeedback",
    "RecordFreightBill",
    "RecordTracking",
    "RecordProviderReport",
    "RecordFulfilment",
    "RecordChannelRefund",
}
"""What nobody in the engine reports, and no callback of the simulated world: people, channels and other carriers do."""


def test_every_theme_of_life_is_drawn() -> None:
    asks = {type(action.ask) for seed in range(40) for action in expand(seed, PROFILES["life"]).actions}
    assert len(asks) > 2 * len(THEMES)
