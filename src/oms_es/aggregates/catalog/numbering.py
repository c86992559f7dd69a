"""The order numbers of one channel.

Invariant: no number is used twice and none is left out; numbers only rise, whatever the scheme is changed to. The
stream is the lock: however many orders are numbered at once, each append takes the next number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from rpds import HashTrieMap, Queue

from oms_es.kernel import Decider
from oms_es.schemas.catalog import numbering as n

REMEMBERED_MAX = 10_000
"""How many orders the state remembers with their numbers, so that a repeated command decides nothing. Older repeats are
caught by the consumer's position; the bound keeps the state small."""


class Numbering(NamedTuple):
    scheme: n.OrderNumberingSet | None = None
    following: int = 1
    numbers: HashTrieMap[str, int] = HashTrieMap()  # the number of each order
    in_order: Queue[str] = Queue()


def evolve(state: Numbering, event: n.NumberingEvent) -> Numbering:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case n.OrderNumberingSet(first=first):
            return state._replace(scheme=event, following=max(first, state.following))
        case n.OrderNumbered(order_id=order_id, number=number):
            numbers, in_order = state.numbers.insert(order_id, number), state.in_order.enqueue(order_id)
            if len(numbers) > REMEMBERED_MAX:
                numbers, in_order = numbers.discard(in_order.peek()), in_order.dequeue()  # type: ignore[call-arg,operator] # rpds declares it wrongly
            return state._replace(following=number + 1, numbers=numbers, in_order=in_order)
    return state


def decide(state: Numbering, command: n.NumberingCommand) -> Iterator[n.NumberingEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    match command:
        case n.SetOrderNumbering():
            scheme = n.OrderNumberingSet(**command.model_dump())
            if scheme != state.scheme:
                yield scheme
        case n.AssignOrderNumber(order_id=order_id):
            if state.scheme and order_id not in state.numbers:
                name = f"{state.scheme.prefix}{state.following:0{state.scheme.digits}d}"
                yield n.OrderNumbered(channel=command.channel, order_id=order_id, number=state.following, name=name)


def dump(state: Numbering) -> Any:
    """The state as JSON, for snapshots."""
    return {
        "scheme": state.scheme and state.scheme.model_dump(),
        "following": state.following,
        "numbers": [(order_id, state.numbers[order_id]) for order_id in state.in_order],
    }


def restore(snapshot: Any) -> Numbering:
    numbers = [(order_id, number) for order_id, number in snapshot["numbers"]]
    return Numbering(
        scheme=n.OrderNumberingSet(**snapshot["scheme"]) if snapshot["scheme"] else None,
        following=snapshot["following"],
        numbers=HashTrieMap(numbers),
        in_order=Queue(order_id for order_id, _ in numbers),
    )


decider = Decider(
    "numbering",
    Numbering(),
    evolve,
    decide,
    accepts=(n.SetOrderNumbering, n.AssignOrderNumber),
    emits=(n.OrderNumberingSet, n.OrderNumbered),
    dump=dump,
    restore=restore,
)
