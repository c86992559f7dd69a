"""A channel's policy for returns. Invariant: the newest event is in force; history keeps the earlier policies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from oms_es.kernel import Decider
from oms_es.schemas.returns.policy import ReturnPolicySet, SetReturnPolicy
from oms_es.schemas.returns.rma import Terms


class Policy(NamedTuple):
    terms: Terms | None = None


def evolve(_: Policy, event: ReturnPolicySet) -> Policy:
    return Policy(event.terms)


def decide(policy: Policy, command: SetReturnPolicy) -> Iterator[ReturnPolicySet]:
    if command.terms != policy.terms:
        yield ReturnPolicySet(channel=command.channel, terms=command.terms)


decider = Decider("policy", Policy(), evolve, decide, accepts=(SetReturnPolicy,), emits=(ReturnPolicySet,))
