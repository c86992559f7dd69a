"""What is kept beside the log and made of it, or needed to read it: is it what history says?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from oms_es.kernel import Decider, Recorded
from oms_es.store.privacy import subject_keys
from oms_es.store.privacy.subjects import FORGOTTEN, subject_of
from oms_es.store.recorder import SNAPSHOTS, Snapshot
from oms_es.store.snapshots import ENCRYPTED, Unreadable, is_of_this_version, state_in
from oms_es.verification.check import Check, at
from oms_es.verification.history import History


class Snapshots:
    """Those that the engine would read. One that it would leave aside is a finding, too: a person has changed it."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]], deciders: Mapping[str, Decider[Any]]) -> None:
        query = SQL("SELECT stream, version, topic, state FROM {}").format(Identifier(SNAPSHOTS))
        found = [Snapshot(**{**row, "state": bytes(row["state"])}) for row in connection.execute(query)]
        self.check = Check("every snapshot is the fold of its stream")
        self.keys = subject_keys.of_connection(connection)
        gone = subject_keys.gone(connection)
        self.ahead = {
            one.stream: one
            for one in found
            if is_of_this_version(deciders, one) and not (one.stream in gone and one.state.startswith(ENCRYPTED))
        }

    def compare(self, recorded: Recorded, history: History) -> None:
        snapshot = self.ahead.get(recorded.stream)
        if snapshot is None or snapshot.version != recorded.version:
            return
        del self.ahead[recorded.stream]
        decider = history.deciders[recorded.stream.partition("-")[0]]
        try:
            same = state_in(decider, snapshot, self.keys) == history.states[recorded.stream][0]
        except Unreadable as unreadable:
            self.check.expect(False, partial("{}".format, str(unreadable)))
        else:
            self.check.expect(same, lambda: f"{at(recorded)}: the snapshot is not what history says")

    def checked(self) -> Check:
        """Once history is read: what is left over names a version that its stream has not."""
        for one in self.ahead.values():
            self.check.expect(False, partial("{} has no version {}".format, one.stream, one.version))
        return self.check


class KeysGone:
    """Keys of orders and accounts that were destroyed: what was personal in their events is not read, and not asked
    about."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self.gone = subject_keys.gone(connection)
        self.explained = Check("every key that is missing is of an order or an account that was forgotten")
        self.finished = Check("no order and no account that was forgotten still has its key")
        self._unexplained = set(self.gone)
        self._forgotten = set[str]()

    def note(self, recorded: Recorded) -> None:
        if isinstance(recorded.event, FORGOTTEN):
            subject = subject_of(recorded.stream)
            self._unexplained.discard(subject)
            self._forgotten.add(subject)

    def checked(self, connection: psycopg.Connection[dict[str, Any]]) -> tuple[Check, Check]:
        """Once history is read."""
        for subject in sorted(self.gone):
            self.explained.expect(subject not in self._unexplained, partial("the key of {} is gone".format, subject))
        kept = set(subject_keys.still_there(connection, self._forgotten))
        for subject in sorted(self._forgotten):
            self.finished.expect(
                subject not in kept,
                partial("the key of {} is there: `oms-es privacy forget --resume`".format, subject),
            )
        return self.explained, self.finished
