"""A customer's feedback about an order, a SKU in it, or the carrier that brought it.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from oms_es.kernel import Command, Event
from oms_es.schemas.values.types import Identifier, PartName, Text

Subject = Literal["order", "sku", "carrier"]
Rating = Annotated[int, Field(ge=1, le=5)]


class RecordFeedback(Command):
    """Record a customer's rating of 1 to 5 stars, and perhaps the reason. `about` names the SKU or the carrier."""

    order_id: Identifier
    feedback_id: Identifier
    subject: Subject = "order"
    about: PartName = ""
    rating: Rating
    text: Text = ""

    @property
    def stream(self) -> str:
        return f"feedback-{self.order_id}"


class FeedbackRecorded(Event):
    order_id: str
    feedback_id: str
    subject: Subject
    about: str
    rating: int
    text: str
