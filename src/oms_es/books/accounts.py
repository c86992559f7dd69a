"""The postings of one account's statements and of its reconciliation.

Invariant: a line is unreconciled from its booking until it is matched or written off, and again if that is taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from rpds import HashTrieMap

from oms_es.books import chart
from oms_es.books.entry import Posting, reversed_of, summed
from oms_es.kernel import Event
from oms_es.schemas.finance import reconciliation as rec
from oms_es.schemas.finance.statement import StatementLine, StatementLinesRecorded

OWN: Mapping[str, str] = {"fee": chart.FEES, "payout": chart.IN_TRANSIT}
"""The accounts of lines that correspond to no movement here, by kind."""


class BookedLine(NamedTuple):
    kind: str
    currency: str
    gross_minor: int
    postings: tuple[Posting, ...]


class Settled(NamedTuple):
    """A break that was written off."""

    names: tuple[str, ...]
    postings: tuple[Posting, ...]
    day: str


class Draft(NamedTuple):
    """An entry in preparation. An empty `day` means the day on which it was recorded."""

    subject: str
    day: str
    postings: tuple[Posting, ...]


class AccountBook(NamedTuple):
    """The state of one account's bookkeeping.

    `written_off` has the break of each line and movement that was written off.
    """

    lines: HashTrieMap[str, BookedLine] = HashTrieMap()
    matches: HashTrieMap[str, Draft] = HashTrieMap()
    breaks: HashTrieMap[str, rec.Break] = HashTrieMap()
    settled: HashTrieMap[str, Settled] = HashTrieMap()
    written_off: HashTrieMap[str, str] = HashTrieMap()
    closed_through: str = ""


Movements = Mapping[str, Posting]
"""By name, as matches use it, each movement's posting on the account where it waits for a statement."""
Posted = tuple[AccountBook, list[Draft]]


def post(book: AccountBook, event: Event, movements: Movements) -> Posted:
    handle = HANDLERS.get(type(event))
    return handle(book, event, movements) if handle else (book, [])


def payouts_in(event: StatementLinesRecorded) -> Iterator[tuple[str, Posting]]:
    """Yield a provider's payouts, which come in at a bank: the line, and the posting on the account where the
    payout waits.
    """
    for name, line in named(event):
        if line.kind == "payout" and not line.pending:
            yield name, Posting(chart.sub(chart.IN_TRANSIT, event.account), event.currency, -line.gross_minor)


def named(event: StatementLinesRecorded) -> Iterator[tuple[str, StatementLine]]:
    for number, line in enumerate(event.lines, event.first):
        yield f"{event.statement_id}/{number}", line


def _lines(book: AccountBook, event: StatementLinesRecorded, _: Movements) -> Posted:
    drafts: list[Draft] = []
    for name, line in named(event):
        if line.pending or name in book.lines:
            continue
        postings = summed(
            [
                Posting(chart.sub(chart.STATEMENTS, event.account), event.currency, line.amount_minor),
                Posting(chart.FEES, event.currency, line.fee_minor),
                Posting(chart.sub(chart.UNRECONCILED, event.account), event.currency, -line.gross_minor),
            ]
        )
        booked = BookedLine(line.kind, event.currency, line.gross_minor, postings)
        book = book._replace(lines=book.lines.insert(name, booked))
        day = line.booked_on if line.booked_on > book.closed_through else ""
        drafts.append(Draft(name, day, postings))
    return book, drafts


def _matched(book: AccountBook, event: rec.ReconciliationMatched, movements: Movements) -> Posted:
    drafts: list[Draft] = []
    for match in event.matches:
        if match.match_id in book.matches:
            continue
        for name in (*match.lines, *match.movements):
            if name in book.written_off:
                book, undone = _taken_back(book, book.written_off[name])
                drafts += undone
        postings = _postings_of_match(book, event.account, match, movements)
        draft = Draft(match.match_id, "" if event.adjusts else match.day, postings)
        book = book._replace(matches=book.matches.insert(match.match_id, draft))
        drafts.append(draft)
    return book, drafts


def _postings_of_match(book: AccountBook, account: str, match: rec.Match, movements: Movements) -> tuple[Posting, ...]:
    postings = [*_sides(book, account, match.lines, match.movements, movements)]
    kind = book.lines[match.lines[0]].kind if match.lines and match.lines[0] in book.lines else ""
    contra = OWN.get(kind, chart.DIFFERENCES) if not match.movements else chart.DIFFERENCES
    return _balanced(postings, chart.sub(contra, account) if contra == chart.IN_TRANSIT else contra)


