"""Seeds that once broke a promise, kept for ever: what they found, and in which profile."""

from __future__ import annotations

from typing import NamedTuple


class Found(NamedTuple):
    seed: int
    profile: str
    what: str


CORPUS = (
    Found(1, "calm", "a cached stream overtaken before the store last looked was taken for the newest"),
    Found(2, "stormy", "the same, in a storm"),
    Found(58, "stormy", "rows remembered over a seek were folded on, although another worker had changed them"),
    Found(7, "hurricane", "the same, in a storm of faults"),
    Found(86, "stormy", "on Kafka an order's completion let go of money that a parcel was still to take"),
    Found(21, "hurricane", "the same, by way of a frozen worker"),
)
