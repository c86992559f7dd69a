"""The versions of the routes to gateways."""

from __future__ import annotations

from oms_es.aggregates.catalog.versions import versioned
from oms_es.schemas.catalog.routes import BUILT_IN_VERSION, GatewayRoutes, GatewayRoutesPublished, PublishGatewayRoutes

decider = versioned("routes", (BUILT_IN_VERSION, GatewayRoutes()), PublishGatewayRoutes, GatewayRoutesPublished)
