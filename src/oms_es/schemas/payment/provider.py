"""Reports in which a payment provider uses names of its own, before it is known which payment they are about.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from oms_es.kernel import Event, SystemCommand
from oms_es.schemas.payment import Report, require_enough
from oms_es.schemas.values.types import Identifier

REFERENCES_MAX = 5
"""How many names a provider may have for one thing, such as its intent and its charge."""
Provider = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")]


class RecordProviderReport(SystemCommand):
    """Record a provider's report; `references` are the provider's names of what the report is about."""

    provider: Provider
    references: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=REFERENCES_MAX)]
    report: Report

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        return require_enough(self.report, self)

    @property
    def report_id(self) -> str:
        """A hash of the report's content and references: a repeated report has the same id."""
        return sha256("/".join((*self.references, self.report.report_id)).encode()).hexdigest()[:32]

    @property
    def stream(self) -> str:
        return f"provider-{self.provider}/{self.report_id}"


class MatchReport(SystemCommand):
    """Record which payment a report is about."""

    provider: Provider
    report_id: Identifier
    payment_id: Identifier

    @property
    def stream(self) -> str:
        return f"provider-{self.provider}/{self.report_id}"


class ProviderReported(Event):
    """A provider reported something; it is not known yet of which payment."""

    provider: str
    report_id: str
    references: tuple[str, ...]
    report: Report


class ProviderReportMatched(Event):
    provider: str
    report_id: str
    payment_id: str
