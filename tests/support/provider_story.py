"""Orders of one shop that are paid at a provider, with a sequence of incidents that a seed draws.

No provider is known here: subclasses define what customers do there, what it reports and what goes wrong.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from random import Random
from typing import Any, ClassVar, Protocol

from oms_es.gateways.payment.port import Answer, Ask, PaymentGateway, PaymentProvider
from oms_es.kernel import Command, Recorded, Refused, Skipped
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.stock import ReceiveStock
from outside import Outside
from shop import an_order
from whole_engine import WholeEngine, failed

ORDERS = 8


def one(provider: PaymentProvider, ask: Ask) -> Answer:
    (answer,) = provider.submit([ask])
    return answer


def found(provider: PaymentProvider, ask: Ask) -> Answer:
    (answer,) = provider.find([ask])
    return answer


class ProviderOutside(Outside):
    """An outside world in which a provider answers about money; warehouse and carrier answer as usual."""

    def __init__(self, engine: WholeEngine, provider: PaymentProvider) -> None:
        super().__init__(engine)
        self.gateway = PaymentGateway(provider)

    def look(self) -> list[Recorded]:
        closing = [r for r in self.engine.log[self.seen :] if isinstance(r.event, p.PaymentCloseRequested)]
        super().look()
        self.open += closing
        return self.open

    def answers(self, intent: Recorded) -> list[list[Command]]:
        if not isinstance(intent.event, p.PaymentEvent):
            return super().answers(intent)
        (commands,) = self.gateway.perform([intent])
        return [list(commands)]


class Story(ABC):
    rounds: ClassVar[int] = 4
    """Rounds at the end in which everything outstanding is reported; an hour passes in each."""

    def __init__(self, provider: PaymentProvider, seed: int) -> None:
        self.random = Random(seed)
        self.engine = WholeEngine()
        self.outside = ProviderOutside(self.engine, provider)
        self.read = 0
        self.waiting: list[int] = []
        for sku, location in (("A", "berlin"), ("B", "paris")):
            self.engine.submit(OpenLocation(location=location, country="DE"))
            self.engine.submit(ReceiveStock(sku=sku, location=location, receipt_id="r", quantity=90))

    @abstractmethod
    def order(self, number: int) -> None: ...

    @abstractmethod
    def happens(self, chance: float) -> None:
        """Let a mishap, a report, a payment or a cancellation happen, chosen by a number from 0 to 1."""

    @abstractmethod
    def repair(self) -> None:
        """End all mishaps."""

    @abstractmethod
    def reports(self) -> int:
        """Return how many reports there have been."""

    @abstractmethod
    def reported(self, number: int) -> Command:
        """Return the command for a report. Raise Skipped."""

    def settle_there(self) -> None:  # noqa: B027 - most do at once what they do
        """Finish what takes time at the provider."""

    def run(self) -> list[Mapping[str, Any]]:
        """Play the story and return the payments; money was taken by some, and no check of history has failed."""
        for number in range(ORDERS):
            self.order(number)
            for _ in range(self.random.randint(1, 16)):
                self.happens(self.random.random())
                self.answer()
                self.engine.settle()
        self._finish()
        assert not failed(self.engine.history)
        payments = self.engine.open_rows("payments")
        assert sum(payment["captured_minor"] for payment in payments) > 0
        return payments

    def _finish(self) -> None:
        self.repair()
        for _ in range(self.rounds):
            while self.outside.look():
                self.answer()
                self.engine.settle()
            self.settle_there()
            while self.waiting or self.read < self.reports():
                self.hear()
                self.engine.settle()
            self.pass_time(3_600)
            self.engine.settle()

    def pass_time(self, seconds: int) -> None:
        self.engine.pass_time(seconds)

    def answer(self) -> None:
        self.outside.answer_one(self.random)

    def hear(self) -> None:
        """Process a report, possibly late or twice."""
        self.waiting += range(self.read, self.reports())
        self.read = self.reports()
        if not self.waiting:
            return
        number = self.random.choice(self.waiting)
        with suppress(Skipped):
            self.engine.submit(self.reported(number))
        if self.random.random() < 0.8:
            self.waiting.remove(number)

    def change_of_mind(self) -> None:
        row = self.random.choice(self.engine.open_rows("order_status"))
        if row["phase"] not in ("completed", "cancelled"):
            self.engine.submit(o.CancelOrder(order_id=row["order_id"], reason="changed my mind"))
        elif row["phase"] == "completed":
            refund = {"refund_id": f"r{self.random.randint(1, 2)}", "goodwill_minor": self.random.randint(1, 5_000)}
            with suppress(Refused):
                self.engine.submit(o.RefundOrder(order_id=row["order_id"], **refund))


class Account(Protocol):
    """A provider's account as its merchant sees it."""

    now: float
    mishaps: list[Any]

    @property
    def books(self) -> Any: ...


class PrepaidStory(Story):
    """A story in which the customer pays what was prepared, possibly never, or after a cancellation."""

    rounds = 6
    mishaps: ClassVar[tuple[str, ...]] = ("lost", "dropped", "busy", "broken", "unsigned")
    tokens: ClassVar[tuple[str, ...]]

    def __init__(self, of: Account, provider: PaymentProvider, seed: int) -> None:
        super().__init__(provider, seed)
        self.of = of

    @abstractmethod
    def shown(self, action: p.PaymentActionRequired) -> None:
        """Act as a customer who is shown a code or a page."""

    def order(self, number: int) -> None:
        token = self.random.choice(self.tokens)
        order = an_order(str(number), ("A", self.random.randint(1, 3)), payment_token=token)
        self.engine.submit(order.model_copy(update={"currency": "CNY"}))

    def happens(self, chance: float) -> None:
        if chance < 0.15:
            self.of.mishaps.append(self.random.choice(self.mishaps))
        elif chance < 0.4:
            self.pay()
        elif chance < 0.6:
            self.hear()
        elif chance < 0.68:
            self.change_of_mind()
        elif chance < 0.75:
            self.pass_time(700)
        elif chance < 0.78:
            self.of.books.short_of_funds = not self.of.books.short_of_funds

    def pay(self) -> None:
        shown = [row.event for row in self.engine.log if isinstance(row.event, p.PaymentActionRequired)]
        if shown:
            self.shown(self.random.choice(shown))

    def pass_time(self, seconds: int) -> None:
        self.of.now += seconds
        super().pass_time(seconds)

    def repair(self) -> None:
        self.of.mishaps.clear()
        self.of.books.short_of_funds = False

    def reports(self) -> int:
        return len(self.of.books.events)
