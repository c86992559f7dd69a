"""Everything that can be set from outside, with its unit. Each field is the environment variable OMS_<NAME>."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="OMS_", frozen=True, extra="ignore")

    database_url: str | None = Field(
        default=None, description="An ordinary PostgreSQL server; without it the embedded one is started"
    )
    home: Path | None = Field(default=None, description="Where the embedded database lives")
    log_style: Literal["json", "console"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    batch_max: PositiveInt = Field(default=500, description="Deliveries per transaction")
    poll_seconds: PositiveFloat = Field(default=1.0, description="The longest wait before looking for events unasked")
