"""Was an event, whose sealed bytes are no longer there, only encrypted?

The log's leaves are of the bytes that were sealed. Where an event was written again with what is personal encrypted, a
record in the log names both digests. It is believed only if the event, decrypted, is byte for byte what was sealed;
once the key of its order is destroyed, only if the record is older than the request to forget the order. A record that
is made later, for a change that is to be hidden, is neither.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from functools import partial
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple

from psycopg.rows import tuple_row
from pydantic_core import from_json

from oms_es.database.rows import Rows
from oms_es.proof.encryption import STREAM, Encrypted, Recorded, recorded_in
from oms_es.proof.entries import StoredEvent
from oms_es.schemas.order import OrderForgotten
from oms_es.store.encoding.codec import Codec
from oms_es.store.privacy import subject_keys
from oms_es.store.privacy.wrapping import NoDataKey
from oms_es.store.sealing.proving import STORED
from oms_es.verification.check import Check

FORGOTTEN = OrderForgotten.__name__
STREAM_OF_ORDER = "order-"
RECORDS_READ = 10


class Record(NamedTuple):
    """A record of the log, with its position."""

    position: int
    said: Recorded


class EncryptedLater:
    """`records`: in their order. `gone`: orders whose keys are destroyed."""

    def __init__(self, records: Iterable[Record], codec: Codec, gone: Collection[str]) -> None:
        self.check = Check("what was encrypted later is otherwise what was sealed")
        self.codec = codec
        self.gone = gone
        self._missing: dict[int, int] = {}  # events that are named and were not seen yet, by whom
        self._named_by: dict[str, int] = {}  # orders whose key is gone: the newest record that names their events
        self._forgotten: dict[str, int] = {}
        self._records = self._believed(records)
        self._record = self._next()

    def sealed(self, event: StoredEvent) -> bytes:
        """Return the entry of the next event of the log, as it was before the event was encrypted."""
        if event.type == FORGOTTEN:
            self._forgotten.setdefault(event.stream.removeprefix(STREAM_OF_ORDER), event.position)
        while self._record and event.position > self._record.said.reached:
            self._record = self._next()
        named = self._record.said.events.get(event.position) if self._record else None
        if named is None or self._record is None:
            return event.entry
        del self._missing[event.position]
        self._compare(event, named, self._record.position)
        return event.entry_of(named.before)

    def close(self) -> None:
        """Once the log is read."""
        for position, record in self._missing.items():
            self.check.expect(
                False, partial("position {}: the event that the record at {} names is gone".format, position, record)
            )
        for order_id, record in sorted(self._named_by.items()):
            self.check.expect(
                record < self._forgotten.get(order_id, 0),
                partial("the record at position {} names events of {}, whose key was gone".format, record, order_id),
            )

    def _next(self) -> Record | None:
        record = next(self._records, None)
        if record:
            self._missing |= dict.fromkeys(record.said.events, record.position)
        return record

    def _believed(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records that follow each other, and name only what came before them."""
        last = 0
        for position, said in records:
            named = [last - 1, said.previous, *said.events, said.reached + 1, position + 1]
            right = all(one < other for one, other in pairwise(named))
            why = "the record at position {} names what another named, or what came later"
            self.check.expect(right, partial(why.format, position))
            if right:
                last = said.reached
                yield Record(position, said)

    def _compare(self, event: StoredEvent, named: Encrypted, record: int) -> None:
        where = f"position {event.position}, {event.type} in {event.stream}"
        if event.digest != named.after:
            self.check.expect(False, lambda: f"{where}: it is not what was written when it was encrypted")
            return
        try:
            clear = sha256(self.codec.in_the_clear(event.state)).digest()
            subject = str(from_json(event.state)["correlation_id"])
        except (NoDataKey, ValueError, KeyError, TypeError) as why:
            self.check.expect(False, partial("{}: {}".format, where, str(why)))
            return
        if clear != named.before and subject in self.gone:
            self._named_by[subject] = max(record, self._named_by.get(subject, 0))
            return
        self.check.expect(
            clear == named.before != named.after,
            lambda: f"{where}: more of it was changed than the record at position {record} says",
        )


def encrypted_later(rows: Rows, codec: Codec) -> EncryptedLater:
    """Return what checks events that were encrypted later, in the caller's snapshot of the database."""
    return EncryptedLater(_records(rows), codec, subject_keys.gone(rows))


def _records(rows: Rows) -> Iterator[Record]:
    """Yield the records of the log; one that cannot be read is found as a changed event."""
    with rows.cursor(name="encryption", binary=True, row_factory=tuple_row) as curs:
        curs.itersize = RECORDS_READ
        curs.execute(f"{STORED}originator_id = %s ORDER BY originator_version".encode(), [STREAM])
        for row in curs:
            event = StoredEvent(*row)
            with suppress(ValueError, KeyError, TypeError):
                yield Record(event.position, recorded_in(event))
