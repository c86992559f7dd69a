"""Actions of customers and carriers at the providers, and the providers' reports to our webhooks, in a thread.

Invariant: a customer pays only what was shown to them. Each event of the providers' books is reported until the report
is accepted; a share of the reports is sent twice.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from random import Random
from threading import Event, Thread
from typing import NamedTuple

import structlog

from oms_es.app.external_systems import ExternalSystems
from oms_es.demo.protocol.providers import EASYPOST_SECRET, SALT, SHOP, STRIPE_SECRET, Providers
from oms_es.gateways.carrier.kuaidi100.client import Client
from oms_es.gateways.outgoing import NoAnswer, request
from oms_es.kernel import Gateway
from oms_es.reports import queries

TURN_SECONDS = 0.05
TWICE_SHARE = 0.02
"""The share of reports that are sent twice."""
CONCURRENT_MAX = 4
"""Reports that are sent in parallel, so that they overtake each other."""
FOLLOWED_CARRIER = "UPS"
"""The carrier whose parcels kuaidi100 tracks, under the name `ups`; EasyPost reports on all others."""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NOT_LISTENED_TO = frozenset({"payment_intent.created"})
"""Kinds of Stripe's events that our webhook has not subscribed to."""
SHOWN = "SELECT payment_id, action, action_content FROM payments WHERE state = 'requested' AND action <> ''"

log = structlog.get_logger(__name__)


class Report(NamedTuple):
    """A report to be sent. `signed` returns its headers and body, signed at the moment of sending."""

    connection: str
    signed: Callable[[], tuple[Mapping[str, str], bytes]]


