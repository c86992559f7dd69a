"""A simulated carrier; it moves no goods."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from oms_es.gateways.carrier.port import Booking, Cancellation, Consent, Label, Parcel, StillAlone, alone
from oms_es.gateways.simulated.effects import CARRIER_CALLBACKS, Effect, EffectStore, PendingCallback
from oms_es.gateways.simulated.modes import JOURNEYS, KEPT_BECAUSE, LATE_SECONDS, REUSED_NUMBER, Chaos, Hazards


class SimulatedCarrier:
    """A carrier that picks up, moves and delivers every parcel that it books, unless `hazards` say otherwise.

    A parcel arrives `transit_seconds` after its pick-up. Cartons travel under numbers of their own. `recall` removes
    the queued callbacks of a shipment before its pick-up, and returns whether it did.
    """

    def __init__(
        self,
        effect_store: EffectStore,
        chaos: Chaos,
        transit_seconds: float = 0.0,
        hazards: Hazards = Hazards(),  # noqa: B008 - an immutable tuple
        recall: Callable[[str, str], bool] = lambda _source, _shipment_id: False,
    ) -> None:
        self.chaos = chaos
        self.transit_seconds = transit_seconds
        self.hazards = hazards
        self.recall = recall
        self.effect_store = effect_store

    def book(self, parcels: Sequence[Parcel], still_alone: StillAlone = alone) -> Sequence[Booking]:  # noqa: ARG002 - it has keys
        by_key = {parcel.key: parcel for parcel in parcels}
        effects, new = self.effect_store.effects(
            [(p.key, partial(self._effect, p)) for p in parcels],
            lambda effect: self._callbacks(effect, by_key[effect.key]),
        )
        return [self._booked(effects[p.key], p, is_new=p.key in new) for p in parcels]

    def cancel(self, cancellations: Sequence[Cancellation]) -> Sequence[Consent]:
        effects, new = self.effect_store.effects(
            [(c.key, partial(self._given_back, c)) for c in cancellations], self._callbacks_of_consent
        )
        return [_consented(effects[c.key], is_new=c.key in new) for c in cancellations]

    def _effect(self, parcel: Parcel) -> Effect:
        mode = self.chaos.draw(parcel.key, may_decline=False)
        reused = self.hazards.is_reused(parcel.key, self.chaos.seed)
        number = REUSED_NUMBER if reused else f"SIM{parcel.key.int % 10**12:012d}"
        fate = self.hazards.draw(parcel.key, self.chaos.seed)
        outcome = fate if fate in ("refused", "silent") else "succeeded"
        return Effect(parcel.key, "book", parcel.shipment_id, parcel.location, 0, outcome, number, mode)

    def _given_back(self, asked: Cancellation) -> Effect:
        mode = self.chaos.draw(asked.key, may_decline=False)
        stubborn = self.hazards.is_stubborn(asked.key, self.chaos.seed)
        agreed = not stubborn and self.recall(CARRIER_CALLBACKS, asked.shipment_id)
        outcome = "succeeded" if agreed else "refused"
        return Effect(asked.key, "cancel", asked.shipment_id, "", 0, outcome, asked.tracking_number, mode)

    def _callbacks(self, effect: Effect, parcel: Parcel) -> Iterable[PendingCallback]:
        if effect.mode == "silent":
            return
        numbers = _carton_numbers(effect, parcel) or (("", effect.reference),)
        for place, (carton_id, number) in enumerate(numbers, start=1):
            yield from self._journey(effect, parcel, carton_id, number, place / len(numbers))

    def _callbacks_of_consent(self, effect: Effect) -> Iterable[PendingCallback]:
        """Return the callbacks for a cancellation: late in place of an answer, or twice beside it."""
        if effect.mode not in ("duplicate", "late"):
            return
        now = self.effect_store.clock()
        payload = json.dumps(
            {
                "shipment_id": effect.subject,
                "status": "booking_cancelled" if effect.outcome == "succeeded" else "booking_kept",
                "tracking_number": effect.reference,
                "detail": KEPT_BECAUSE,
                "occurred_at": now.isoformat(),
            }
        ).encode()
        due_at = now + timedelta(seconds=LATE_SECONDS if effect.mode == "late" else 0)
        yield from [PendingCallback(CARRIER_CALLBACKS, due_at, payload)] * (2 if effect.mode == "duplicate" else 1)

    def _journey(
        self, effect: Effect, parcel: Parcel, carton_id: str, number: str, way: float
    ) -> Iterable[PendingCallback]:
        """Return the callbacks of a carton's way. `way`: the share of the whole transit; cartons arrive one after the
        other."""
        start = self.effect_store.clock() + timedelta(seconds=self.hazards.pickup_seconds)
        transit = timedelta(seconds=self.transit_seconds)
        fate = self.hazards.draw(parcel.key, self.chaos.seed)
        tracking = [(status, start + transit * share * way) for status, share in JOURNEYS[fate]]
        path: list[tuple[str, datetime]] = list(tracking)
        if effect.mode == "late" and fate != "silent":
            path = [("booked" if fate != "refused" else "booking_refused", start), *reversed(tracking)]
        for order, (status, occurred_at) in enumerate(path):
            payload = json.dumps(
                {
                    "shipment_id": effect.subject,
                    "status": status,
                    "milestone_id": f"{number}/{status}",
                    "carrier": parcel.carrier or "simulated",
                    "tracking_number": effect.reference if status == "booked" else number,
                    "occurred_at": occurred_at.isoformat(),
                    **_of_cartons(effect, parcel, carton_id, status),
                }
            ).encode()
            due_at = start + transit * order / len(path)
            yield from [PendingCallback(CARRIER_CALLBACKS, due_at, payload)] * (2 if effect.mode == "duplicate" else 1)

    def _booked(self, effect: Effect, parcel: Parcel, *, is_new: bool) -> Booking:
        if effect.outcome == "silent" or effect.mode in ("late", "silent"):
            return Booking("pending")
        if effect.mode == "timeout" and is_new:
            return Booking("unknown")
        if effect.outcome == "refused":
            return Booking("refused", reason="no van goes there")
        carrier, number = parcel.carrier or "simulated", effect.reference
        labels = (Label(f"{carrier} {number}".encode(), "text/plain"),) if self.hazards.labels else ()
        return Booking("booked", carrier, number, carton_numbers=_carton_numbers(effect, parcel), labels=labels)


def _of_cartons(effect: Effect, parcel: Parcel, carton_id: str, status: str) -> dict[str, Any]:
    if status == "booked":
        return {"carton_numbers": dict(_carton_numbers(effect, parcel))}
    return {"carton_id": carton_id} if carton_id else {}


def _carton_numbers(effect: Effect, parcel: Parcel) -> tuple[tuple[str, str], ...]:
    """Return the cartons' numbers; none for a single carton, which travels under the shipment's."""
    if len(parcel.cartons) <= 1:
        return ()
    return tuple((carton.carton_id, f"{effect.reference}-{carton.carton_id}") for carton in parcel.cartons)


def _consented(effect: Effect, *, is_new: bool) -> Consent:
    if effect.mode in ("late", "silent"):
        return Consent("pending")
    if effect.mode == "timeout" and is_new:
        return Consent("unknown")
    return Consent("cancelled") if effect.outcome == "succeeded" else Consent("refused", KEPT_BECAUSE)
