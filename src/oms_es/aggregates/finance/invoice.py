"""The documents of one seller in one year.

Invariant: no number twice and none left out; a movement has one document; days rise with the numbers. The stream is
the lock: however many documents are issued at once, each append takes the next number. Nothing takes one back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from rpds import HashTrieMap, HashTrieSet, Queue

from oms_es.kernel import Decider, Refused
from oms_es.schemas.finance import invoicing as v
from oms_es.schemas.finance.refusals import FinanceRefusal
from oms_es.schemas.refusals import SharedRefusal

REMEMBERED_MAX = 50_000
"""Movements whose number is remembered: more than a gateway asks for again after whatever happened (AHEAD_MAX of its
worker). The bound keeps the state small."""


class Series(NamedTuple):
    following: int = 1
    last_day: str = ""
    numbers: HashTrieMap[str, int] = HashTrieMap()  # by movement
    in_order: Queue[str] = Queue()
    cancelling: HashTrieSet[int] = HashTrieSet()  # numbers of documents that cancel others
    corrected: HashTrieSet[int] = HashTrieSet()


def evolve(state: Series, event: v.InvoiceEvent) -> Series:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case v.InvoiceIssued(movement=movement, number=number):
            numbers, in_order = state.numbers.insert(movement, number), state.in_order.enqueue(movement)
            if len(numbers) > REMEMBERED_MAX:
                numbers, in_order = numbers.discard(in_order.peek()), in_order.dequeue()  # type: ignore[call-arg,operator] # rpds declares it wrongly
            cancelling = state.cancelling.insert(number) if event.corrects else state.cancelling
            return state._replace(
                following=number + 1,
                last_day=max(state.last_day, event.issued_on),
                numbers=numbers,
                in_order=in_order,
                cancelling=cancelling,
            )
        case v.InvoiceCorrectionRequested(number=number):
            return state._replace(corrected=state.corrected.insert(number))
    return state


def decide(state: Series, command: v.InvoiceCommand) -> Iterator[v.InvoiceEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    match command:
        case v.IssueInvoice(content=content) if content.movement not in state.numbers:
            yield _issued(state, command)
        case v.CorrectInvoice(number=number) if number not in state.corrected:
            _require_correctable(state, command)
            yield v.InvoiceCorrectionRequested(**command.model_dump())


def _issued(state: Series, command: v.IssueInvoice) -> v.InvoiceIssued:
    number, content = state.following, command.content
    said: Any = {name: getattr(content, name) for name in v.InvoiceContent.model_fields}
    return v.InvoiceIssued(
        seller=command.seller,
        year=command.year,
        number=number,
        name=f"{command.prefix}{command.year}-{number:0{command.digits}d}",
        issued_on=max(state.last_day, content.happened_on),
        keep_until=command.keep_until,
        **said,
    )


def _require_correctable(state: Series, command: v.CorrectInvoice) -> None:
    """Raises Refused."""
    if command.number >= state.following:
        raise Refused(
            SharedRefusal.UNKNOWN_INVOICE,
            f"{command.seller} has issued no number {command.number} in {command.year}; see `oms-es invoice list`",
        )
    if command.number in state.cancelling:
        raise Refused(
            FinanceRefusal.INVOICE_CANCELS,
            f"number {command.number} of {command.year} cancels another; correct the one that replaced that",
        )


def dump(state: Series) -> Any:
    """The state as JSON, for snapshots."""
    return {
        "following": state.following,
        "last_day": state.last_day,
        "numbers": [(movement, state.numbers[movement]) for movement in state.in_order],
        "cancelling": sorted(state.cancelling),
        "corrected": sorted(state.corrected),
    }


def restore(snapshot: Any) -> Series:
    numbers = [(movement, number) for movement, number in snapshot["numbers"]]
    return Series(
        following=snapshot["following"],
        last_day=snapshot["last_day"],
        numbers=HashTrieMap(numbers),
        in_order=Queue(movement for movement, _ in numbers),
        cancelling=HashTrieSet(snapshot["cancelling"]),
        corrected=HashTrieSet(snapshot["corrected"]),
    )


decider: Decider[Series] = Decider(
    "invoice",
    Series(),
    evolve,
    decide,
    accepts=(v.IssueInvoice, v.CorrectInvoice),
    emits=(v.InvoiceIssued, v.InvoiceCorrectionRequested),
    dump=dump,
    restore=restore,
)
