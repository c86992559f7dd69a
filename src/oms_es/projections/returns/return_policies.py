"""Return policies: what holds now for each channel."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.returns.policy import ReturnPolicySet

table = Table(
    "return_policies",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("terms", JSONB, nullable=False),
)
projection = Projection(table)


def of_the_channel(recorded: Recorded) -> Iterable[Key]:
    assert isinstance(recorded.event, ReturnPolicySet)
    return ((recorded.event.channel,),)


@projection.on(ReturnPolicySet, keys=of_the_channel)
def holds(_: Row | None, recorded: Recorded, key: Key) -> Row:
    event = recorded.event
    assert isinstance(event, ReturnPolicySet)
    return {"channel": key[0], "terms": event.terms.model_dump(mode="json")}
