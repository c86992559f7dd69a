"""The systems around the engine: gateways, and callbacks that arrive by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from functools import partial
from http import HTTPStatus
from uuid import UUID

import psycopg

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.gateways.breaker import Circuit
from oms_es.gateways.carrier import port as carrier
from oms_es.gateways.payment import port as payment_provider
from oms_es.gateways.routed import RoutedGateway
from oms_es.gateways.simulated.callbacks import SimulatedCallbacks
from oms_es.gateways.simulated.carrier import SimulatedCarrier
from oms_es.gateways.simulated.effects import CARRIER_CALLBACKS, PAYMENT_CALLBACKS, SqlEffectStore
from oms_es.gateways.simulated.modes import Chaos, Hazards
from oms_es.gateways.simulated.payment_provider import SimulatedPaymentProvider
from oms_es.gateways.simulated.warehouse import SimulatedWarehouse
from oms_es.kernel import (
    Gateway,
    GatewayUnavailable,
)
from oms_es.schemas.shipment import LabelDocument
from oms_es.store import stops
from oms_es.store.documents import table as documents
from oms_es.store.documents.places import FolderUnavailable

ALONE = "SELECT bool_and(pg_try_advisory_lock(key)) FROM unnest(%s::bigint[]) AS key"
LOCK_BITS = (1 << 63) - 1
"""The bits of a request's id that name its lock: PostgreSQL's advisory locks have signed 64-bit numbers."""


class OnKafka(OmsError):
    """This database is served by workers on Kafka; an engine must not run on it."""

    code = "on_kafka"
    exit_code = Code.NO_DATABASE
    status = HTTPStatus.CONFLICT


def _keep(database_url: str, content: bytes, media_type: str) -> LabelDocument:
    """Store a document in a transaction of its own, before the event that names it. Raise GatewayUnavailable."""
    try:
        with psycopg.connect(database_url) as connection:
            kept = documents.keep(connection, content, media_type)
    except (psycopg.OperationalError, FolderUnavailable) as error:
        raise GatewayUnavailable(str(error)) from error
    return LabelDocument(sha256=kept.sha256, media_type=kept.media_type, byte_count=kept.byte_count)


@contextmanager
def _alone(database_url: str, keys: Sequence[UUID]) -> Iterator[carrier.StillAlone]:
    """Hold a lock for each request within the context, and yield the check that the locks still exist. Raise
    GatewayUnavailable.

    The locks belong to a session, and end with this process at the latest.
    """
    try:
        session = psycopg.connect(database_url, autocommit=True)
        with closing(session):
            row = session.execute(ALONE, [[key.int & LOCK_BITS for key in keys]]).fetchone()
            if row is None or not row[0]:
                raise GatewayUnavailable("another process asks a carrier for the same parcels")
            yield partial(_still_there, session)
    except psycopg.OperationalError as error:
        raise GatewayUnavailable(str(error)) from error


def _note(database_url: str, circuit: Circuit) -> None:
    """Record the circuit's state for other processes; if the database does not answer, only the next change is
    recorded."""
    with suppress(psycopg.OperationalError), psycopg.connect(database_url) as connection:
        stops.note_circuit(connection, *circuit)


def _still_there(session: psycopg.Connection) -> None:
    """Raise GatewayUnavailable if the session has ended, and its locks with it."""
    try:
        session.execute("SELECT")
    except psycopg.OperationalError as error:
        raise GatewayUnavailable(f"the lock on these parcels may be lost: {error}") from error


class ExternalSystems:
    """The systems around the engine: gateways, and callbacks that arrive by themselves."""

    payment_provider: SimulatedPaymentProvider
    """The provider of a simulated world."""
    keep: Callable[[bytes, str], LabelDocument]
    callbacks: Sequence[SimulatedCallbacks] = ()

    def gateways(self) -> Sequence[Gateway]:
        return ()

    def outstanding(self) -> int:
        """Return how many callbacks are still to come."""
        return 0

    def close(self) -> None:
        """Release the resources that it holds."""


class Unconnected(ExternalSystems):
    """No external systems: intents wait until gateways are connected."""


def _inside(gateway: Gateway) -> Sequence[Gateway]:
    """Return the gateways among which one chooses."""
    return tuple(gateway.gateways.values()) if isinstance(gateway, RoutedGateway) else ()


class Connected(ExternalSystems):
    """Real providers, with `others` for what they do not cover."""

    def __init__(self, own: Sequence[Gateway], others: ExternalSystems, database_url: str) -> None:
        self.own = own
        for gateway in (one for named in own for one in (named, *_inside(named))):
            for breaker in getattr(gateway, "breakers", ()):
                breaker.note = partial(_note, database_url)
            if isinstance(gateway, carrier.CarrierGateway):
                gateway.keep = partial(_keep, database_url)
                gateway.alone = partial(_alone, database_url)
        self.others = others
        self.callbacks = others.callbacks

    def gateways(self) -> Sequence[Gateway]:
        names = {gateway.name for gateway in self.own}
        return (*self.own, *(gateway for gateway in self.others.gateways() if gateway.name not in names))

    def outstanding(self) -> int:
        return self.others.outstanding()

    def close(self) -> None:
        self.others.close()


class SimulatedSystems(ExternalSystems):
    """A simulated payment provider, warehouse and carrier, seeded, with their own state."""

    def __init__(
        self,
        database_url: str,
        chaos: Chaos,
        clock: Callable[[], datetime],
        transit_seconds: float = 0.0,
        hazards: Hazards = Hazards(),  # noqa: B008 - an immutable tuple
    ) -> None:
        self.payment_provider = SimulatedPaymentProvider(SqlEffectStore(database_url, clock), chaos)
        shipped = SqlEffectStore(database_url, clock)
        self.carrier = SimulatedCarrier(shipped, chaos, transit_seconds, hazards, shipped.recall)
        self.keep = partial(_keep, database_url)
        self.callbacks = (
            SimulatedCallbacks(PAYMENT_CALLBACKS, "payment_callback", database_url, clock),
            SimulatedCallbacks(CARRIER_CALLBACKS, "carrier_callback", database_url, clock),
        )

    def gateways(self) -> tuple[Gateway, ...]:
        return (
            payment_provider.PaymentGateway(self.payment_provider),
            SimulatedWarehouse(),
            carrier.CarrierGateway(self.carrier, self.keep),
        )

    def outstanding(self) -> int:
        """Return how many callbacks are still to come."""
        return sum(source.outstanding() for source in self.callbacks)

    def close(self) -> None:
        for effect_store in (
            self.payment_provider.effect_store,
            self.carrier.effect_store,
            *(c.effect_store for c in self.callbacks),
        ):
            effect_store.close()
