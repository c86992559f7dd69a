"""States and provinces by the names that addresses have for them: 广东 is 广东省, and Texas is TEXAS.

Invariant: a name is compared with names only; nothing is known of which region has which abbreviation.
"""

from __future__ import annotations

SUFFIXES = ("特别行政区", "维吾尔自治区", "壮族自治区", "回族自治区", "自治区", "省", "市", " province")
"""What is often left out."""
CHARACTERS_MIN = 2
"""Of a name without its suffix."""


def region_key(name: str) -> str:
    """The same of names that mean the same."""
    key = " ".join(name.split()).casefold()
    for suffix in SUFFIXES:
        if key.endswith(suffix) and len(key) - len(suffix) >= CHARACTERS_MIN:
            return key.removesuffix(suffix)
    return key
