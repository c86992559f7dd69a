"""Every refusal of this family: its stable code, what it means, and what to do next."""

from __future__ import annotations

from oms_es.errors import Refusal
from oms_es.exit_codes import Code


class CatalogRefusal(Refusal):
    """What items, locations, serial numbers, rules and rates refuse."""

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
        "There are as many versions of the rules as may be.",
        "Make an earlier version hold again.",
    )
    UNKNOWN_LOCATION = (
        "unknown_location",
        "There is no such location.",
        "See which there are with `oms-es location list`.",
        Code.NOT_FOUND,
    )
    VERSION_REUSED = (
        "version_reused",
        "This version of the rates says something else.",
        "Publish under another version.",
    )
    VERSION_TAKEN = (
        "version_taken",
        "This version of the rules says something else.",
        "Publish under another version.",
    )
