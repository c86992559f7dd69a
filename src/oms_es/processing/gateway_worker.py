"""The reader of a gateway: intents in, the world's answers out.

Invariant: the saved position never passes an intent that is not answered. Where one of several other sides does not
answer, its intents are held, and asked again later; those of others go on, and of one stream nothing overtakes what is
held. What was answered beyond the saved position is asked again after a restart, and the world recognises it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from uuid import UUID

import structlog
from pydantic import ValidationError

from oms_es.door import brought_in
from oms_es.kernel import Command, Gateway, GatewayUnavailable, Recorded, Refused, WaitsForEngine
from oms_es.processing import metrics
from oms_es.processing.readers import BATCH_MAX, CommandWorker
from oms_es.store.clock import SYSTEM_TIMING
from oms_es.store.dead_letters import DeadLetter, without_card_numbers
from oms_es.store.encoding import command_codec
from oms_es.store.encoding.codec import Cause
from oms_es.store.log import POSITION, Feed
from oms_es.store.recorder import Advance
from oms_es.store.store import Batch, Store

log = structlog.get_logger(__name__)

HELD_MAX = 1_000
"""Intents that wait for another side while others go on; with so many, all wait."""
AHEAD_MAX = 20_000
"""Intents that were answered beyond the saved position: so many are asked again at most after a restart."""
HELD_SECONDS_MIN, HELD_SECONDS_MAX = 0.25, 10.0
"""Until what is held is asked again: longer each time, as long as nothing of it is answered."""


def before(held: Sequence[Recorded], position: int) -> int:
    """Up to where nothing is held."""
    return min(position, held[0].position - 1) if held else position


def first_of_each_stream(intents: Sequence[Recorded]) -> list[Recorded]:
    """In the order of the log, as they are given."""
    return sorted({one.stream: one for one in reversed(intents)}.values(), key=POSITION)


def answers(gateway: Gateway, deliveries: Sequence[Recorded]) -> Batch:
    """What the world says of each intent, brought in as whatever comes from outside. Raises GatewayUnavailable."""
    performed = zip(deliveries, gateway.perform(deliveries), strict=True)
    return [_caused(gateway, *each) for each in performed]


def _caused(gateway: Gateway, intent: Recorded, commands: Sequence[Command]) -> tuple[Cause, list[Command]]:
    return Cause.of(intent, gateway.name), [brought_in(command) for command in commands]


class GatewayWorker(CommandWorker):
    """The world is asked before the transaction, and recognises a repeat."""

    def __init__(
        self,
        gateway: Gateway,
        store: Store,
        feed: Feed,
        batch_max: int = BATCH_MAX,
        monotonic: Callable[[], float] = SYSTEM_TIMING.monotonic,
    ) -> None:
        super().__init__(gateway.name, feed, gateway.intents, min(batch_max, gateway.batch_max))
        self.gateway = gateway
        self.store = store
        self.monotonic = monotonic
        self.held: list[Recorded] = []
        """Not answered, the earliest first."""
        self.held_until = 0.0
        self.why_held = GatewayUnavailable("")
        self._held_seconds = 0.0
        self._ahead: dict[UUID, int] = {}
        """Positions of what was answered beyond the saved one."""
        self._random = Random(0)

    @property
    def is_unanswered(self) -> bool:
        """Whether an external system left what was asked last without an answer."""
        return not isinstance(self.why_held, WaitsForEngine)

    def take_next(self) -> int:
        """What is held and due first. Raises GatewayUnavailable where as much is held as may be."""
        again = self._ask_again() if self.held and self.monotonic() >= self.held_until else 0
        if not again and self.held and (len(self.held) >= HELD_MAX or len(self._ahead) >= AHEAD_MAX):
            raise type(self.why_held)(str(self.why_held))
        return again or super().take_next()

    def is_due(self) -> bool:
        return bool(self.held)

    def safe(self, position: int) -> int:
        """What is held stays to be done."""
        return before(self.held, position)

    def seek(self) -> None:
        """What is held is read again, unless another process has answered it."""
        super().seek()
        self.held, self._held_seconds, self._ahead = [], 0.0, {}

    def put_aside(self, recorded: Recorded, error: ValidationError | Refused, position: int) -> bool:
        """It is held no longer."""
        self.held = [one for one in self.held if one.event_id != recorded.event_id]
        return super().put_aside(recorded, error, position)

    def take(self, deliveries: Sequence[Recorded], advance: Advance) -> None:
        """Raises GatewayUnavailable where nothing is answered."""
        mine = {one.event_id for one in deliveries}
        others = [one for one in self.held if one.event_id not in mine]
        held_at = {one.stream: one.position for one in reversed(others)}
        new = [one for one in deliveries if one.event_id not in self._ahead]
        said = self._said([one for one in new if held_at.get(one.stream, one.position) >= one.position])
        done = [(one, said[one.event_id]) for one in new if one.event_id in said]
        held = sorted([*others, *(one for one in new if one.event_id not in said)], key=POSITION)
        reached = before(held, advance.position)
        self._commit(done, advance._replace(position=reached))
        self._hold(held)
        self._ahead |= {one.event_id: one.position for one, _ in done}
        if reached > advance.previous or not held:
            self._ahead = {key: position for key, position in self._ahead.items() if position > reached}

    def _said(self, asked: Sequence[Recorded]) -> Mapping[UUID, Sequence[Command]]:
        """What was answered. Of one stream one after the other: what comes after one without an answer is not asked.
        Raises GatewayUnavailable where nothing was."""
        said: dict[UUID, Sequence[Command]] = {}
        while asked:
            first = first_of_each_stream(asked)
            answered = self._answered(first, may_raise=not said)
            said |= answered
            going_on = {one.stream for one in first if one.event_id in answered}
            asked = [one for one in asked if one.stream in going_on and one.event_id not in said]
        return said

    def _answered(self, asked: Sequence[Recorded], *, may_raise: bool) -> Mapping[UUID, Sequence[Command]]:
        try:
            answers: Sequence[Sequence[Command] | None] = self.gateway.perform(asked)
        except GatewayUnavailable as error:
            if may_raise and not error.answered:
                raise
            self.why_held = error
            answers = [*error.answered, *[None] * (len(asked) - len(error.answered))]
        in_turn = zip(asked, answers, strict=True)
        return {one.event_id: commands for one, commands in in_turn if commands is not None}

    def _ask_again(self) -> int:
        """How many of those that are held were answered."""
        held, seen = len(self.held), self.seen
        try:
            self._attempt(self._next_held(), self.seen)
        except GatewayUnavailable as error:
            self.why_held = error
        finally:
            self.seen = max(seen, self.seen)
        answered = held - len(self.held)
        self._held_seconds = 0.0 if answered else min(HELD_SECONDS_MAX, 2 * self._held_seconds)
        if self.held:
            self._wait()
        metrics.GATEWAY_HELD.labels(self.role).set(len(self.held))
        return answered

    def _next_held(self) -> list[Recorded]:
        """Where they are more than a batch, from any of them on: so all have their turn, whatever the rhythm in
        which a breaker lets one through."""
        first = first_of_each_stream(self.held)
        start = self._random.randrange(len(first)) if len(first) > self.batch_max else 0
        return sorted([*first[start:], *first[:start]][: self.batch_max], key=POSITION)

    def _hold(self, held: list[Recorded]) -> None:
        if held and not self.held and not self._held_seconds and self.is_unanswered:
            log.warning("held while others go on", consumer=self.name, intents=len(held), error=str(self.why_held))
        self.held = held
        if held and not self._held_seconds:
            self._wait()
        metrics.GATEWAY_HELD.labels(self.role).set(len(held))

    def _wait(self) -> None:
        self._held_seconds = self._held_seconds or HELD_SECONDS_MIN
        self.held_until = self.monotonic() + self._held_seconds

    def _commit(self, done: Sequence[tuple[Recorded, Sequence[Command]]], advance: Advance) -> None:
        """What was answered, and how far everything is done. With nothing to say of either there is no transaction."""
        if done or advance.position > advance.previous:
            batch = [_caused(self.gateway, *each) for each in done]
            self._record([one for one, _ in done], batch, advance)

    def _record(self, deliveries: Sequence[Recorded], batch: Batch, advance: Advance) -> None:
        try:
            recorded: Sequence[Recorded] = self.store.execute(batch, advance)
        except Refused:
            if len(deliveries) != 1:
                raise
            recorded = self._take_one_by_one(deliveries[0], batch[0][1], advance)
        self.feed.notify_appended(recorded)

    def _take_one_by_one(self, intent: Recorded, commands: Sequence[Command], advance: Advance) -> Sequence[Recorded]:
        """What the world says is input from outside: an answer that contradicts what is known is for a person."""
        recorded: list[Recorded] = []
        dead_letters: list[DeadLetter] = []
        for command in commands:
            try:
                recorded += self.store.execute([(Cause.of(intent, self.role), [command])])
            except Refused as refused:
                dead_letters.append(dead_letter_of(self.role, str(intent.position), command, refused))
        recorded += self.store.execute([], advance, dead_letters)
        return recorded


def dead_letter_of(source: str, place: str, command: Command, refused: Refused) -> DeadLetter:
    dead_letter = without_card_numbers(
        DeadLetter(
            source=source,
            place=place,
            dialect=command_codec.DIALECT,
            payload=command_codec.as_bytes(command),
            reason=refused.reason,
            detail=refused.detail,
        )
    )
    log.warning(
        "dead letter", source=source, place=dead_letter.place, reason=dead_letter.reason, detail=dead_letter.detail
    )
    metrics.DEAD_LETTERS.labels(source).inc()
    return dead_letter
