"""A payment provider and a carrier to try the engine with: outside worlds with a memory of their own.

Invariant: an effect happens once per idempotency key, whatever is answered; every failure is drawn from the seed and
the key, so that a run can be repeated. What they have done and still mean to tell survives the engine being killed, as
it would at a real provider: their tables are written in transactions of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

import psycopg

from oms_es.gateways.carrier.port import Booking, Cancellation, Consent, Label, Parcel
from oms_es.gateways.payment.port import Answer, Ask
from oms_es.kernel import GatewayUnavailable
from oms_es.processing.intake import Arrival
from oms_es.schemas import shipment as s

Mode = Literal[
    "plain",
    "decline",
    "timeout",
    "duplicate",
    "late",
    "soft_decline",
    "silent",
    "reordered",
    "expire",
    "dispute_won",
    "dispute_lost",
    "refund_fails",
    "mute",
]
"""`timeout`: the effect happens and the first answer is lost. `duplicate`: besides the answer, a callback, twice.
`late`: no answer, only a callback after a while; a carrier's callbacks then come in the wrong order. `silent`:
nothing is ever told; of a payment, nothing happens either.

Of payments only: `soft_decline`: another try may succeed.
`reordered`: besides the answer, a callback at once and the same long after what followed. `expire`: what is held is
held for EXPIRES_SECONDS only. `dispute_…`: what is captured is disputed, and the dispute ends so. `refund_fails`: as it
says. `mute`: a callback is announced for a capture, and never comes."""

PAYMENT_CALLBACKS = "payment_callbacks"
CARRIER_CALLBACKS = "carrier_callbacks"
LATE_SECONDS = 1.0
EXPIRES_SECONDS = 60
"""How long an authorisation of the mode `expire` lasts."""

CREATE = (
    """
CREATE TABLE IF NOT EXISTS simulated_effects (
    key uuid PRIMARY KEY, operation text NOT NULL, subject text NOT NULL, part text NOT NULL,
    amount_minor bigint NOT NULL, outcome text NOT NULL, reference text NOT NULL, mode text NOT NULL
)
""",
    """
CREATE TABLE IF NOT EXISTS simulated_callbacks_queued (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text NOT NULL, due_at timestamptz NOT NULL,
    payload bytea NOT NULL
)
""",
    "CREATE INDEX IF NOT EXISTS simulated_callbacks_due ON simulated_callbacks_queued (source, due_at, id)",
    """
