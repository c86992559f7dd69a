"""Environment variables that are called nearly as a setting is: they set nothing, which no one would notice.

Only names are looked at: a value may be a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import NamedTuple

from oms_es.settings import Settings

PREFIX = "OMS_"
OF_OTHERS = ("OMS_TEST_", "OMS_DATABASE_PASSWORD", "OMS_DOMAIN", "OMS_UPSTREAM")
"""How names begin that tests, the compose file and the proxy read."""
ALIKE = 0.8
"""The share of its characters that a name has in common with the setting that it is taken for."""


class Misspelt(NamedTuple):
    name: str
    nearest: str


def misspelt(names: Iterable[str]) -> Iterator[Misspelt]:
    """Yield the variables that are no settings, each with the nearest setting. As settings are, in any case."""
    known = [f"{PREFIX}{field.upper()}" for field in Settings.model_fields]
    for name in sorted(names):
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in known and not upper.startswith(OF_OTHERS):
            yield from (Misspelt(name, one) for one in get_close_matches(upper, known, n=1, cutoff=ALIKE))
