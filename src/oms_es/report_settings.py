"""Settings of reports that the engine makes by their schedules, a part of `settings.py`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

from oms_es.patterns import EMAIL


class ReportSettings(BaseSettings):
    report_definitions_folder: Path | None = Field(
        default=None,
        description="Folder with definitions of reports (TOML) whose schedules the engine follows",
    )
    report_folder: Path | None = Field(
        default=None, description="Folder into which files of scheduled reports are put. It is not made"
    )
    report_mail_folder: Path | None = Field(
        default=None,
        description="Folder into which messages with scheduled reports are put, from which a mail system takes them. "
        "It is not made",
    )
    report_mail_from: str = Field(
        default="", pattern=rf"^({EMAIL})?$", max_length=254, description="The address from which these messages are"
    )
