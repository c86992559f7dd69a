"""A payment provider and a carrier to try the engine with: outside worlds with a memory of their own.

Invariant: an effect happens once per idempotency key, whatever is answered; every failure is drawn from the seed and
the key, so that a run can be repeated. What they have done and still mean to tell survives the engine being killed, as
it would at a real provider: their tables are written in transactions of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

import psycopg

from oms_es.gateways.carrier import Booking, Parcel
from oms_es.gateways.payment_provider import Answer, Ask
from oms_es.kernel import GatewayUnavailable
from oms_es.runtime.intake import Arrival

Mode = Literal["plain", "decline", "timeout", "duplicate", "late", "silent"]
"""`timeout`: the effect happens and the first answer is lost. `duplicate`: besides the answer, a callback, twice.
`late`: no answer, only a callback after a while; a carrier's callbacks then come in the wrong order. `silent`:
nothing is ever told."""

PAYMENT_CALLBACKS = "payment_callbacks"
CARRIER_CALLBACKS = "carrier_callbacks"
LATE_SECONDS = 1.0

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

    def draw(self, key: UUID, *, may_decline: bool) -> Mode:
        point = int.from_bytes(sha256(f"{self.seed}/{key}".encode()).digest()[:8]) / 2**64
        modes: tuple[tuple[Mode, float], ...] = (
            ("timeout", self.timeout),
            ("duplicate", self.duplicate),
            ("late", self.late),
            ("silent", self.silent),
            ("decline", self.decline if may_decline else 0.0),
        )
        for mode, share in modes:
            if point < share:
                return mode
            point -= share
        return "plain"


TOKEN_MODES: dict[str, Mode] = {
    "tok-decline": "decline",
    "tok-timeout": "timeout",
    "tok-duplicate": "duplicate",
    "tok-late": "late",
}


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
                rows = connection.execute(
                    "SELECT key, operation, subject, part, amount_minor, outcome, reference, mode "
                    "FROM simulated_effects WHERE key = ANY(%b)",
                    [[key for key, _ in asked]],
                )
                known = {row[0]: Effect(*row) for row in rows}
                new = [make() for key, make in asked if key not in known]
                if new:
                    columns = [list(column) for column in zip(*new, strict=True)]
                    connection.execute(
                        "INSERT INTO simulated_effects SELECT * FROM unnest(%b::uuid[], %b::text[], %b::text[], "
                        "%b::text[], %b::bigint[], %b::text[], %b::text[], %b::text[])",
                        columns,
                    )
                    self._queue([told for effect in new for told in tells(effect)])
        except psycopg.OperationalError as error:
            self.close()
            raise GatewayUnavailable(str(error)) from error
        return known | {effect.key: effect for effect in new}, {effect.key for effect in new}

    def connection(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self.database_url, autocommit=True)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

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

    def _effect(self, ask: Ask) -> Effect:
        drawn = self.chaos.draw(ask.key, may_decline=ask.operation == "authorize")
        mode = TOKEN_MODES.get(ask.payment_token, drawn)
        outcome = "declined" if mode == "decline" else "succeeded"
        reference = f"{ask.operation[:4]}-{ask.key.hex[:20]}"
        return Effect(ask.key, ask.operation, ask.payment_id, ask.part, ask.amount_minor, outcome, reference, mode)

    def _tells(self, effect: Effect) -> Iterable[Told]:
        if effect.mode not in ("duplicate", "late"):
            return
        payload = json.dumps(
            {
                "operation": effect.operation,
                "outcome": effect.outcome,
                "payment_id": effect.subject,
                "part": effect.part,
                "reference": effect.reference,
            }
        ).encode()
        now = self.ledger.clock()
        if effect.mode == "duplicate":
            yield Told(PAYMENT_CALLBACKS, now, payload)
            yield Told(PAYMENT_CALLBACKS, now, payload)
        else:
            yield Told(PAYMENT_CALLBACKS, now + timedelta(seconds=LATE_SECONDS), payload)


def _answered(effect: Effect, *, is_new: bool) -> Answer:
    if effect.mode in ("late", "silent"):
        return Answer("pending")
    if effect.mode == "timeout" and is_new:
        return Answer("unknown")
    if effect.outcome == "declined":
        return Answer("declined", reason="card declined")
    return Answer("succeeded", effect.reference)


class SimulatedCarrier:
    """Every parcel it books it picks up, moves and delivers; `transit_seconds` after the booking it is there."""

    def __init__(self, ledger: Ledger, chaos: Chaos, transit_seconds: float = 0.0) -> None:
        self.chaos = chaos
        self.transit_seconds = transit_seconds
        self.ledger = ledger

    def book(self, parcels: Sequence[Parcel]) -> Sequence[Booking]:
        effects, new = self.ledger.effects([(p.key, partial(self._effect, p)) for p in parcels], self._tells)
        return [_booked(effects[parcel.key], is_new=parcel.key in new) for parcel in parcels]

    def _effect(self, parcel: Parcel) -> Effect:
        mode = self.chaos.draw(parcel.key, may_decline=False)
        number = f"SIM{parcel.key.int % 10**12:012d}"
        return Effect(parcel.key, "book", parcel.shipment_id, parcel.location, 0, "succeeded", number, mode)

    def _tells(self, effect: Effect) -> Iterable[Told]:
        if effect.mode == "silent":
            return
        now, transit = self.ledger.clock(), timedelta(seconds=self.transit_seconds)
        journey = [("picked_up", now), ("in_transit", now + transit / 2), ("delivered", now + transit)]
        if effect.mode == "late":
            journey = [("booked", now), *reversed(journey)]
        for order, (status, occurred_at) in enumerate(journey):
            payload = json.dumps(
                {
                    "shipment_id": effect.subject,
                    "status": status,
                    "milestone_id": f"{effect.reference}/{status}",
                    "carrier": "simulated",
                    "tracking_number": effect.reference,
                    "occurred_at": occurred_at.isoformat(),
                }
            ).encode()
            due_at = now + transit * order / len(journey)
            yield from [Told(CARRIER_CALLBACKS, due_at, payload)] * (2 if effect.mode == "duplicate" else 1)


def _booked(effect: Effect, *, is_new: bool) -> Booking:
    if effect.mode in ("late", "silent"):
        return Booking("pending")
    if effect.mode == "timeout" and is_new:
        return Booking("unknown")
    return Booking("booked", "simulated", effect.reference)


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
