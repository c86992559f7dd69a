"""Failures of the simulators: chosen by a payment's token, or drawn at random."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal, NamedTuple
from uuid import UUID

from oms_es.schemas import shipment as sh

Mode = Literal[
    "plain",
    "decline",
    "timeout",
    "duplicate",
    "late",
    "soft_decline",
    "silent",
    "reordered",
    "expire",
    "dispute_won",
    "dispute_lost",
    "refund_fails",
    "mute",
]
"""A failure mode. `timeout`: the effect happens and the first answer is lost. `duplicate`: beside the answer, the
callback comes twice. `late`: no answer, only a callback after a while; a carrier's callbacks then come in the wrong
order. `silent`: nothing is ever reported; of a payment, nothing happens either. Of payments only: `soft_decline`:
another try may succeed. `reordered`: beside the answer, a callback at once and the same one long after what followed.
`expire`: the money is held for EXPIRES_SECONDS only. `dispute_…`: what is captured is disputed, and the dispute ends as
named. `refund_fails`: a refund fails. `mute`: a callback is announced for a capture, and never comes."""

LATE_SECONDS = 1.0

EXPIRES_SECONDS = 60
"""How long an authorisation of the mode `expire` lasts."""


class Chaos(NamedTuple):
    """The share of each failure, from 0 to 1, for payments whose token asks for none."""

    seed: int = 0
    decline: float = 0.0
    timeout: float = 0.0
    duplicate: float = 0.0
    late: float = 0.0
    silent: float = 0.0
    soft_decline: float = 0.0
    reordered: float = 0.0
    expire: float = 0.0
    dispute: float = 0.0
    refund_failure: float = 0.0

    def draw(self, key: UUID, *, may_decline: bool, operation: str = "") -> Mode:
        point = int.from_bytes(sha256(f"{self.seed}/{key}".encode()).digest()[:8]) / 2**64
        modes: tuple[tuple[Mode, float], ...] = (
            ("timeout", self.timeout),
            ("duplicate", self.duplicate),
            ("late", self.late),
            ("silent", self.silent),
            ("decline", self.decline if may_decline else 0.0),
            ("soft_decline", self.soft_decline if may_decline else 0.0),
            ("reordered", self.reordered if operation else 0.0),
            ("expire", self.expire if operation == "authorize" else 0.0),
            ("dispute_lost" if key.int % 2 else "dispute_won", self.dispute if operation == "capture" else 0.0),
            ("refund_fails", self.refund_failure if operation == "refund" else 0.0),
        )
        for mode, share in modes:
            if point < share:
                return mode
            point -= share
        return "plain"


class Hazards(NamedTuple):
    """The share of each fate of parcels, from 0 to 1, and how the carrier works. By default every parcel is
    delivered."""

    lost: float = 0.0
    """The parcel is never seen again, and the carrier reports this in the end."""
    exception: float = 0.0
    """A problem occurs on the way and is solved."""
    returned: float = 0.0
    """The parcel is not accepted and comes back."""
    refused: float = 0.0
    """The booking is refused."""
    silent: float = 0.0
    """The carrier neither answers nor reports anything."""
    stubborn: float = 0.0
    """The carrier refuses to cancel a booking although it has not picked up the parcel."""
    pickup_seconds: float = 0.0
    """Seconds from the booking to the pick-up, in which a booking can be cancelled."""
    labels: bool = False
    """Whether a label comes with each booking."""
    reused: float = 0.0
    """The share of bookings with a tracking number that others have, too."""

    def draw(self, key: UUID, seed: int) -> Fate:
        point = int.from_bytes(sha256(f"{seed}/{key}/fate".encode()).digest()[:8]) / 2**64
        fates: tuple[tuple[Fate, float], ...] = (
            ("lost", self.lost),
            ("exception", self.exception),
            ("returned", self.returned),
            ("refused", self.refused),
            ("silent", self.silent),
        )
        for fate, share in fates:
            if point < share:
                return fate
            point -= share
        return "delivered"

    def is_reused(self, key: UUID, seed: int) -> bool:
        return int.from_bytes(sha256(f"{seed}/{key}/reused".encode()).digest()[:8]) / 2**64 < self.reused

    def is_stubborn(self, key: UUID, seed: int) -> bool:
        return int.from_bytes(sha256(f"{seed}/{key}/stubborn".encode()).digest()[:8]) / 2**64 < self.stubborn


REUSED_NUMBER = "SIM999999999999"

KEPT_BECAUSE = "it was fetched already"

Fate = Literal["delivered", "lost", "exception", "returned", "refused", "silent"]

JOURNEYS: dict[Fate, tuple[tuple[sh.MilestoneStatus, float], ...]] = {
    "delivered": (("picked_up", 0), ("in_transit", 0.5), ("delivered", 1)),
    "lost": (("picked_up", 0), ("in_transit", 0.5), ("failure", 1)),
    "exception": (("picked_up", 0), ("exception", 0.25), ("in_transit", 0.5), ("delivered", 1)),
    "returned": (("picked_up", 0), ("in_transit", 0.25), ("return_to_sender", 0.5), ("returned", 1)),
    "refused": (),
    "silent": (),
}
"""The statuses that are reported of a parcel, each with the share of its way."""

TOKEN_MODES: dict[str, Mode] = {
    "tok-decline": "decline",
    "tok-timeout": "timeout",
    "tok-duplicate": "duplicate",
    "tok-late": "late",
    "tok-decline-soft": "soft_decline",
    "tok-silent": "silent",
    "tok-reordered": "reordered",
    "tok-expire": "expire",
    "tok-dispute-won": "dispute_won",
    "tok-dispute-lost": "dispute_lost",
    "tok-refund-fails": "refund_fails",
    "tok-mute": "mute",
}

SHOWN_LATER: dict[Mode, tuple[str, str]] = {
    "expire": ("capture", "-x"),
    "dispute_won": ("capture", "-dw"),
    "dispute_lost": ("capture", "-dl"),
    "refund_fails": ("refund", "-rf"),
    "mute": ("capture", "-mu"),
}
"""Modes that take effect only with a later operation, which recognises them by a mark in the
authorisation's reference."""


DECLINED_LATER: frozenset[tuple[str, Mode]] = frozenset({("capture", "expire"), ("refund", "refund_fails")})
