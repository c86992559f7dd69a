"""Composition root: the whole engine, listed.

Every consumer, projection and gateway is named here once. How the processes are started decides where each runs, and on
which transport.
Imports: everything but `cli`, `console`, `http`, `demo`, `simulation`, `reference` and `whatif`, which are above it.
"""

from __future__ import annotations

from oms_es.app.engine import IN_HAND_MAX as IN_HAND_MAX
from oms_es.app.engine import LOG_PLACE as LOG_PLACE
from oms_es.app.engine import Engine as Engine
from oms_es.app.engine import Runtime as Runtime
from oms_es.app.engine import engine_on as engine_on
from oms_es.app.engine import projections_looked_up as projections_looked_up
from oms_es.app.external_systems import ExternalSystems as ExternalSystems
from oms_es.app.external_systems import OnKafka as OnKafka
from oms_es.app.external_systems import SimulatedSystems as SimulatedSystems
from oms_es.app.external_systems import Unconnected as Unconnected
from oms_es.app.migration import RebuildProgress as RebuildProgress
from oms_es.app.migration import migrate as migrate
from oms_es.app.migration import unseen as unseen
from oms_es.app.registry import CONSUMERS as CONSUMERS
from oms_es.app.registry import DECIDERS as DECIDERS
from oms_es.app.registry import GATEWAYS as GATEWAYS
from oms_es.app.registry import INTENTS as INTENTS
from oms_es.app.registry import PARSERS as PARSERS
from oms_es.app.registry import PROJECTIONS as PROJECTIONS
from oms_es.app.registry import parser_of as parser_of
