"""The registry of serial numbers of one SKU. Invariant: a number is at one location at most.

Only numbers that are at one of our locations are remembered, so the state is as large as the stock and no larger.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from rpds import HashTrieMap, HashTrieSet, Queue

from oms_es.aggregates.repeats import asked_of, done_before
from oms_es.kernel import Decider, Refused
from oms_es.schemas.catalog import serial as se
from oms_es.schemas.catalog.refusals import CatalogRefusal

RECEIPTS_REMEMBERED_MAX = 10_000
"""How many receipts the state remembers, so that a repeated one claims no further numbers."""


class Registry(NamedTuple):
    at: HashTrieMap[str, str] = HashTrieMap()  # the location of each serial number
    # (serial number, location where it turned up and should not be)
    conflicts: HashTrieSet[tuple[str, str]] = HashTrieSet()
    receipts: HashTrieMap[str, str] = HashTrieMap()  # a digest of what was asked under each receipt
    receipts_in_order: Queue[str] = Queue()


def evolve(registry: Registry, event: se.SerialEvent) -> Registry:
    """Never refuse an event: an old stream must load under new rules."""
    at, conflicts = registry.at, registry.conflicts
    match event:
        case se.SerialsClaimed():
            return _remember(registry._replace(at=_inserted(at, event)), event)
        case se.SerialsSeen():
            return registry._replace(at=_inserted(at, event))
        case se.SerialsLeft(serials=serials, location=location):
            for serial in serials:
                at = at.discard(serial) if at.get(serial) == location else at
                conflicts = conflicts.discard((serial, location))
            return registry._replace(at=at, conflicts=conflicts)
        case se.SerialConflictFound(serials=serials, location=location):
            return registry._replace(conflicts=conflicts.update((serial, location) for serial in serials))
    return registry


def decide(registry: Registry, command: se.SerialCommand) -> Iterator[se.SerialEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    match command:
        case se.ReceiveSerials():
            yield from _claim(registry, command)
        case se.RecordSerialsSeen():
            yield from _seen(registry, command)
        case se.RecordSerialsLeft(sku=sku, location=location):
            named = dict.fromkeys(command.serials)
            if left := tuple(serial for serial in named if _is_at(registry, serial, location)):
                yield se.SerialsLeft(sku=sku, location=location, serials=left)


def _inserted(at: HashTrieMap[str, str], event: se.SerialEvent) -> HashTrieMap[str, str]:
    for serial in event.serials:
        at = at.insert(serial, event.location)
    return at


def _remember(registry: Registry, event: se.SerialsClaimed) -> Registry:
    receipts = registry.receipts.insert(event.receipt_id, event.asked)
    in_order = registry.receipts_in_order.enqueue(event.receipt_id)
    if len(receipts) > RECEIPTS_REMEMBERED_MAX:
        receipts, in_order = receipts.discard(in_order.peek()), in_order.dequeue()  # type: ignore[operator,call-arg] # rpds declares both wrongly
    return registry._replace(receipts=receipts, receipts_in_order=in_order)


def _is_at(registry: Registry, serial: str, location: str) -> bool:
    """Return whether the number is at the location, or turned up there although its unit should be elsewhere."""
    return registry.at.get(serial) == location or (serial, location) in registry.conflicts


def _claim(registry: Registry, command: se.ReceiveSerials) -> Iterator[se.SerialEvent]:
    if done_before(registry.receipts.get(command.receipt_id), command):
        return
    for serial in command.serials:
        if elsewhere := registry.at.get(serial):
            raise Refused(
                CatalogRefusal.SERIAL_ELSEWHERE,
                f"{serial} of {command.sku} is at {elsewhere}; ship, move or write it off there before it is received",
            )
    fields = {**command.model_dump(), "serials": tuple(dict.fromkeys(command.serials))}
    yield se.SerialsClaimed(**fields, asked=asked_of(command))


def _seen(registry: Registry, command: se.RecordSerialsSeen) -> Iterator[se.SerialEvent]:
    """Decide where seen units are; never refuse, because the units are physically there.

    A number that is on record elsewhere counts as moved only if it is still at the location that the move starts from;
    otherwise a SerialConflictFound is yielded.
    """
    seen: list[str] = []
    conflicts: dict[str, list[str]] = defaultdict(list)
    for serial in dict.fromkeys(command.serials):
        there = registry.at.get(serial)
        if there == command.location:
            continue
        if there == command.from_location:
            seen.append(serial)
        elif (
            there is not None and command.from_location is None and (serial, command.location) not in registry.conflicts
        ):
            conflicts[there].append(serial)
    place: dict[str, Any] = {"sku": command.sku, "location": command.location}
    if seen:
        yield se.SerialsSeen(**place, serials=tuple(seen), from_location=command.from_location)
    for elsewhere, serials in conflicts.items():
        yield se.SerialConflictFound(**place, serials=tuple(serials), elsewhere=elsewhere)


def dump(registry: Registry) -> Any:
    """The state as JSON, for snapshots."""
    return {
        "at": list(registry.at.items()),
        "conflicts": list(registry.conflicts),
        "receipts": [(name, registry.receipts[name]) for name in registry.receipts_in_order],
    }


def restore(snapshot: Any) -> Registry:
    return Registry(
        HashTrieMap(dict(snapshot["at"])),
        HashTrieSet((serial, location) for serial, location in snapshot["conflicts"]),
        HashTrieMap((name, asked) for name, asked in snapshot["receipts"]),
        Queue(name for name, _ in snapshot["receipts"]),
    )


decider = Decider(
    "serials",
    Registry(),
    evolve,
    decide,
    accepts=(se.ReceiveSerials, se.RecordSerialsSeen, se.RecordSerialsLeft),
    emits=(se.SerialsClaimed, se.SerialsSeen, se.SerialsLeft, se.SerialConflictFound),
    dump=dump,
    restore=restore,
    snapshot_version=2,
)