class Outside:
    """The outside world. `address`: of our HTTP server. `transit_seconds`: how long a parcel is on its way."""

    def __init__(
        self, providers: Providers, database_url: str, address: str, seed: int, transit_seconds: float
    ) -> None:
        self.providers = providers
        self.database_url = database_url
        self.address = address
        self.transit_seconds = transit_seconds
        self.random = Random(f"{seed}/outside")
        self.reported = 0
        self._kuaidi100 = Client(
            providers.settings["kuaidi100_customer"],
            providers.settings["kuaidi100_key"],
            base=providers.settings["kuaidi100_base"],
        )
        self._tried: set[str] = set()
        self._seen = dict.fromkeys(("stripe", "wechatpay", "alipay", "easypost"), 0)
        self._waiting: deque[Report] = deque()
        self._booked_at: dict[str, float] = {}
        self._scanned: dict[str, int] = {}

    @contextmanager
    def going_on(self) -> Iterator[None]:
        stopping = Event()
        thread = Thread(target=self._run, args=[stopping], name="outside", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    def _run(self, stopping: Event) -> None:
        with queries.reading(self.database_url) as connection, ThreadPoolExecutor(CONCURRENT_MAX, "report") as threads:
            while not stopping.is_set():
                self._pay(connection)
                self._carry()
                self._collect()
                self._send(threads)
                stopping.wait(TURN_SECONDS)

    def outstanding(self) -> int:
        """Return how many payments, parcels and reports are still to be done."""
        with queries.reading(self.database_url) as connection:
            unpaid = sum(str(row["payment_id"]) not in self._tried for row in connection.execute(SHOWN))
        return unpaid + len(self._underway()) + self._unreported() + len(self._waiting)

    def _unreported(self) -> int:
        return sum(len(events) - self._seen[name] for name, events in self._events().items())

    def _events(self) -> Mapping[str, list[object]]:
        of = self.providers
        return {
            "stripe": list(of.stripe.books.events),
            "wechatpay": list(of.wechatpay.books.events),
            "alipay": list(of.alipay.books.events),
            "easypost": list(of.easypost.books.events),
        }

    def _pay(self, connection: queries.Connection) -> None:
        """Pay what customers were shown: scan the code, open the page, call the app."""
        for row in connection.execute(SHOWN).fetchall():
            if row["payment_id"] not in self._tried:
                self._paid(str(row["action"]), str(row["action_content"]))
                self._tried.add(str(row["payment_id"]))

    def _paid(self, action: str, content: str) -> None:
        of = self.providers
        if action == "app" or content.startswith("weixin:"):
            number = json.loads(content)["package"][-32:] if action == "app" else content.rpartition("=")[2]
            with of.wechatpay.lock:
                orders = of.wechatpay.books.orders.items()
                of.wechatpay.books.pay(next(name for name, order in orders if order["number"] == int(number)))
            return
        with of.alipay.lock:
            name = of.alipay.opened(content) if action == "page" else content.rpartition("/")[2]
            of.alipay.books.pay(name)

    def _underway(self) -> list[str]:
        """Return the numbers of parcels that are paid for and have not arrived."""
        with self.providers.easypost.lock:
            standing = [str(one["tracking_code"]) for one in self.providers.easypost.books.standing()]
        return [number for number in standing if self._scanned.get(number, 0) < len(JOURNEY)]

    def _carry(self) -> None:
        now = time.monotonic()
        for number in self._underway():
            age = now - self._booked_at.setdefault(number, now)
            step = self._scanned.get(number, 0)
            if age >= self.transit_seconds * (step + 1) / len(JOURNEY) and self._seen_by_carrier(number, JOURNEY[step]):
                self._scanned[number] = step + 1

    def _seen_by_carrier(self, number: str, seen: Scan) -> bool:
        """Record a carrier's scan; return False if the parcel is not tracked yet."""
        books = self.providers.easypost.books
        carrier = str(books.trackers[number]["carrier"])
        if carrier == FOLLOWED_CARRIER:
            if not self._is_followed(number):
                return False
            self._push(number, seen)
        with self.providers.easypost.lock:
            books.scan(number, seen.status, seen.words)
        return True

    def _is_followed(self, number: str) -> bool:
        """Subscribe to the parcel at kuaidi100, also again after a lost answer; return whether it is tracked."""
        name = FOLLOWED_CARRIER.lower(), number
        if name not in self.providers.kuaidi100.followed:
            try:
                self._kuaidi100.subscribe(*name, f"{SHOP}kuaidi100", SALT)
            except NoAnswer as error:
                log.info("no answer from kuaidi100", error=str(error))
        return name in self.providers.kuaidi100.followed

    def _push(self, number: str, seen: Scan) -> None:
        name, server = (FOLLOWED_CARRIER.lower(), number), self.providers.kuaidi100
        with server.lock:
            server.scan(*name, seen.state, seen.words)
            body = server.push(*name, SALT)
        self._queue(Report("kuaidi100", lambda: (FORM, body)))

    def _collect(self) -> None:
        """Queue reports of new events in the books."""
        for name, events in self._events().items():
            first, self._seen[name] = self._seen[name], len(events)
            for number in range(first, len(events)):
                if report := self._report_of(name, number):
                    self._queue(report)

    def _queue(self, report: Report) -> None:
        self._waiting.extend([report] * (2 if self.random.random() < TWICE_SHARE else 1))

    def _report_of(self, name: str, number: int) -> Report | None:
        of = self.providers
        if name == "stripe":
            is_read = of.stripe.books.events[number]["type"] not in NOT_LISTENED_TO
            return Report(name, lambda: of.stripe.report(number, STRIPE_SECRET)) if is_read else None
        if name == "wechatpay":
            return Report(name, lambda: of.wechatpay.report(number))
        if name == "alipay":
            return Report(name, lambda: (FORM, of.alipay.report(number)))
        if of.easypost.books.events[number]["result"]["carrier"] == FOLLOWED_CARRIER:
            return None
        return Report(name, lambda: of.easypost.report(number, EASYPOST_SECRET))

    def _send(self, threads: ThreadPoolExecutor) -> None:
        """Send the waiting reports; those that are not accepted wait for the next time."""
        now = list(self._waiting)
        for report, is_taken in zip(now, threads.map(self._sent, now), strict=True):
            self._waiting.popleft()
            if is_taken:
                self.reported += 1
            else:
                self._waiting.append(report)

    def _sent(self, report: Report) -> bool:
        headers, body = report.signed()
        try:
            reply = request(self.address, "POST", f"/v1/webhooks/{report.connection}", headers, body)
        except NoAnswer as error:
            log.info("a report is not taken", connection=report.connection, error=str(error))
            return False
        if reply.status != HTTPStatus.OK:
            log.warning("a report is not taken", connection=report.connection, status=reply.status)
        return reply.status == HTTPStatus.OK


class Scan(NamedTuple):
    """A carrier's scan. `status`: EasyPost's word; `state`: kuaidi100's number."""

    status: str
    state: str
    words: str


JOURNEY = (
    Scan("in_transit", "0", "Accepted at USPS Origin Facility"),
    Scan("out_for_delivery", "5", "Out for delivery"),
    Scan("delivered", "3", "Delivered, in or at mailbox"),
)


class Beside(ExternalSystems):
    """External systems that include the activity at the providers, beside those of the engine."""

    def __init__(self, others: ExternalSystems, outside: Outside) -> None:
        self.others = others
        self.outside = outside
        self.callbacks = others.callbacks

    def gateways(self) -> tuple[Gateway, ...]:
        return tuple(self.others.gateways())

    def outstanding(self) -> int:
        return self.others.outstanding() + self.outside.outstanding()

    def close(self) -> None:
        self.others.close()