CREATE TABLE IF NOT EXISTS simulated_callbacks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text NOT NULL, payload bytea NOT NULL
)
""",
    "CREATE INDEX IF NOT EXISTS simulated_callbacks_of ON simulated_callbacks (source, id)",
)


class Chaos(NamedTuple):
    """How often each failure is drawn, as shares of 1, for payments whose token does not ask for one."""

    seed: int = 0
    decline: float = 0.0
    timeout: float = 0.0
    duplicate: float = 0.0
    late: float = 0.0
    silent: float = 0.0
    soft_decline: float = 0.0
    reordered: float = 0.0
    expire: float = 0.0
    dispute: float = 0.0
    refund_failure: float = 0.0

    def draw(self, key: UUID, *, may_decline: bool, operation: str = "") -> Mode:
        point = int.from_bytes(sha256(f"{self.seed}/{key}".encode()).digest()[:8]) / 2**64
        modes: tuple[tuple[Mode, float], ...] = (
            ("timeout", self.timeout),
            ("duplicate", self.duplicate),
            ("late", self.late),
            ("silent", self.silent),
            ("decline", self.decline if may_decline else 0.0),
            ("soft_decline", self.soft_decline if may_decline else 0.0),
            ("reordered", self.reordered if operation else 0.0),
            ("expire", self.expire if operation == "authorize" else 0.0),
            ("dispute_lost" if key.int % 2 else "dispute_won", self.dispute if operation == "capture" else 0.0),
            ("refund_fails", self.refund_failure if operation == "refund" else 0.0),
        )
        for mode, share in modes:
            if point < share:
                return mode
            point -= share
        return "plain"


class Hazards(NamedTuple):
    """What becomes of parcels, as shares of 1, and how the carrier works. The defaults bring every parcel home."""

    lost: float = 0.0
    """It is never seen again, and the carrier says so in the end."""
    exception: float = 0.0
    """Something goes wrong on the way, and is put right."""
    returned: float = 0.0
    """Nobody takes it, and it comes back."""
    refused: float = 0.0
    """The booking is turned down."""
    silent: float = 0.0
    """The carrier neither answers nor tells anything."""
    stubborn: float = 0.0
    """The carrier keeps a booking although it has not fetched the parcel."""
    pickup_seconds: float = 0.0
    """From the booking to the pick-up: as long as that, a booking can be cancelled."""
    labels: bool = False
    """Whether a label comes with each booking."""
    reused: float = 0.0
    """How often a booking gets a number that others have, too."""

    def draw(self, key: UUID, seed: int) -> Fate:
        point = int.from_bytes(sha256(f"{seed}/{key}/fate".encode()).digest()[:8]) / 2**64
        fates: tuple[tuple[Fate, float], ...] = (
            ("lost", self.lost),
            ("exception", self.exception),
            ("returned", self.returned),
            ("refused", self.refused),
            ("silent", self.silent),
        )
        for fate, share in fates:
            if point < share:
                return fate
            point -= share
        return "delivered"

    def is_reused(self, key: UUID, seed: int) -> bool:
        return int.from_bytes(sha256(f"{seed}/{key}/reused".encode()).digest()[:8]) / 2**64 < self.reused

    def is_stubborn(self, key: UUID, seed: int) -> bool:
        return int.from_bytes(sha256(f"{seed}/{key}/stubborn".encode()).digest()[:8]) / 2**64 < self.stubborn


REUSED_NUMBER = "SIM999999999999"
KEPT_BECAUSE = "it was fetched already"
Fate = Literal["delivered", "lost", "exception", "returned", "refused", "silent"]
JOURNEYS: dict[Fate, tuple[tuple[s.MilestoneStatus, float], ...]] = {
    "delivered": (("picked_up", 0), ("in_transit", 0.5), ("delivered", 1)),
    "lost": (("picked_up", 0), ("in_transit", 0.5), ("failure", 1)),
    "exception": (("picked_up", 0), ("exception", 0.25), ("in_transit", 0.5), ("delivered", 1)),
    "returned": (("picked_up", 0), ("in_transit", 0.25), ("return_to_sender", 0.5), ("returned", 1)),
    "refused": (),
    "silent": (),
}
"""What is seen of a parcel, and after which share of its way."""

TOKEN_MODES: dict[str, Mode] = {
    "tok-decline": "decline",
    "tok-timeout": "timeout",
    "tok-duplicate": "duplicate",
    "tok-late": "late",
    "tok-decline-soft": "soft_decline",
    "tok-silent": "silent",
    "tok-reordered": "reordered",
    "tok-expire": "expire",
    "tok-dispute-won": "dispute_won",
    "tok-dispute-lost": "dispute_lost",
    "tok-refund-fails": "refund_fails",
    "tok-mute": "mute",
}
SHOWN_LATER: dict[Mode, tuple[str, str]] = {
    "expire": ("capture", "-x"),
    "dispute_won": ("capture", "-dw"),
    "dispute_lost": ("capture", "-dl"),
    "refund_fails": ("refund", "-rf"),
    "mute": ("capture", "-mu"),
}
"""What a token brings about only when that operation follows; the authorisation's reference says so at its end."""


class Effect(NamedTuple):
    key: UUID
    operation: str
    subject: str
    part: str
    amount_minor: int
    outcome: str
    reference: str
    mode: Mode


class Ledger(Protocol):
    """What one simulated world has done, and what it still means to tell."""

    clock: Callable[[], datetime]

    def effects(
        self, asked: Sequence[tuple[UUID, Callable[[], Effect]]], tells: Callable[[Effect], Iterable[Told]]
    ) -> tuple[dict[UUID, Effect], set[UUID]]:
        """Every key's effect, made now where it is new; and which are new."""

    def known(self, keys: Sequence[UUID]) -> dict[UUID, Effect]:
        """The effects of those keys that have one; nothing is made now. Raises GatewayUnavailable."""

    def close(self) -> None: ...


