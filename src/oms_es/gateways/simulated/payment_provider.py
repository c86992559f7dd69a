"""A simulated payment provider; it moves no money."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from oms_es.gateways.payment.port import Answer, Ask
from oms_es.gateways.simulated.effects import PAYMENT_CALLBACKS, Effect, EffectStore, PendingCallback
from oms_es.gateways.simulated.modes import (
    DECLINED_LATER,
    EXPIRES_SECONDS,
    LATE_SECONDS,
    SHOWN_LATER,
    TOKEN_MODES,
    Chaos,
    Mode,
)


class SimulatedPaymentProvider:
    def __init__(self, effect_store: EffectStore, chaos: Chaos) -> None:
        self.chaos = chaos
        self.effect_store = effect_store

    def submit(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        currencies = {ask.key: ask.currency for ask in asks}
        effects, new = self.effect_store.effects(
            [(ask.key, partial(self._effect, ask)) for ask in asks],
            lambda effect: self._callbacks(effect, currencies[effect.key]),
        )
        return [_answered(effects[ask.key], is_new=ask.key in new) for ask in asks]

    def find(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        known = self.effect_store.known([ask.key for ask in asks])
        return [_found(known.get(ask.key)) for ask in asks]

    def _effect(self, ask: Ask) -> Effect:
        authorizing = ask.operation in ("authorize", "reauthorize")
        drawn = self.chaos.draw(ask.key, may_decline=authorizing, operation=ask.operation)
        mode = TOKEN_MODES.get(ask.payment_token, self._mode_for(ask) or drawn)
        reference = f"{REFERENCES[ask.operation]}-{ask.key.hex[:20]}"
        if ask.operation == "authorize" and mode in SHOWN_LATER:
            reference += SHOWN_LATER[mode][1]
        if ask.operation == "authorize" and mode == "expire":
            reference += str(int(self.effect_store.clock().timestamp()) + EXPIRES_SECONDS)
        declined = (mode in ("decline", "soft_decline") and authorizing) or (ask.operation, mode) in DECLINED_LATER
        outcome = "nothing" if mode == "silent" else "declined" if declined else "succeeded"
        return Effect(ask.key, ask.operation, ask.payment_id, ask.part, ask.amount_minor, outcome, reference, mode)

    def _mode_for(self, ask: Ask) -> Mode | None:
        """Return the mode that the authorisation's reference brings about now, or None."""
        for mode, (operation, mark) in SHOWN_LATER.items():
            if ask.operation == operation and mark in ask.authorization:
                until = _expires_at(ask.authorization)
                return mode if until is None or until <= self.effect_store.clock() else None
        return None

    def _callbacks(self, effect: Effect, currency: str) -> Iterable[PendingCallback]:
        now, late = self.effect_store.clock(), timedelta(seconds=LATE_SECONDS)
        money = {"amount_minor": effect.amount_minor, "currency": currency}
        fields = {"payment_id": effect.subject, "part": effect.part, **money}
        answer = {
            **fields,
            "operation": effect.operation,
            "outcome": effect.outcome,
            "reference": effect.reference,
            "expires_at": (until := _expires_at(effect.reference)) and until.isoformat(),
        }
        moments = {"duplicate": (now, now), "late": (now + late,), "reordered": (now, now + 2 * late)}
        for due_at in moments.get(effect.mode, ()):
            yield PendingCallback(PAYMENT_CALLBACKS, due_at, json.dumps(answer).encode())
        if effect.operation == "capture" and effect.mode in ("dispute_won", "dispute_lost"):
            dispute = {**fields, "operation": "dispute", "part": f"disp-{effect.key.hex[:20]}"}
            steps = ["opened", effect.mode.removeprefix("dispute_")]
            for number, step in enumerate(steps if effect.key.int % 3 else reversed(steps), start=1):
                payload = json.dumps({**dispute, "outcome": step}).encode()
                yield PendingCallback(PAYMENT_CALLBACKS, now + number * late, payload)


REFERENCES: dict[str, str] = {
    "authorize": "auth",
    "reauthorize": "reau",
    "capture": "capt",
    "void": "void",
    "refund": "refu",
}


def _found(effect: Effect | None) -> Answer:
    if effect is None or effect.outcome == "nothing":
        return Answer("absent")
    return _answered(effect._replace(mode="plain") if effect.mode == "mute" else effect, is_new=False)


def _expires_at(reference: str) -> datetime | None:
    _, marked, epoch = reference.partition(SHOWN_LATER["expire"][1])
    return datetime.fromtimestamp(int(epoch), UTC) if marked else None


def _answered(effect: Effect, *, is_new: bool) -> Answer:
    if effect.mode == "late" or (effect.mode == "mute" and effect.operation == "capture"):
        return Answer("pending")
    if effect.outcome == "nothing" or (effect.mode == "timeout" and is_new):
        return Answer("unknown")
    if effect.outcome == "declined":
        return Answer(
            "declined",
            reason=DECLINES[effect.mode],
            retriable=effect.mode == "soft_decline",
            expired=effect.mode == "expire",
        )
    return Answer("succeeded", effect.reference, expires_at=_expires_at(effect.reference))


DECLINES: dict[Mode, str] = {
    "decline": "card declined",
    "soft_decline": "not enough funds at the moment",
    "expire": "the authorisation has expired",
    "refund_fails": "the account that is to get it is closed",
}
