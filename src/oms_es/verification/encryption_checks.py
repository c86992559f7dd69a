"""Was an event, whose sealed bytes are no longer there, only encrypted?

The log's leaves are of the bytes that were sealed. Where an event was written again with what is personal encrypted, a
record in the log names both digests. It is believed only

- of an event that is encrypted, of a type that may be personal, and, in the stream of an order or an account, under
  that one's key,
- up to the position where the log ended when encryption began, which all records repeat, and before every event that
  was encrypted from the beginning,
- if the event, decrypted, is byte for byte what was sealed. Once its key is destroyed this cannot be seen any more:
  then the record must be older than the request to forget it.

So of forgotten events that a record names, what is not personal rests on the record alone. A checkpoint that
is newer than the migration fixes the record; one that is older says how many events were written again since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple

from psycopg.rows import tuple_row

from oms_es.database.rows import Rows
from oms_es.proof.encryption import STREAM, Encrypted, Recorded, is_encrypted, recorded_in
from oms_es.proof.entries import StoredEvent
from oms_es.store.encoding.codec import Codec, opened
from oms_es.store.encoding.encrypting import may_be_personal
from oms_es.store.privacy import subject_keys
from oms_es.store.privacy.encrypted_later import ENCRYPTED_LATER, RECORDS_KEPT
from oms_es.store.privacy.subjects import FORGOTTEN_TYPES, subject_of
from oms_es.store.privacy.wrapping import NoDataKey
from oms_es.store.sealing.proving import STORED
from oms_es.verification.archive_checks import whole_if_there
from oms_es.verification.check import Check

RECORDS_READ = 10


class Record(NamedTuple):
    """A record of the log, with its position."""

    position: int
    said: Recorded


class EncryptedLater:
    """`records`: in their order. `gone`: orders whose keys are destroyed. `kept`: the position of each record that the
    migration's own table names, by how far it reached; None where it is not asked."""

    def __init__(
        self, records: Iterable[Record], codec: Codec, gone: Collection[str], kept: Mapping[int, int] | None = None
    ) -> None:
        self.check = Check("what was encrypted later is otherwise what was sealed")
        self.codec = codec
        self.gone = gone
        self._kept = kept
        self._missing: dict[int, int] = {}  # events that are named and were not seen yet, by whom
        self._named_by: dict[str, int] = {}  # orders whose key is gone: the newest record that names their events
        self._forgotten: dict[str, int] = {}
        self._encrypted_from = 0  # the first event that was encrypted from the beginning
        self._seen: Counter[int] = Counter()  # events that were named so far, by the position of their record
        self._reached: dict[int, int] = {}
        self._records = self._believed(records)
        self._record = self._next()

    def sealed(self, event: StoredEvent) -> bytes:
        """Return the entry of the next event of the log, as it was before the event was encrypted."""
        if event.type in FORGOTTEN_TYPES:
            self._forgotten.setdefault(subject_of(event.stream), event.position)
        while self._record and event.position > self._record.said.reached:
            self._record = self._next()
        named = self._record.said.events.get(event.position) if self._record else None
        if named is None or self._record is None:
            if not self._encrypted_from and is_encrypted(event.state):
                self._encrypted_from = event.position
            return event.entry
        del self._missing[event.position]
        self._seen[self._record.position] += 1
        self._compare(event, named, self._record.position)
        return event.entry_of(named.before)

    def since(self, place: str, position: int) -> None:
        """Note how many events, of those that a checkpoint up to this position covers, were written again since: of
        what was read so far."""
        later = {record: count for record, count in self._seen.items() if record > position}
        if later:
            self.check.notes.append(
                f"{place}: {sum(later.values()):,} of the events that it covers were encrypted since, say the records "
                f"from position {min(later)} to {max(later)}: ask why, unless you know of this migration"
            )

    def close(self) -> None:
        """Once the log is read."""
        while self._record:
            self._record = self._next()
        for position, record in self._missing.items():
            self.check.expect(
                False, partial("position {}: the event that the record at {} names is gone".format, position, record)
            )
        for order_id, record in sorted(self._named_by.items()):
            self.check.expect(
                record < self._forgotten.get(order_id, 0),
                partial("the record at position {} names events of {}, whose key was gone".format, record, order_id),
            )
        self.check.expect(
            self._kept in (None, self._reached),
            lambda: f"{ENCRYPTED_LATER} does not name the records of the log: proofs would lack some",
        )

    def _next(self) -> Record | None:
        record = next(self._records, None)
        if record:
            self._missing |= dict.fromkeys(record.said.events, record.position)
            self._reached[record.said.reached] = record.position
        return record

    def _believed(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records that follow each other, agree on where encryption began, and name only what was there."""
        last = through = 0
        for position, said in records:
            named = [last - 1, said.previous, *said.events, said.reached + 1, said.through + 2, position + 2]
            right = all(one < other for one, other in pairwise(named)) and through in (0, said.through)
            why = "the record at position {} names what another named, or what came later"
            self.check.expect(right, partial(why.format, position))
            if right:
                last, through = said.reached, said.through
                yield Record(position, said)

    def _compare(self, event: StoredEvent, named: Encrypted, record: int) -> None:
        where = f"position {event.position}, {event.type} in {event.stream}"
        try:
            clear = sha256(self.codec.in_the_clear(event.state)).digest()
            subject = str(opened(event.state)[1]["correlation_id"])
        except (NoDataKey, ValueError, KeyError, TypeError) as why:
            self.check.expect(False, partial("{}: {}".format, where, str(why)))
            return
        if wrong := self._wrongly_named(event, named, subject):
            self.check.expect(False, lambda: f"{where}: {wrong}")
        elif clear != named.before and subject in self.gone:
            self._named_by[subject] = max(record, self._named_by.get(subject, 0))
        else:
            self.check.expect(
                clear == named.before != named.after,
                lambda: f"{where}: more of it was changed than the record at position {record} says",
            )

    def _wrongly_named(self, event: StoredEvent, named: Encrypted, subject: str) -> str:
        kind = self.codec.events.get(event.type)
        if event.digest != named.after:
            return "it is not what was written when it was encrypted"
        if self._encrypted_from:
            return f"a record names it, and position {self._encrypted_from} before it was encrypted from the beginning"
        if kind is None or not may_be_personal(kind) or not is_encrypted(event.state):
            return "a record names it, and nothing of it is encrypted"
        if (own := subject_of(event.stream)) not in ("", subject):
            return f"it is encrypted under the key of {subject}, and is of {own}"
        return ""


def encrypted_later(rows: Rows, codec: Codec) -> EncryptedLater:
    """Return what checks events that were encrypted later, in the caller's snapshot of the database."""
    kept = {row["reached"]: row["record"] for row in rows.execute(RECORDS_KEPT.encode())}
    return EncryptedLater(_records(rows), codec, subject_keys.gone(rows), kept)


def _records(rows: Rows) -> Iterator[Record]:
    """Yield the records of the log; one that cannot be read is found as a changed event."""
    with rows.cursor(name="encryption", binary=True, row_factory=tuple_row) as curs:
        curs.itersize = RECORDS_READ
        curs.execute(f"{STORED}originator_id = %s ORDER BY originator_version".encode(), [STREAM])
        for row in curs:
            event = whole_if_there(StoredEvent(*row))
            with suppress(ValueError, KeyError, TypeError):
                yield Record(event.position, recorded_in(event))
