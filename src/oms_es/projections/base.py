"""What all read models share: one metadata, so that they are created together."""

from __future__ import annotations

from sqlalchemy import MetaData

METADATA = MetaData()
