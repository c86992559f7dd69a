"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal


class StockRefusal(Refusal):
    """What stock refuses."""

    EXCEEDS_TRANSIT = (
        "exceeds_transit",
        "More units would arrive than are on their way.",
        "Adjust what came beyond them.",
    )
    IS_A_MOVE = (
        "is_a_move",
        "The inbound is a move between locations; its units are known.",
        "Receive what was moved.",
    )
    NOT_COVERED = (
        "not_covered",
        "The units were sold before they exist; they cannot leave before stock has come.",
        "Receive stock first.",
    )
    NOT_RESERVED = (
        "not_reserved",
        "Nothing is held for this reservation.",
        "Reserve before shipping.",
    )
    NOT_THERE = (
        "not_there",
        "The bin or lot holds fewer units.",
        "Count it, or name another one.",
    )
    PROMISED = (
        "promised",
        "The units are promised to orders.",
        "Move fewer units, or release some reservations first.",
    )
    SAME_LOCATION = (
        "same_location",
        "The units would be moved to where they are.",
        "Use `oms-es stock move-to-bin` within a location.",
    )
    SERIAL_NOT_THERE = (
        "serial_not_there",
        "A unit with this serial number should not be there, or is not.",
        "Receive or move it first; numbered units come in with `oms-es serials receive`.",
    )
    SERIALS_NEEDED = (
        "serials_needed",
        "Units of this SKU carry serial numbers, and too few or too many are named.",
        "Name the number of each unit.",
    )
    TOO_MANY_CHANNELS = (
        "too_many_channels",
        "As many channels have a share as may have one.",
        "Lift one with a share of 100 and 0 units.",
    )
    TOO_MANY_INBOUNDS = (
        "too_many_inbounds",
        "As much is expected as may be at one time.",
        "Receive or cancel some first.",
    )
    TOO_MANY_PLACES = (
        "too_many_places",
        "The stock has as many bins and lots as it may have.",
        "Use one of those.",
    )
    UNKNOWN_INBOUND = (
        "unknown_inbound",
        "Nothing is expected under this name.",
        "Use `oms-es stock receive`.",
    )
