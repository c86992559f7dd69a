"""What a payment provider reports of something that it knows by names of its own, before it is known whose that is.

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
"""Names under which a provider knows one thing: its intent, its charge, the thing itself."""
Provider = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")]


class RecordProviderReport(SystemCommand):
    """A provider reports what happened to something; `references` are its own names of what that is about."""

    provider: Provider
    references: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=REFERENCES_MAX)]
    report: Report

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        return require_enough(self.report, self)

    @property
    def report_id(self) -> str:
        """Of what it says, and of what: repeated it is the same."""
        return sha256("/".join((*self.references, self.report.report_id)).encode()).hexdigest()[:32]

    @property
    def stream(self) -> str:
        return f"provider-{self.provider}/{self.report_id}"


class MatchReport(SystemCommand):
    """It is known now which payment a report is about."""

    provider: Provider
    report_id: Identifier
    payment_id: Identifier

    @property
    def stream(self) -> str:
        return f"provider-{self.provider}/{self.report_id}"


class ProviderReported(Event):
    """Of which payment is not known yet."""

    provider: str
    report_id: str
    references: tuple[str, ...]
    report: Report


class ProviderReportMatched(Event):
    provider: str
    report_id: str
    payment_id: str
