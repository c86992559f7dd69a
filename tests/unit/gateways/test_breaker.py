"""A circuit breaker: closed, open after consecutive failures, half open after a while, and reported."""

from __future__ import annotations

from itertools import count
from uuid import UUID

from oms_es.gateways.breaker import Breaker, Circuit, Limits

LIMITS = Limits(failures_max=3, open_seconds=30.0)


class Watched:
    def __init__(self) -> None:
        self.now = 0.0
        self.noted: list[Circuit] = []
        self.keys = count()
        self.breaker = Breaker("stripe", LIMITS, self.noted.append, lambda: self.now)

    def fail(self, times: int = 1, why: str = "no answer") -> None:
        for _ in range(times):
            self.breaker.failed(why, [UUID(int=next(self.keys))])

    def allowed(self, wanted: int) -> list[int]:
        return list(range(wanted))[self.breaker.allowed(wanted)]


def test_it_stays_closed_as_long_as_failures_are_not_in_a_row() -> None:
    watched = Watched()
    for _ in range(5):
        watched.fail(LIMITS.failures_max - 1)
        watched.breaker.succeeded()
    assert watched.allowed(7) == list(range(7))
    assert [circuit.state for circuit in watched.noted] == ["closed"], "the first success is noted, and no other"


def test_after_failures_in_a_row_nothing_is_asked_until_its_time_is_over_and_then_one() -> None:
    watched = Watched()
    watched.fail(LIMITS.failures_max, "error 500")
    assert (watched.allowed(7), watched.breaker.circuit.why) == ([], "error 500")
    watched.now = LIMITS.open_seconds - 0.01
    assert watched.allowed(7) == []
    watched.now = LIMITS.open_seconds
    assert watched.allowed(0) == []
    assert [watched.allowed(3) for _ in range(4)] == [[0], [1], [2], [0]], "each time another one"
    assert watched.breaker.circuit.state == "half_open"


def test_what_becomes_of_the_one_closes_it_or_opens_it_for_another_while() -> None:
    watched = Watched()
    watched.fail(LIMITS.failures_max)
    since = watched.breaker.circuit.since
    watched.now = 30.0
    watched.allowed(1)
    watched.fail()
    assert (watched.breaker.circuit.state, watched.breaker.circuit.since) == ("open", since), "since it opened first"
    watched.now = 59.0
    assert watched.allowed(1) == []
    watched.now = 60.0
    assert len(watched.allowed(5)) == 1
    watched.breaker.succeeded()
    assert (len(watched.allowed(5)), watched.breaker.circuit.state, watched.breaker.circuit.why) == (5, "closed", "")
    assert [one.state for one in watched.noted] == ["open", "half_open", "open", "half_open", "closed"]


def test_one_request_that_is_never_answered_opens_no_circuit() -> None:
    watched = Watched()
    for _ in range(10):
        watched.breaker.failed("no answer", [UUID(int=1)])
    assert not watched.breaker.is_open
    watched.breaker.failed("no answer", [UUID(int=2)])
    assert watched.breaker.is_open
