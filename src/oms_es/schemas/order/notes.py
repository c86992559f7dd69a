"""Notes of people about an order, for other people."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.schemas.order.content import OrderCommand, OrderEvent
from oms_es.schemas.values.customer import Notes
from oms_es.schemas.values.personal import PERSONAL
from oms_es.schemas.values.types import Identifier

NOTES_MAX = 1_000
"""How many notes one order may have."""


class AddNote(OrderCommand):
    """Add a note to an order, at any time, for those who look at it next. Once per note_id; nothing else changes."""

    note_id: Identifier
    note_text: Annotated[Notes, Field(min_length=1), PERSONAL]


class OrderNoteAdded(OrderEvent):
    note_id: str
    note_text: Annotated[str, PERSONAL]
    asked: str = ""
    """The command's content, with a digest in place of the text."""
