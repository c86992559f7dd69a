"""Seeds that once violated an invariant, with what they found and in which profile.

A seed means a scenario only as long as the drawing and the playing of scenarios stay the same. Both have changed since
the first six were found: these no longer meet what they found, and are kept like any other seed. What they found has a
guard whose removal is noticed (simulation/guards/table.py), or a test by its name.
"""

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
    Found(
        2, "life", "a lock that went over before its order had begun was reported to nobody: the order waited for ever"
    ),
    Found(709, "stormy", "the simulation's own: a group whose poll failed believed that there was nothing to read"),
    Found(3304, "stormy", "the simulation's own: a group left alone what its feed was to read again after an outage"),
    Found(
        4387,
        "stormy",
        "the simulation's own: a carrier that gives back a parcel that it had fetched reports no more of it",
    ),
    Found(279, "life", "the simulated carrier's: of two parcels under one number, cancelling one silenced the other"),
    Found(321, "life", "the simulation's own: a group left alone what its gateway held until the engine had gone on"),
    Found(
        7248, "stormy", "input that was fetched while the database was away was dropped, and nobody fetched it again"
    ),
)