def _sides(
    book: AccountBook, account: str, lines: Iterable[str], names: Iterable[str], movements: Movements
) -> Iterator[Posting]:
    """Yield postings that end the waiting of lines and movements; the difference of the two is left."""
    for name in dict.fromkeys(lines):
        if line := book.lines.get(name):
            yield Posting(chart.sub(chart.UNRECONCILED, account), line.currency, line.gross_minor)
    for name in dict.fromkeys(names):
        if where := movements.get(name):
            yield where._replace(amount_minor=-where.amount_minor)


def _balanced(postings: list[Posting], contra: str) -> tuple[Posting, ...]:
    """Return the postings with their difference on one account."""
    rest = [Posting(contra, one.currency, -one.amount_minor) for one in postings]
    return summed([*postings, *rest])


def _undone(book: AccountBook, event: rec.ReconciliationMatchUndone, _: Movements) -> Posted:
    known = book.matches.get(event.match_id)
    if known is None:
        return book, []
    book = book._replace(matches=book.matches.remove(event.match_id))
    return book, [Draft(event.match_id, _open_day(book, known.day), reversed_of(known.postings))]


def _found(book: AccountBook, event: rec.ReconciliationBreaksFound, _: Movements) -> Posted:
    for one in event.breaks:
        book = book._replace(breaks=book.breaks.insert(one.break_id, one))
    return book, []


def _cleared(book: AccountBook, event: rec.ReconciliationBreaksCleared, _: Movements) -> Posted:
    for break_id in event.break_ids:
        book = book._replace(breaks=book.breaks.discard(break_id))
    return book, []


def _resolved(book: AccountBook, event: rec.ReconciliationBreakResolved, movements: Movements) -> Posted:
    """Post a break that is written off; after other resolutions the amount stays on its account until it is
    corrected.
    """
    known = book.breaks.get(event.break_id)
    if known is None or event.resolution != "written_off" or known.kind == "fee" or event.break_id in book.settled:
        return book, []
    names = (*known.lines, *known.movements)
    if any(name in book.written_off for name in names):
        return book, []
    if known.kind == "duplicate":  # the statements state it twice, and the account has it once
        postings = summed(
            posting for name in known.lines if name in book.lines for posting in reversed_of(book.lines[name].postings)
        )
    else:
        sides = [*_sides(book, event.account, known.lines, known.movements, movements)]
        postings = _balanced(sides, chart.WRITE_OFF)
    written_off = book.written_off
    for name in names:
        written_off = written_off.insert(name, event.break_id)
    day = "" if event.adjusts else known.day
    settled = book.settled.insert(event.break_id, Settled(names, postings, day))
    return book._replace(settled=settled, written_off=written_off), [Draft(event.break_id, day, postings)]


def _reopened(book: AccountBook, event: rec.ReconciliationBreakReopened, _: Movements) -> Posted:
    return _taken_back(book, event.break_id)


def _taken_back(book: AccountBook, break_id: str) -> Posted:
    known = book.settled.get(break_id)
    if known is None:
        return book, []
    written_off = book.written_off
    for name in known.names:
        written_off = written_off.discard(name)
    book = book._replace(settled=book.settled.remove(break_id), written_off=written_off)
    return book, [Draft(break_id, _open_day(book, known.day), reversed_of(known.postings))]


def _open_day(book: AccountBook, day: str) -> str:
    """Return the day; empty, for the day of recording, if it is in a closed period."""
    return day if day > book.closed_through else ""


def _closed(book: AccountBook, event: rec.ReconciliationPeriodClosed, _: Movements) -> Posted:
    return book._replace(closed_through=max(book.closed_through, event.through)), []


HANDLERS: Mapping[type[Event], Callable[[AccountBook, Any, Movements], Posted]] = {
    StatementLinesRecorded: _lines,
    rec.ReconciliationMatched: _matched,
    rec.ReconciliationMatchUndone: _undone,
    rec.ReconciliationBreaksFound: _found,
    rec.ReconciliationBreaksCleared: _cleared,
    rec.ReconciliationBreakResolved: _resolved,
    rec.ReconciliationBreakReopened: _reopened,
    rec.ReconciliationPeriodClosed: _closed,
}