class SqlLedger:
    def __init__(self, database_url: str, clock: Callable[[], datetime]) -> None:
        self.database_url = database_url
        self.clock = clock
        self._connection: psycopg.Connection[Any] | None = None

    def effects(
        self, asked: Sequence[tuple[UUID, Callable[[], Effect]]], tells: Callable[[Effect], Iterable[Told]]
    ) -> tuple[dict[UUID, Effect], set[UUID]]:
        try:
            connection = self.connection()
            with connection.transaction():
                known = self._known(connection, [key for key, _ in asked])
                made = self._made(connection, [make() for key, make in asked if key not in known])
                self._queue([told for effect in made.values() for told in tells(effect)])
            if len(known) + len(made) < len(asked):  # another worker was faster with the others
                known = self._known(connection, [key for key, _ in asked])
        except psycopg.OperationalError as error:
            self.close()
            raise GatewayUnavailable(str(error)) from error
        return known | made, set(made)

    def _known(self, connection: psycopg.Connection[Any], keys: Sequence[UUID]) -> dict[UUID, Effect]:
        rows = connection.execute(
            "SELECT key, operation, subject, part, amount_minor, outcome, reference, mode "
            "FROM simulated_effects WHERE key = ANY(%b)",
            [keys],
        )
        return {row[0]: Effect(*row) for row in rows}

    def _made(self, connection: psycopg.Connection[Any], effects: Sequence[Effect]) -> dict[UUID, Effect]:
        """Those that nobody else has made meanwhile: a zombie may ask for the same at the same time."""
        if not effects:
            return {}
        rows = connection.execute(
            "INSERT INTO simulated_effects SELECT * FROM unnest(%b::uuid[], %b::text[], %b::text[], "
            "%b::text[], %b::bigint[], %b::text[], %b::text[], %b::text[]) ON CONFLICT (key) DO NOTHING RETURNING key",
            [list(column) for column in zip(*effects, strict=True)],
        )
        made = {key for (key,) in rows}
        return {effect.key: effect for effect in effects if effect.key in made}

    def known(self, keys: Sequence[UUID]) -> dict[UUID, Effect]:
        try:
            return self._known(self.connection(), keys)
        except psycopg.OperationalError as error:
            self.close()
            raise GatewayUnavailable(str(error)) from error

    def connection(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self.database_url, autocommit=True)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def recall(self, source: str, number: str) -> bool:
        """Take back what is queued about this number, if its pick-up is still to come; say whether it was."""
        about = "source = %s AND position(%s in payload) > 0"
        pickup = (
            f"SELECT 1 FROM simulated_callbacks_queued WHERE {about} AND due_at > %s AND position(%s in payload) > 0"
        )
        found = [source, f'"{number}'.encode()]  # its cartons' numbers begin with it
        connection = self.connection()
        if not connection.execute(pickup.encode(), [*found, self.clock(), b'"picked_up"']).fetchone():
            return False
        connection.execute(f"DELETE FROM simulated_callbacks_queued WHERE {about}".encode(), found)
        return True

    def _queue(self, told: Sequence[Told]) -> None:
        if told:
            self.connection().execute(
                "INSERT INTO simulated_callbacks_queued (source, due_at, payload) "
                "SELECT * FROM unnest(%b::text[], %b::timestamptz[], %b::bytea[])",
                [[t.source for t in told], [t.due_at for t in told], [t.payload for t in told]],
            )


class Told(NamedTuple):
    source: str
    due_at: datetime
    payload: bytes


