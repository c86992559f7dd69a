"""Exceptions where less is accepted than a release promised: only input that could have done no more than stop the
engine, or be lost.

Invariant: each exception is one problem in the words of the compatibility check, with the reason why no sender loses
anything. Any other narrowing has other words, and is reported.
"""

from __future__ import annotations

from typing import NamedTuple

from oms_es.schemas.values.types import LINE_UNITS_MAX, UNITS_MAX, UNSEEN


class Narrowing(NamedTuple):
    """One exception. `problem`: in the words of the check, from the field's path on."""

    message: str
    since: str
    problem: str
    reason: str

    @property
    def found(self) -> str:
        return f"{self.message}, since {self.since}: {self.problem}"


def _name(path: str, before: str = r"^[^\x00]+$", now: str = f"^[^{UNSEEN}]+$") -> Narrowing:
    problem = f"{path}: pattern {before!r}, where {now!r} was promised"
    if path in OPTIONAL:
        problem = f"{path}: string is none of what is allowed ({problem})"
    return Narrowing("PlaceOrder", "0.1.0", problem, UNSEEN_IN_NAMES)


UNSEEN_IN_NAMES = (
    "A control, format or direction character in a name is invisible: who types the name, or copies it from where it "
    "is shown, names another order, line or SKU, and what it named is lost."
)
OPTIONAL = frozenset({"$.exchange_of"})
NARROWINGS = (
    *map(_name, ("$.external_id", "$.lines[].line_id", "$.delivery_option", "$.exchange_of", "$.payment_token")),
    *map(_name, ("$.tenders[].method", "$.tenders[].payment_token")),
    _name("$.lines[].sku", r"^[^\s@\x00]+$", rf"^[^\s@{UNSEEN}]+$"),
    Narrowing(
        "PlaceOrder",
        "0.1.0",
        f"$.lines[].quantity: up to {UNITS_MAX}, where up to {LINE_UNITS_MAX} was promised",
        "More was a dead letter since 0.1.0, which the description said and the schema did not.",
    ),
)
