"""The versions of the routes to gateways.

Invariant: the content of a version never changes, and the version published last is in force; `versions` has the rules.
"""

from __future__ import annotations

from oms_es.aggregates.catalog.versions import versioned
from oms_es.schemas.catalog.routes import BUILT_IN_VERSION, GatewayRoutes, GatewayRoutesPublished, PublishGatewayRoutes

decider = versioned("routes", (BUILT_IN_VERSION, GatewayRoutes()), PublishGatewayRoutes, GatewayRoutesPublished)
