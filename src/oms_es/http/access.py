"""Callers and their rights: keys, scopes, roles, and rate limits.

Invariant: default deny. A route has one scope, and a caller without that scope gets nothing from the route. Commands
that only the engine gives have a scope that is in no role. As long as no key was ever made, a caller on this machine
may do what an operator may.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from oms_es.http.errors import Forbidden, NoAccess, TooMany
from oms_es.store.http.api_keys import ApiKey, parts_of

FAMILIES: Mapping[str, str] = {
    "orders": "orders, their timelines and why they ship from where they do",
    "payments": "payments",
    "shipments": "parcels and what carriers say of them",
    "returns": "returns and what customers say",
    "stock": "stock, serial numbers, replenishment",
    "catalog": "locations, items, rules, rates, delivery options, routes, policies, connections and subscriptions",
    "finance": "accounts of customers, statements of banks and providers, their reconciliation and the books",
    "documents": "documents, and what they are attached to",
    "privacy": "people who are forgotten, and legal holds",
    "reports": "files of reports that were made by a schedule",
    "operations": "exceptions, deadlines, dead letters, connections, subscriptions and deliveries",
}
PLACE = "orders:place"
PERSONAL = "personal-data:read"
EVENTS = "events:read"
KEYS = "keys:write"
SYSTEM = "system"
READ_ONLY = frozenset({"reports"})
"""Families about which only the engine gives commands."""
SCOPES: Mapping[str, str] = {
    **{f"{family}:read": f"Read {what}." for family, what in FAMILIES.items()},
    **{
        f"{family}:write": f"Give commands about {what}."
        for family, what in FAMILIES.items()
        if family not in READ_ONLY
    },
    PLACE: "Place orders, and give a channel's commands about its own orders: changes, cancellations, "
    "fulfilments and refunds of its own, requests for returns.",
    PERSONAL: "See names and addresses; the access log records every view.",
    EVENTS: "Follow the whole log.",
    KEYS: "List, make, rotate and revoke keys, with at most the caller's own rights.",
    SYSTEM: "Give commands that otherwise only the engine gives. No role has this scope.",
}
INCLUDED: Mapping[str, frozenset[str]] = {"orders:write": frozenset({PLACE})}
"""Scopes that a scope implies: keys that were made before `orders:write` was split keep the rights that they had."""
READS = frozenset(f"{family}:read" for family in FAMILIES)
WRITES = frozenset(f"{family}:write" for family in FAMILIES if family not in READ_ONLY)
ROLES: Mapping[str, frozenset[str]] = {
    "channel": frozenset({"orders:read", PLACE, "stock:read", "catalog:read"}),
    "storefront": frozenset({"orders:read", "stock:read", "catalog:read"}),
    "warehouse": frozenset(
        {"orders:read", "shipments:read", "shipments:write", "stock:read", "stock:write", "catalog:read"}
        | {"returns:read", "returns:write", "documents:read", "documents:write", PERSONAL}
    ),
    "support": READS | {PLACE, "orders:write", "returns:write", "documents:write", "operations:write", PERSONAL},
    "finance": frozenset(
        {"orders:read", "payments:read", "returns:read", "reports:read", "finance:read", "finance:write"}
        | {"documents:read", "documents:write", PERSONAL}
    ),
    "privacy": frozenset({"orders:read", "documents:read", "privacy:read", "privacy:write", PERSONAL}),
    "follower": READS | {EVENTS, PERSONAL},
    "operator": READS | WRITES | {PLACE, EVENTS, PERSONAL, KEYS},
}
"""Bundles of scopes, named after what a person or a program does."""
OF_CHANNELS = frozenset({"channel"})
"""Roles whose keys are limited to named channels, unless ALL_CHANNELS is given explicitly."""
ALL_CHANNELS = "*"
"""The name that is given in place of channels for a key of every channel."""


def with_included(scopes: Iterable[str]) -> frozenset[str]:
    """Return the scopes that are known, together with the scopes that they imply."""
    known = frozenset(scopes) & SCOPES.keys()
    return known.union(*(INCLUDED.get(one, ()) for one in known))


def channels_of(roles: Iterable[str], channels: Sequence[str]) -> list[str] | None:
    """Return the channels that a key is limited to, or None for a key of all channels. Raise ValueError if the list is
    contradictory, or empty for a role that needs channels."""
    if ALL_CHANNELS in channels:
        if len(channels) > 1:
            raise ValueError(f"{ALL_CHANNELS!r} is every channel: leave the others out, or leave it out")
        return None
    if not channels and (bound := sorted(OF_CHANNELS.intersection(roles))):
        raise ValueError(
            f"a key of the role {bound[0]} is of some channels: name them, or write {ALL_CHANNELS!r} for all of them"
        )
    return list(channels) or None


CACHED_SECONDS = 5.0
"""How long a key is cached: a revoked key is accepted for this time at most."""
CACHED_MAX = 10_000
BURST_SECONDS = 2.0


class Caller(NamedTuple):
    """The authenticated caller. `actor` is recorded with every event; `channels` is None for a caller of
    all channels."""

    actor: str
    scopes: frozenset[str]
    channels: frozenset[str] | None = None

    def require(self, scope: str) -> None:
        """Raise Forbidden unless the caller has the scope."""
        if scope not in self.scopes:
            raise Forbidden(f"the scope {scope} is needed for this; ask for a key that has it")

    def require_all_channels(self, why: str) -> None:
        """Raise Forbidden, with the reason `why`, if the caller is limited to some channels."""
        if self.channels is not None:
            raise Forbidden(f"{why}; ask for a key of all channels")


LOCAL_ONLY = (
    "without keys only this machine is served, on 127.0.0.1, and may do what an operator may; make a key with "
    "`oms-es keys create`"
)
LOCAL = Caller("http:local", ROLES["operator"])
"""The caller of a request from this machine, as long as no key was ever made."""
NO_CALLER = Caller("http:nobody", frozenset())


class Keys:
    """The keys as the database has them, cached for CACHED_SECONDS. `find` and `is_any_made` query the database."""

    def __init__(
        self,
        find: Callable[[str], ApiKey | None],
        is_any_made: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find
        self._is_any_made = is_any_made
        self._monotonic = monotonic
        self._known: OrderedDict[str, tuple[float, ApiKey | None]] = OrderedDict()
        self._open = (-CACHED_SECONDS, True)

    def is_open(self) -> bool:
        """Return whether no key was ever made. Once a key was made, the answer is False for ever."""
        at, is_open = self._open
        if is_open and self._monotonic() - at >= CACHED_SECONDS:
            self._open = (self._monotonic(), not self._is_any_made())
        return self._open[1]

    def is_known(self, token: str) -> bool:
        """Return whether the token can be checked without a query to the database."""
        parts = parts_of(token)
        return parts is None or self._fresh(parts[0])

    def caller(self, token: str) -> Caller:
        """Return the caller whose key this is. Raise NoAccess, with the same message for every reason."""
        parts = parts_of(token)
        key = self._key(parts[0]) if parts else None
        if parts is None or key is None or not key.is_valid(parts[1], datetime.now(UTC)):
            raise NoAccess("the key is not valid; ask for another, and send it as Authorization: Bearer KEY")
        return _caller(key)

    def caller_of(self, key_id: str, secret_sha256: bytes) -> Caller | None:
        """Return the caller who signed in with this secret of the key, or None if the key is no longer valid."""
        key = self._key(key_id)
        if key is None or not key.is_valid_sha256(secret_sha256, datetime.now(UTC)):
            return None
        return _caller(key)

    def _fresh(self, key_id: str) -> bool:
        known = self._known.get(key_id)
        return known is not None and self._monotonic() - known[0] < CACHED_SECONDS

    def _key(self, key_id: str) -> ApiKey | None:
        if not self._fresh(key_id):
            self._known[key_id] = (self._monotonic(), self._find(key_id))
            self._known.move_to_end(key_id)
            while len(self._known) > CACHED_MAX:
                self._known.popitem(last=False)
        return self._known[key_id][1]


def _caller(key: ApiKey) -> Caller:
    channels = None if key.channels is None else frozenset(key.channels)
    return Caller(f"key:{key.key_id}", with_included(key.scopes), channels)


class Rates:
    """A rate limit per caller: the generic cell rate algorithm, with one number for each caller.

    The library `limits` has the same, and starts a thread for each second of use; the algorithm is five lines.
    """

    def __init__(
        self,
        per_second: float,
        monotonic: Callable[[], float] = time.monotonic,
        burst_seconds: float = BURST_SECONDS,
    ) -> None:
        self.interval = 1 / per_second
        self.burst_seconds = burst_seconds
        self._monotonic = monotonic
        self._due: OrderedDict[str, float] = OrderedDict()

    def take(self, name: str) -> None:
        """Count one request of the caller. Raise TooMany if the rate is exceeded."""
        self._due[name] = self.require(name) + self.interval
        self._due.move_to_end(name)
        while len(self._due) > CACHED_MAX:
            self._due.popitem(last=False)

    def require(self, name: str) -> float:
        """Return when the caller's next request would be due, without counting one. Raise TooMany if the rate is
        exceeded."""
        now = self._monotonic()
        due = max(now, self._due.get(name, now))
        if due - now > self.burst_seconds:
            raise TooMany(max(1, round(due - now - self.burst_seconds + 0.5)))
        return due
