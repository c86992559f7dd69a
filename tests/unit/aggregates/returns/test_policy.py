"""The newest policy of a channel for returns is in force."""

from __future__ import annotations

from dsl import Given
from oms_es.aggregates.returns.policy import decider
from oms_es.schemas.returns.policy import ReturnPolicySet, SetReturnPolicy
from oms_es.schemas.returns.rma import Terms

SHORT, LONG = Terms(window_days=14), Terms(window_days=100)


def test_a_policy_is_set_and_changed_and_sent_again_nothing_happens() -> None:
    Given(decider).when(SetReturnPolicy(channel="*", terms=SHORT)).then(ReturnPolicySet(channel="*", terms=SHORT))
    short = ReturnPolicySet(channel="*", terms=SHORT)
    Given(decider, short).when(SetReturnPolicy(channel="*", terms=LONG)).then(ReturnPolicySet(channel="*", terms=LONG))
    Given(decider, short).when(SetReturnPolicy(channel="*", terms=SHORT)).then()
