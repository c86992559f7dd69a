"""Expansion of a seed to a scenario: all requests and all faults are drawn here.

Invariant: the same seed, profile and length give the same scenario on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from oms_es.schemas.operations.subscription import OpenSubscription
from oms_es.schemas.order import OrderLine, PlaceOrder
from oms_es.simulation.requests.life_goods import bills, pick_answers
from oms_es.simulation.requests.life_money import receipts, routes
from oms_es.simulation.requests.rounds import contradictions, lived
from oms_es.simulation.requests.workload import ADDRESS, EPOCH, FLASH_UNITS, SKUS, asked, drawn
from oms_es.simulation.scenario import (
    MINUTES,
    ON_ALL,
    ON_CALL,
    ON_KAFKA,
    Action,
    Fault,
    Forged,
    Profile,
    Scenario,
    Topology,
    World,
)

CALLS_MAX = 60
AWAY_SECONDS_MAX = 20.0
FROZEN_SECONDS_MAX = 45.0
JUMP_SECONDS_MAX = 90.0
ON_CALL_SHARE = 0.75
DOORS = 2
"""Servers and senders of a scenario, of each kind: two, so that one can repeat or take over what the other did."""
SECRET_ID = "sec_" + "1" * 24
SUBSCRIBING = tuple(
    Action(
        0.0,
        0,
        OpenSubscription(name=name, url=f"https://{name}.test/", types=types, channels=channels, secret_id=SECRET_ID),
    )
    for name, types, channels in (
        ("everything", ("OrderPlaced", "OrderReleased", "OrderShipped", "OrderCompleted", "OrderCancelled"), ()),
        ("web-only", ("OrderPlaced", "OrderCompleted", "OrderCancelled"), ("web",)),
    )
)
"""Subscriptions that are opened before anything else."""

FORGING = (
    Action(
        0.0,
        0,
        Forged(
            PlaceOrder(
                channel="shop",
                external_id="FORGED",
                placed_at=EPOCH,
                currency="EUR",
                lines=(OrderLine(line_id="1", sku=SKUS[0], quantity=1, unit_price_minor=0),),
                ship_to=ADDRESS,
            )
        ),
    ),
)
"""A webhook that is signed with another secret than the connection's."""


def expand(seed: int, profile: Profile, minutes: float = MINUTES) -> Scenario:
    chance = Random(f"{seed}/{profile.name}")
    servers = senders = DOORS if Random(f"{seed}/{profile.name}/doors").random() < profile.doors else 0
    seconds = profile.seconds or minutes * 60.0
    (topology,) = chance.choices(list(profile.topologies), list(profile.topologies.values()))
    nodes = {"engine": 1, "engines": 2, "workers": chance.randint(2, 3)}[topology]
    clients = chance.randint(1, 3) if profile.units < FLASH_UNITS else 3
    tasks = {
        name: chance.uniform(0.0, 2.0) * share
        for name, share in profile.world._asdict().items()
        if name not in ("transit_seconds", "pickup_seconds")
    }
    transit, pickup = chance.uniform(0.0, 60.0), chance.choice((0.0, 0.0, 30.0))
    world = World(**tasks, transit_seconds=transit, pickup_seconds=pickup)
    return Scenario(
        seed=seed,
        profile=profile,
        seconds=seconds,
        topology=topology,
        nodes=nodes,
        partitions=chance.randint(1, 2),
        clients=clients,
        written=chance.random() < profile.written,
        switching=profile.switching * chance.random(),
        latency_seconds=chance.choice((0.002, 0.02, 0.2)),
        notice_seconds=chance.choice((0.01, 0.3, 1.0)),
        poll_seconds=chance.uniform(30.0, 90.0),
        batch_max=chance.choice((1, 5, 500, 500)) if profile.units < FLASH_UNITS else 500,
        skews=tuple(chance.uniform(-1.0, 1.0) * profile.skew_seconds for _ in range(nodes)),
        world=world,
        actions=(
            *(SUBSCRIBING if senders else ()),
            *(FORGING if servers else ()),
            *_actions(chance, profile, seconds, clients, seed),
        ),
        faults=tuple(sorted(_faults(chance, profile, seconds, topology, nodes + clients + servers + senders))),
        servers=servers,
        senders=senders,
    )


def _actions(chance: Random, profile: Profile, seconds: float, clients: int, seed: int) -> tuple[Action, ...]:
    draw = drawn(chance, profile, seconds, clients)
    more = [*(lived(draw) if profile.life else ()), *(contradictions(draw) if profile.contradicted else ())]
    actions = [*asked(draw), *more]
    if profile.life:  # drawn apart, beside everything else that a seed has
        actions += receipts(draw._replace(chance=Random(f"{seed}/{profile.name}/receipts")))
        actions += bills(draw._replace(chance=Random(f"{seed}/{profile.name}/bills")))
        actions += pick_answers(draw._replace(chance=Random(f"{seed}/{profile.name}/pick_answers")))
        actions += routes(draw._replace(chance=Random(f"{seed}/{profile.name}/routes")))
    return tuple(sorted(actions, key=lambda action: action.at))


def _faults(chance: Random, profile: Profile, seconds: float, topology: Topology, nodes: int) -> Iterator[Fault]:
    timed = (*ON_ALL, *ON_KAFKA) if topology == "workers" else ON_ALL
    for _ in range(chance.randint(*profile.faults)):
        kind = chance.choice(ON_CALL if chance.random() < ON_CALL_SHARE else timed)
        longest = {"frozen": FROZEN_SECONDS_MAX, "clock_jump": JUMP_SECONDS_MAX}.get(kind, AWAY_SECONDS_MAX)
        far = chance.uniform(-longest, longest) if kind == "clock_jump" else longest * chance.random() ** 2
        calls = int(CALLS_MAX * chance.random() ** 2)
        yield Fault(chance.uniform(0.0, seconds * 0.95), kind, chance.randrange(nodes), calls, far)
    for _ in range(chance.randint(*profile.mended)):
        yield Fault(chance.uniform(0.0, seconds * 0.9), "mended", 0, 0, AWAY_SECONDS_MAX * chance.random())
