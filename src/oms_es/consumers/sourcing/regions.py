"""States and provinces by the names that addresses use for them: 广东 is 广东省, and Texas is TEXAS.

Invariant: names are compared with names only; abbreviations of regions are not known.
"""

from __future__ import annotations

SUFFIXES = ("特别行政区", "维吾尔自治区", "壮族自治区", "回族自治区", "自治区", "省", "市", " province")
"""Suffixes that addresses often omit."""
CHARACTERS_MIN = 2
"""How many characters a name has at least without its suffix."""


def region_key(name: str) -> str:
    """Return a key that is the same for all spellings of a region's name."""
    key = " ".join(name.split()).casefold()
    for suffix in SUFFIXES:
        if key.endswith(suffix) and len(key) - len(suffix) >= CHARACTERS_MIN:
            return key.removesuffix(suffix)
    return key
