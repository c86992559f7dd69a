"""Names that the engine makes of other names.

Invariant: a sender cannot give an order, a return or a refund such a name, and different parts never make the same
name.
"""

from __future__ import annotations

from unicodedata import normalize
from uuid import NAMESPACE_URL, uuid5

from pydantic_core import to_json

SPLIT, MERGE, EXCHANGE, LOST, RETURN = "split/", "merge/", "exchange/", "lost/", "return/"
MADE = (SPLIT, MERGE, EXCHANGE, LOST, RETURN)
"""The beginnings of names that the engine makes."""
READABLE_LENGTH_MAX = 90
"""How long a readable name of several parts may be, so that it fits an identifier with any beginning."""
NAMESPACE = uuid5(NAMESPACE_URL, "oms-es/name")


def is_made(name: str) -> bool:
    """Return whether a name begins as the engine's names do, or looks so: full-width letters are other characters that
    read the same.
    """
    return normalize("NFKC", name).startswith(MADE)


def made_of(*parts: str) -> str:
    """Return a readable name if each part is plain, and otherwise a digest: `a/b` as one part differs from `a`, `b` as
    two.
    """
    readable = "/".join(parts)
    if all(parts) and readable.count("/") == len(parts) - 1 and len(readable) <= READABLE_LENGTH_MAX:
        return readable
    return f"={uuid5(NAMESPACE, to_json(parts).decode())}"
