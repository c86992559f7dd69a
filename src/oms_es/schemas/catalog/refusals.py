"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal
from oms_es.exit_codes import Code


class CatalogRefusal(Refusal):
    """Refusals about items, locations, serial numbers, rules and rates."""

    MADE_OF_ITSELF = (
        "made_of_itself",
        "The bundle would be one of its own components.",
        "Leave it out of its components.",
    )
    SERIAL_ELSEWHERE = (
        "serial_elsewhere",
        "The numbered unit is at another location.",
        "Ship, move or write it off there before it is received here.",
    )
    TOO_MANY_VERSIONS = (
        "too_many_versions",
        "The highest number of versions of the rules is reached.",
        "Publish an earlier version again instead.",
    )
    UNKNOWN_LOCATION = (
        "unknown_location",
        "There is no such location.",
        "List the locations with `oms-es location list`.",
        Code.NOT_FOUND,
    )
    VERSION_REUSED = (
        "version_reused",
        "This version of the rates was published with other content.",
        "Publish under another version.",
    )
    VERSION_TAKEN = (
        "version_taken",
        "This version of the rules was published with other content.",
        "Publish under another version.",
    )
