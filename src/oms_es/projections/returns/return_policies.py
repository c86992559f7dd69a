"""Return policies: the current policy of each channel."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.returns.policy import ReturnPolicySet

table = Table(
    "return_policies",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("terms", JSONB, nullable=False),
)
projection = Projection(table, fed_by=("policy-{channel}",))


def key_of_channel(event: ReturnPolicySet) -> Iterable[Key]:
    return ((event.channel,),)


@projection.on(ReturnPolicySet, keys=key_of_channel)
def on_return_policy_set(_row: Row | None, event: ReturnPolicySet, key: Key) -> Row:
    return {"channel": key[0], "terms": event.terms.model_dump(mode="json")}
