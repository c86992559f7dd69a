"""Times as systems in China write them: without a zone, and meant in Shanghai's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated

from pydantic import BeforeValidator

SHANGHAI = timezone(timedelta(hours=8))
"""The zone of China, which has had no summer time since 1991."""
WRITTEN = "%Y-%m-%d %H:%M:%S"


def _shanghai(value: object) -> object:
    try:
        if isinstance(value, str):
            return datetime.strptime(value.strip(), WRITTEN).replace(tzinfo=SHANGHAI).astimezone(UTC)
    except OverflowError:
        raise ValueError("a time since the year 1 is expected") from None
    except ValueError:
        pass  # its message would repeat the value
    raise ValueError("a time as 2026-01-02 16:33:19 is expected")


ShanghaiTime = Annotated[datetime, BeforeValidator(_shanghai)]
