"""What providers share whose customers pay an order that was prepared: names, and how answers are found.

Invariant: an answer that was lost, or that the provider did not sign, decides nothing: the outcome is looked up. A
wrong configuration of the merchant declines no customer's payment.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import ClassVar
from uuid import UUID

from oms_es.gateways.notices import CannotDecide
from oms_es.gateways.outgoing import NoAnswer, ProtocolError
from oms_es.gateways.payment.port import Answer, Ask
from oms_es.kernel import GatewayUnavailable
from oms_es.schemas.payment.answers import called_by_digest, digest_of

CONCURRENT_MAX = 8
"""Requests that are sent at once."""
ATTACHED_BYTES_MAX = 128
REFUND_NAME_LENGTH_MAX = 64
REASON_CHARACTERS_MAX = 500
TIME_LEFT_SECONDS_MIN = 60
"""The shortest time that providers accept until an order ends."""
OURS = "oms:"
"""Prefix of what we attach to an order: other systems of the merchant may attach something else."""
REFUND_NAME = re.compile(r"[0-9a-f]{32}_([0-9A-Za-z_-]*)", re.ASCII)
UNNAMED_REFUND = re.compile(r"[0-9a-f]{32}", re.ASCII)
"""The name of a refund whose part was too long, as it was before names contained a digest of the part."""
DIGEST_MARK = "-"
"""Marks a digest: no text begins with it in URL-safe base64, since its first byte would not be valid UTF-8."""
CHINA = timezone(timedelta(hours=8))
NOT_PAID = "it was not paid in time"
CLOSED = "closed, as it is not wanted any more"


class ProviderRefused(ProtocolError):
    """The provider refused the request, with its `code` and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message or code)
        self.status = status
        self.code = code

    def in_words(self) -> str:
        return f"{self.code}: {self}"[:REASON_CHARACTERS_MAX]


class PrepaidProvider(ABC):
    """Base of providers with prepared orders. `name`: for people. Methods raise GatewayUnavailable."""

    name: ClassVar[str]

    def __init__(self, open_seconds: int, clock: Callable[[], float]) -> None:
        self._open_seconds = open_seconds
        self._clock = clock
        self._submitting = {"authorize": self._prepare, "refund": self._refund, "close": self._close}
        self._finding = {"authorize": self._find_order, "refund": self._find_refunded, "close": self._find_closed}

    @abstractmethod
    def _prepare(self, ask: Ask) -> Answer: ...

    @abstractmethod
    def _refund(self, ask: Ask) -> Answer: ...

    @abstractmethod
    def _close(self, ask: Ask) -> Answer: ...

    @abstractmethod
    def _find_order(self, ask: Ask) -> Answer: ...

    @abstractmethod
    def _find_refund(self, ask: Ask, name: str) -> Answer: ...

    @abstractmethod
    def _find_closed(self, ask: Ask) -> Answer: ...

    @abstractmethod
    def _is_absent(self, error: ProviderRefused) -> bool:
        """Return whether the error says that nothing has that name."""

    @abstractmethod
    def _require_set_up(self, error: ProviderRefused) -> None:
        """Raise GatewayUnavailable if the merchant's configuration is wrong, and not the request."""

    def submit(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        return self._each(self._submitted, asks)

    def find(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        return self._each(self._found, asks)

    def _each(self, question: Callable[[Ask], Answer], asks: Sequence[Ask]) -> Sequence[Answer]:
        with ThreadPoolExecutor(min(CONCURRENT_MAX, len(asks)) or 1, self.name) as threads:
            return list(threads.map(question, asks))

    def _submitted(self, ask: Ask) -> Answer:
        if ask.operation not in self._submitting:
            return self._nothing_held()
        if ask.operation == "refund" and len(refund_names(ask.key, ask.part)) > 1:
            found = self._found(ask)
            if found.outcome != "absent":
                return found
        try:
            return self._submitting[ask.operation](ask)
        except (NoAnswer, CannotDecide):
            return Answer("unknown")
        except ProviderRefused as error:
            self._require_set_up(error)
            done = self._found(ask)
            return Answer("declined", reason=error.in_words()) if done.outcome == "absent" else done

    def _found(self, ask: Ask) -> Answer:
        if ask.operation not in self._finding:
            return self._nothing_held()
        try:
            return self._finding[ask.operation](ask)
        except ProviderRefused as error:
            self._require_set_up(error)
            if self._is_absent(error):
                return Answer("absent")
            raise GatewayUnavailable(f"{self.name} refuses a look-up: {error.in_words()}") from error
        except (NoAnswer, CannotDecide) as error:
            raise GatewayUnavailable(f"{self.name} does not answer: {error}") from error

    def _find_refunded(self, ask: Ask) -> Answer:
        """Look a refund up under each name that it may have been made with."""
        found = Answer("absent")
        for name in refund_names(ask.key, ask.part):
            try:
                found = self._find_refund(ask, name)
            except ProviderRefused as error:
                if not self._is_absent(error):
                    raise
            if found.outcome != "absent":
                return found
        return found

    def _nothing_held(self) -> Answer:
        why = f"{self.name} takes money at once: there is nothing to hold, to capture or to release"
        return Answer("declined", reason=why)

    def _until(self, ask: Ask) -> datetime | None:
        """Return when the order ends, the same for every repetition; None if that time is over."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        until = (ask.asked_at or now) + timedelta(seconds=self._open_seconds)
        return until if until >= now + timedelta(seconds=TIME_LEFT_SECONDS_MIN) else None


TOO_LATE = Answer("declined", reason="the time in which it could be paid is over", retriable=True)


def refund_name(key: UUID, part: str) -> str:
    """Return a refund's unique name, which contains its part, or a digest of a part that is too long."""
    encoded = urlsafe_b64encode(part.encode()).decode().rstrip("=")
    said = f"{key.hex}_{encoded}"
    return said if len(said) <= REFUND_NAME_LENGTH_MAX else f"{key.hex}_{DIGEST_MARK}{digest_of(part)}"


def refund_names(key: UUID, part: str) -> tuple[str, ...]:
    """Return the names under which the refund may have been made, the older form first."""
    name = refund_name(key, part)
    return (key.hex, name) if name.startswith(f"{key.hex}_{DIGEST_MARK}") else (name,)


def has_no_part(name: str) -> bool:
    """Return whether the refund was named by its key alone, as older versions did; it is looked up by that key."""
    return UNNAMED_REFUND.fullmatch(name) is not None


def refunded_part(name: str) -> str:
    """Return the part of a refund that was made here, or a name for its digest; for other refunds, the name itself."""
    ours = REFUND_NAME.fullmatch(name)
    if not ours:
        return name
    if ours[1].startswith(DIGEST_MARK):
        return called_by_digest(ours[1].removeprefix(DIGEST_MARK))
    try:
        return urlsafe_b64decode(ours[1] + "=" * (-len(ours[1]) % 4)).decode()
    except ValueError:
        return name


def attached(payment_id: str) -> str | None:
    """Return what is attached to an order, or None if it is too long: then the payment is found by the order's name."""
    said = OURS + payment_id
    return said if len(said.encode()) <= ATTACHED_BYTES_MAX else None


def payment_attached(said: str) -> str:
    """Return the payment's id from what was attached, or an empty string if something else was attached."""
    return said.removeprefix(OURS) if said.startswith(OURS) else ""
