"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal


class StockRefusal(Refusal):
    """Refusals of stock."""

    EXCEEDS_TRANSIT = (
        "exceeds_transit",
        "More units would arrive than are on their way.",
        "Receive what is expected, and adjust the stock by the rest.",
    )
    IS_A_MOVE = (
        "is_a_move",
        "The inbound is a move between locations; its units are known.",
        "Receive what was moved.",
    )
    NOT_COVERED = (
        "not_covered",
        "The units are presold; they cannot leave before stock has come.",
        "Receive stock first.",
    )
    NOT_RESERVED = (
        "not_reserved",
        "No units are reserved under this reservation.",
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
        "The units are at this location already.",
        "Use `oms-es stock move-to-bin` within a location.",
    )
    SERIAL_NOT_THERE = (
        "serial_not_there",
        "According to the records, no unit with this serial number is there.",
        "Receive or move it first; numbered units come in with `oms-es serials receive`.",
    )
    SERIALS_NEEDED = (
        "serials_needed",
        "Units of this SKU carry serial numbers, and too few or too many are named.",
        "Name the number of each unit.",
    )
    TOO_MANY_CHANNELS = (
        "too_many_channels",
        "The highest number of channels with a share is reached.",
        "Lift the share of one channel by setting 100 percent and 0 units.",
    )
    TOO_MANY_INBOUNDS = (
        "too_many_inbounds",
        "The highest number of expected inbounds is reached.",
        "Receive or cancel some first.",
    )
    TOO_MANY_PLACES = (
        "too_many_places",
        "The highest number of bins and lots is reached.",
        "Use one of the existing bins and lots.",
    )
    UNKNOWN_INBOUND = (
        "unknown_inbound",
        "Nothing is expected under this name.",
        "Use `oms-es stock receive`.",
    )
