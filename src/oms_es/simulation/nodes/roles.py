"""The nodes of a scenario: the roles of the registry, spread over simulated processes.

Every role of the registry must run here: tests/system/simulation fails otherwise. The one that takes in files of
warehouses has none here: their answers are commands of the scenario.
"""

from __future__ import annotations

from itertools import cycle

from oms_es.app.connecting.warehouse_answers import ROLE as WAREHOUSE_ANSWERS_ROLE
from oms_es.app.workers import GROUPS_OF_ROLES
from oms_es.simulation.nodes.engine_node import EngineNode, Ground
from oms_es.simulation.nodes.log_node import LogNode
from oms_es.simulation.nodes.worker_node import WorkerNode

SHARED_ROLES: tuple[tuple[str, ...], ...] = (
    ("consumers", "channel_orders"),
    ("projections", "ticker"),
    ("gateways", "sealer"),
)
"""Groups of roles that are spread over the nodes; two nodes run each group."""


def engine_nodes(ground: Ground) -> list[EngineNode]:
    scenario = ground.scenario
    if scenario.topology != "workers":
        return [LogNode(ground, number, skew) for number, skew in enumerate(scenario.skews)]
    tasks: list[list[str]] = [[] for _ in range(scenario.nodes)]
    turn = cycle(range(scenario.nodes))
    for group in SHARED_ROLES:
        for _ in range(min(2, scenario.nodes)):
            roles = [role for name in group for role in GROUPS_OF_ROLES.get(name, (name,))]
            tasks[next(turn)] += [role for role in roles if role != WAREHOUSE_ANSWERS_ROLE]
    return [
        WorkerNode(ground, number, scenario.skews[number], list(dict.fromkeys(roles)))
        for number, roles in enumerate(tasks)
    ]