class SimulatedPaymentProvider:
    def __init__(self, ledger: Ledger, chaos: Chaos) -> None:
        self.chaos = chaos
        self.ledger = ledger

    def submit(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        effects, new = self.ledger.effects([(ask.key, partial(self._effect, ask)) for ask in asks], self._tells)
        return [_answered(effects[ask.key], is_new=ask.key in new) for ask in asks]

    def find(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        known = self.ledger.known([ask.key for ask in asks])
        return [_found(known.get(ask.key)) for ask in asks]

    def _effect(self, ask: Ask) -> Effect:
        authorizing = ask.operation in ("authorize", "reauthorize")
        drawn = self.chaos.draw(ask.key, may_decline=authorizing, operation=ask.operation)
        mode = TOKEN_MODES.get(ask.payment_token, self._foretold(ask) or drawn)
        reference = f"{REFERENCES[ask.operation]}-{ask.key.hex[:20]}"
        if ask.operation == "authorize" and mode in SHOWN_LATER:
            reference += SHOWN_LATER[mode][1]
        if ask.operation == "authorize" and mode == "expire":
            reference += str(int(self.ledger.clock().timestamp()) + EXPIRES_SECONDS)
        declined = (mode in ("decline", "soft_decline") and authorizing) or (ask.operation, mode) in DECLINED_LATER
        outcome = "nothing" if mode == "silent" else "declined" if declined else "succeeded"
        return Effect(ask.key, ask.operation, ask.payment_id, ask.part, ask.amount_minor, outcome, reference, mode)

    def _foretold(self, ask: Ask) -> Mode | None:
        """What the authorisation's token brings about now."""
        for mode, (operation, mark) in SHOWN_LATER.items():
            if ask.operation == operation and mark in ask.authorization:
                until = _expires_at(ask.authorization)
                return mode if until is None or until <= self.ledger.clock() else None
        return None

    def _tells(self, effect: Effect) -> Iterable[Told]:
        now, late = self.ledger.clock(), timedelta(seconds=LATE_SECONDS)
        told = {"payment_id": effect.subject, "part": effect.part, "amount_minor": effect.amount_minor}
        answer = {
            **told,
            "operation": effect.operation,
            "outcome": effect.outcome,
            "reference": effect.reference,
            "expires_at": (until := _expires_at(effect.reference)) and until.isoformat(),
        }
        moments = {"duplicate": (now, now), "late": (now + late,), "reordered": (now, now + 2 * late)}
        for due_at in moments.get(effect.mode, ()):
            yield Told(PAYMENT_CALLBACKS, due_at, json.dumps(answer).encode())
        if effect.operation == "capture" and effect.mode in ("dispute_won", "dispute_lost"):
            dispute = {**told, "operation": "dispute", "part": f"disp-{effect.key.hex[:20]}"}
            steps = ["opened", effect.mode.removeprefix("dispute_")]
            for number, step in enumerate(steps if effect.key.int % 3 else reversed(steps), start=1):
                payload = json.dumps({**dispute, "outcome": step}).encode()
                yield Told(PAYMENT_CALLBACKS, now + number * late, payload)


REFERENCES: dict[str, str] = {
    "authorize": "auth",
    "reauthorize": "reau",
    "capture": "capt",
    "void": "void",
    "refund": "refu",
}


DECLINED_LATER: frozenset[tuple[str, Mode]] = frozenset({("capture", "expire"), ("refund", "refund_fails")})


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


class SimulatedCarrier:
    """Every parcel it books it picks up, moves and delivers, unless `hazards` say otherwise; `transit_seconds` after
    the pick-up it is there. Cartons travel under numbers of their own.

    `recall` takes back what is queued about a number if its pick-up is still to come, and says whether it was.
    """

    def __init__(
        self,
        ledger: Ledger,
        chaos: Chaos,
        transit_seconds: float = 0.0,
        hazards: Hazards = Hazards(),  # noqa: B008 - an immutable tuple
        recall: Callable[[str, str], bool] = lambda _source, _number: False,
    ) -> None:
        self.chaos = chaos
        self.transit_seconds = transit_seconds
        self.hazards = hazards
        self.recall = recall
        self.ledger = ledger

    def book(self, parcels: Sequence[Parcel]) -> Sequence[Booking]:
        by_key = {parcel.key: parcel for parcel in parcels}
        effects, new = self.ledger.effects(
            [(p.key, partial(self._effect, p)) for p in parcels], lambda effect: self._tells(effect, by_key[effect.key])
        )
        return [self._booked(effects[p.key], p, is_new=p.key in new) for p in parcels]

    def cancel(self, cancellations: Sequence[Cancellation]) -> Sequence[Consent]:
        effects, new = self.ledger.effects(
            [(c.key, partial(self._given_back, c)) for c in cancellations], self._tells_of_consent
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
        agreed = not stubborn and self.recall(CARRIER_CALLBACKS, asked.tracking_number)
        outcome = "succeeded" if agreed else "refused"
        return Effect(asked.key, "cancel", asked.shipment_id, "", 0, outcome, asked.tracking_number, mode)

    def _tells(self, effect: Effect, parcel: Parcel) -> Iterable[Told]:
        if effect.mode == "silent":
            return
        numbers = _carton_numbers(effect, parcel) or (("", effect.reference),)
        for place, (carton_id, number) in enumerate(numbers, start=1):
            yield from self._journey(effect, parcel, carton_id, number, place / len(numbers))

    def _tells_of_consent(self, effect: Effect) -> Iterable[Told]:
        """Late instead of an answer, or besides it and twice."""
        if effect.mode not in ("duplicate", "late"):
            return
        now = self.ledger.clock()
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
        yield from [Told(CARRIER_CALLBACKS, due_at, payload)] * (2 if effect.mode == "duplicate" else 1)

    def _journey(self, effect: Effect, parcel: Parcel, carton_id: str, number: str, way: float) -> Iterable[Told]:
        """`way`: which share of the whole it travels; cartons arrive one after the other."""
        start = self.ledger.clock() + timedelta(seconds=self.hazards.pickup_seconds)
        transit = timedelta(seconds=self.transit_seconds)
        fate = self.hazards.draw(parcel.key, self.chaos.seed)
        journey = [(status, start + transit * share * way) for status, share in JOURNEYS[fate]]
        told: list[tuple[str, datetime]] = list(journey)
        if effect.mode == "late" and fate != "silent":
            told = [("booked" if fate != "refused" else "booking_refused", start), *reversed(journey)]
        for order, (status, occurred_at) in enumerate(told):
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
            due_at = start + transit * order / len(told)
            yield from [Told(CARRIER_CALLBACKS, due_at, payload)] * (2 if effect.mode == "duplicate" else 1)

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
    """None for a single one: it travels under the shipment's."""
    if len(parcel.cartons) <= 1:
        return ()
    return tuple((carton.carton_id, f"{effect.reference}-{carton.carton_id}") for carton in parcel.cartons)


def _consented(effect: Effect, *, is_new: bool) -> Consent:
    if effect.mode in ("late", "silent"):
        return Consent("pending")
    if effect.mode == "timeout" and is_new:
        return Consent("unknown")
    return Consent("cancelled") if effect.outcome == "succeeded" else Consent("refused", KEPT_BECAUSE)


class SimulatedCallbacks:
    """What a simulated world tells of its own accord, in the order in which it told it."""

    def __init__(self, name: str, dialect: str, database_url: str, clock: Callable[[], datetime]) -> None:
        self.name = name
        self.dialect = dialect
        self.ledger = SqlLedger(database_url, clock)

    def read(self, after: int, limit: int) -> Sequence[Arrival]:
        connection = self.ledger.connection()
        found = self._told(connection, after, limit)
        if not found:
            with connection.transaction():
                connection.execute(
                    "WITH due AS (DELETE FROM simulated_callbacks_queued WHERE id IN (SELECT id FROM "
                    "simulated_callbacks_queued WHERE source = %s AND due_at <= %s ORDER BY due_at, id LIMIT %s) "
                    "RETURNING id, source, due_at, payload) "
                    "INSERT INTO simulated_callbacks (source, payload) SELECT source, payload FROM due "
                    "ORDER BY due_at, id",
                    [self.name, self.ledger.clock(), limit],
                )
            found = self._told(connection, after, limit)
        return found

    def outstanding(self) -> int:
        """Callbacks that are still to be told."""
        row = (
            self.ledger.connection()
            .execute("SELECT count(*) FROM simulated_callbacks_queued WHERE source = %s", [self.name])
            .fetchone()
        )
        return row[0] if row else 0

    def _told(self, connection: psycopg.Connection[Any], after: int, limit: int) -> list[Arrival]:
        rows = connection.execute(
            "SELECT id, payload FROM simulated_callbacks WHERE source = %s AND id > %s ORDER BY id LIMIT %s",
            [self.name, after, limit],
        )
        return [Arrival(row[0], bytes(row[1])) for row in rows]
