"""Routes to gateways: every version that was published, and which one is in force. Without any, there is no route."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, DateTime, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.projections.catalog.versions import key_of_versions, published
from oms_es.schemas.catalog.routes import ROUTES_STREAM, GatewayRoutes, GatewayRoutesPublished

table = Table(
    "gateway_routes",
    METADATA,
    Column("version", Text, primary_key=True),
    Column("current", Boolean, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False),
    Column("published_by", Text, nullable=False),
    Column("routes", JSONB, nullable=False),
    Index("gateway_routes_by_current", "current"),
)
projection = Projection(table, fed_by=(ROUTES_STREAM,), version=2)
CONTENT = set(GatewayRoutes.model_fields)


@projection.on(GatewayRoutesPublished, keys=key_of_versions)
def on_gateway_routes_published(
    row: Row | None, event: GatewayRoutesPublished, recorded: Recorded, key: Key
) -> Row | None:
    return published(row, event, recorded, key, routes=event.model_dump(mode="json", include=CONTENT))
