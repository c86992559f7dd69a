"""Names that the engine makes of others.

Invariant: a sender of an order, a return or a refund cannot give it such a name, and no two are made of different
parts.
"""

from __future__ import annotations

from unicodedata import normalize
from uuid import NAMESPACE_URL, uuid5

from pydantic_core import to_json

SPLIT, MERGE, EXCHANGE, LOST, RETURN = "split/", "merge/", "exchange/", "lost/", "return/"
MADE = (SPLIT, MERGE, EXCHANGE, LOST, RETURN)
"""How they begin."""
READABLE_LENGTH_MAX = 90
"""Of what is made of several parts; whatever stands before it still fits an identifier."""
NAMESPACE = uuid5(NAMESPACE_URL, "oms-es/name")


def is_made(name: str) -> bool:
    """It begins as such a name does, or looks as if: full-width letters are other characters that read the same."""
    return normalize("NFKC", name).startswith(MADE)


def made_of(*parts: str) -> str:
    """Readable where each part is plain, and otherwise a digest: `a/b` of one part and `a`, `b` of two are not one."""
    readable = "/".join(parts)
    if all(parts) and readable.count("/") == len(parts) - 1 and len(readable) <= READABLE_LENGTH_MAX:
        return readable
    return f"={uuid5(NAMESPACE, to_json(parts).decode())}"
