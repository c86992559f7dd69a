"""Servers and senders of webhooks, each without one thing that they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from oms_es.channels.signatures import Headers
from oms_es.memory.recording import MemoryAnswers, Transaction
from oms_es.processing.committer import Answer, Answering, Done, Work
from oms_es.processing.intake.webhooks import keep
from oms_es.simulation.world.deliveries import MemoryDeliveries
from oms_es.store.dead_letters import DeadLetter
from oms_es.store.http.subscriptions import Delivery, Progress
from oms_es.store.http.tables import Kept
from oms_es.store.store import OUTAGES


class ForgetsAnswers(MemoryAnswers):
    """Answers that are not stored: a repeated request is decided again."""

    def under(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Kept]:
        super().under(keys)
        return {}

    def keep(self, transaction: Transaction, kept: Sequence[Kept], now: datetime) -> None:
        """Store nothing."""


class AnswersAnyway(Answering):
    """Answering that hides from callers that the database did not answer."""

    def answers(self, works: Sequence[Work]) -> Sequence[Answer]:
        found = super().answers(works)
        return [
            Done(work.command.stream, 0, None, None) if isinstance(answer, OUTAGES) else answer
            for work, answer in zip(works, found, strict=True)
        ]


class KeepsLater:
    """Stores a dead letter when the next one comes: its sender has been answered by then."""

    def __init__(self) -> None:
        self.later: list[tuple[Any, DeadLetter]] = []

    def __call__(self, recorder: Any, dead_letter: DeadLetter) -> None:
        while self.later:
            keep(*self.later.pop())
        self.later.append((recorder, dead_letter))


def believes_every_signature(_headers: Headers, _body: bytes, _secrets: Sequence[str], _now: float) -> None:
    """Take webhooks from anyone."""


class MovesFirst(MemoryDeliveries):
    """Deliveries whose subscription's position moves before they exist."""

    def add(self, before: Progress, due: Sequence[tuple[int, str, str]], position: int, now: datetime) -> bool:
        known = self.database.progress[before.name]
        self.database.progress[before.name] = known._replace(position=position)
        self.touch()
        self.database.progress[before.name] = known
        return super().add(before, due, position, now)


class DoneBeforehand(MemoryDeliveries):
    """Deliveries that are marked as done before they are sent."""

    def due(self, name: str, now: datetime, limit: int) -> list[Delivery]:
        found = super().due(name, now, limit)
        for delivery in found:
            self.note_delivered(delivery, 0, now)
        return found


class AllAtOnce(MemoryDeliveries):
    """Deliveries of an order that are all sent at once, whether or not the one before has arrived."""

    def due(self, name: str, now: datetime, limit: int) -> list[Delivery]:
        self.touch()
        return sorted((one for one in self.waiting(name) if one.due_at <= now), key=lambda one: one.position)[:limit]
