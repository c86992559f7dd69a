"""A scenario: the nodes of a seed, their requests, and the faults with their times.

Invariant: everything is drawn beforehand (expansion.py); therefore any part can be left out and the rest stays the
same, so that a failing scenario can be shrunk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from oms_es.kernel import Command
from oms_es.schemas.order import PlaceOrder

MINUTES = 10.0
Topology = Literal["engine", "engines", "workers"]
"""One engine on the log, two on one database, or several workers on Kafka."""

FaultKind = Literal[
    "crash",
    "crash_after",
    "refused",
    "answer_lost",
    "frozen",
    "database_away",
    "broker_away",
    "world_away",
    "stray",
    "clock_jump",
    "expelled",
    "retention",
    "redelivered",
    "session_killed",
    "mended",
]
"""Kinds of faults. `crash`, `refused` and `frozen` strike before a call has its effect, `crash_after` and `answer_lost`
after it."""

ON_CALL: tuple[FaultKind, ...] = ("crash", "crash_after", "refused", "answer_lost", "frozen")
ON_ALL: tuple[FaultKind, ...] = ("database_away", "world_away", "stray", "clock_jump")
ON_KAFKA: tuple[FaultKind, ...] = ("broker_away", "expelled", "retention", "redelivered", "session_killed")


class Fault(NamedTuple):
    """A fault. `calls`: the number of the node's calls after `at` until it strikes; `seconds`: its duration
    or extent."""

    at: float
    kind: FaultKind
    node: int
    calls: int
    seconds: float

    def __str__(self) -> str:
        where = f" node {self.node}, {self.calls} calls later" if self.kind in ON_CALL else f" node {self.node}"
        return f"{self.at:7.1f}s {self.kind}{where}, {self.seconds:+.1f}s"


class OutsideCallback(NamedTuple):
    """A callback that the outside world sends without any request."""

    source: str
    payload: bytes


class Forged(NamedTuple):
    """A webhook with an order that is signed with another secret."""

    order: PlaceOrder


Ask = Command | bytes | OutsideCallback | Forged


class Action(NamedTuple):
    """A request of a client, repeated until the answer says that it is done: a command, or bytes."""

    at: float
    client: int
    ask: Ask

    def __str__(self) -> str:
        what = self.ask.decode(errors="replace") if isinstance(self.ask, bytes) else repr(self.ask)
        return f"{self.at:7.1f}s client {self.client} {what}"


class World(NamedTuple):
    """The share of each misbehaviour of the outside world, from 0 to 1: of providers first, then of carriers.

    Parcels are on their way for `transit_seconds`; a booking can be cancelled until `pickup_seconds` after it.
    """

    decline: float = 0.0
    timeout: float = 0.0
    duplicate: float = 0.0
    late: float = 0.0
    silent: float = 0.0
    lost: float = 0.0
    exception: float = 0.0
    returned: float = 0.0
    refused: float = 0.0
    stubborn: float = 0.0
    transit_seconds: float = 20.0
    pickup_seconds: float = 0.0
    soft_decline: float = 0.0
    reordered: float = 0.0
    expire: float = 0.0
    dispute: float = 0.0
    refund_failure: float = 0.0
    mute: float = 0.0
    """The share of a carrier's requests with neither an answer nor a callback."""
    reused: float = 0.0
    """The share of bookings with a number that another parcel has."""


@dataclass(frozen=True)
class Profile:
    """A kind of scenario. `orders`, `faults`: smallest and largest number. `switching`: the highest probability that
    another node runs in the middle of a call."""

    name: str
    topologies: Mapping[Topology, int]
    orders: tuple[int, int]
    faults: tuple[int, int]
    world: World
    switching: float
    skew_seconds: float = 0.0
    skus: tuple[int, int] = (1, 3)
    locations: tuple[int, int] = (1, 3)
    units: int = 6
    seconds: float | None = None
    life: bool = False
    """Whether the requests beyond buying and selling are drawn, too."""
    contradicted: bool = False
    """Whether the provider also reports what is wrong; with `life` it sometimes does."""
    mended: tuple[int, int] = (0, 0)
    """Smallest and largest number of rows that are changed by hand and rebuilt later."""
    doors: float = 0.3
    """The share of seeds in which clients use servers, and webhooks are sent and received."""
    written: float = 0.1
    """The share of seeds that write events as JSON and read them back, as the real engine does."""


PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("calm", {"engine": 2, "engines": 1, "workers": 1}, (3, 6), (0, 0), World(), 0.02),
        Profile(
            "stormy",
            {"engine": 5, "engines": 5, "workers": 2},
            (1, 3),
            (6, 20),
            World(0.1, 0.15, 0.15, 0.15, 0.02, lost=0.02, exception=0.05, returned=0.03, refused=0.03, stubborn=0.3),
            0.15,
            skew_seconds=20.0,
        ),
        Profile(
            "hostile",
            {"engine": 5, "engines": 5, "workers": 2},
            (2, 4),
            (2, 10),
            World(0.1, 0.15, 0.15, 0.15, 0.02, lost=0.02, exception=0.05, returned=0.03, refused=0.03, stubborn=0.3),
            0.15,
            skew_seconds=20.0,
            contradicted=True,
        ),
        Profile(
            "kafka",
            {"workers": 1},
            (1, 3),
            (15, 30),
            World(0.1, 0.15, 0.15, 0.15, 0.02),
            0.2,
            skew_seconds=20.0,
        ),
        Profile(
            "life",
            {"engine": 5, "engines": 3, "workers": 1},
            (2, 4),
            (4, 14),
            World(
                0.1,
                0.1,
                0.1,
                0.1,
                0.03,
                lost=0.02,
                exception=0.08,
                returned=0.05,
                refused=0.05,
                stubborn=0.3,
                soft_decline=0.05,
                reordered=0.05,
                expire=0.05,
                dispute=0.05,
                refund_failure=0.05,
                mute=0.01,
                reused=0.1,
            ),
            0.1,
            skew_seconds=10.0,
            units=8,
            life=True,
            mended=(0, 2),
        ),
        Profile("crowd", {"workers": 1}, (10, 16), (0, 4), World(), 0.6, skus=(2, 3), locations=(2, 3)),
        Profile(
            "hurricane",
            {"engines": 1, "workers": 2},
            (4, 10),
            (40, 80),
            World(0.1, 0.2, 0.2, 0.2, 0.04, lost=0.03, exception=0.1, returned=0.05, refused=0.05, stubborn=0.4),
            0.3,
            skew_seconds=120.0,
            mended=(1, 4),
            written=0.5,
        ),
        Profile(
            "flash-sale",
            {"engines": 1},
            (50_000, 50_000),
            (6, 12),
            World(0.02, 0.02, 0.02, 0.02),
            0.02,
            skew_seconds=1.0,
            skus=(1, 1),
            locations=(2, 2),
            units=10_000,
            seconds=60.0,
            doors=0.0,
            written=0.0,
        ),
    )
}


@dataclass(frozen=True)
class Scenario:
    seed: int
    profile: Profile
    seconds: float
    topology: Topology
    nodes: int
    partitions: int
    clients: int
    written: bool
    switching: float
    latency_seconds: float
    notice_seconds: float
    """The longest time until a waiting node notices that there is something to do."""
    poll_seconds: float
    batch_max: int
    skews: tuple[float, ...]
    world: World
    actions: tuple[Action, ...] = field(repr=False)
    faults: tuple[Fault, ...] = field(repr=False)
    servers: int = 0
    """Servers for clients' requests over HTTP; without any, clients use the database themselves."""
    senders: int = 0

    def lines(self) -> Iterator[str]:
        """Yield the options of the seed, for a person."""
        yield (
            f"seed {self.seed}, {self.profile.name}: {self.topology}, {self.nodes} nodes, {self.clients} clients, "
            f"{self.seconds:.0f} s, events {'written as JSON' if self.written else 'kept as objects'}"
        )
        yield (
            f"  batches of {self.batch_max}, looks every {self.poll_seconds:.0f} s, another node goes on after "
            f"{self.switching:.0%} of calls for {self.latency_seconds * 1_000:.0f} ms, "
            f"waiting nodes notice within {self.notice_seconds:.2f} s, {self.partitions} partitions"
        )
        yield f"  clocks off by {', '.join(f'{skew:+.1f}' for skew in self.skews)} s"
        yield "  the world: " + ", ".join(f"{name} {value:.2f}" for name, value in self.world._asdict().items())
        if self.servers:
            yield f"  {self.servers} servers answer, {self.senders} senders of webhooks"
        asked = Counter("bytes" if isinstance(a.ask, bytes) else type(a.ask).__name__ for a in self.actions)
        yield "  asks: " + ", ".join(f"{n} {name}" for name, n in asked.items())
        kinds = Counter(fault.kind for fault in self.faults)
        yield "  faults: " + (", ".join(f"{n} {kind}" for kind, n in kinds.items()) or "none")
